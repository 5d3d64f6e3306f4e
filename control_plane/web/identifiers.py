"""Identifiers that tools and pods give, where there is no room for all of them. Pure."""

MOST = 24


def middle_cut(text: str, most: int = MOST) -> str:
    """What begins and ends alike is the same: `0197f3c2-44b…2e61fa`. Tools count up at the end, so both ends stay."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
