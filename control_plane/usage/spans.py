"""Lengths of time in words, for people who look at what pods reported. Pure."""

_UNITS = ((86_400_000, "day", "days"), (3_600_000, "h", "h"), (60_000, "min", "min"), (1000, "s", "s"))


def span_text(milliseconds: int) -> str:
    """840 ms; 12 s; 15 min 12 s; 3 h 5 min; 2 days 4 h: the two greatest units that say anything."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    parts: list[str] = []
    rest = milliseconds
    for length, one, many in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count:,} {one if count == 1 else many}")
        elif parts:
            # 1 day and 3 s are a day.
            break
        if len(parts) == 2:
            break
    return " ".join(parts)
