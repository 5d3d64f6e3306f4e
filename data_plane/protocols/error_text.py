"""A provider's error message, brought to what may be stored."""

import re

from data_plane.conversation.tally import MAX_ERROR_TEXT

# Providers quote what the caller sent, and tokens of keys are long runs; neither may reach a log or a row.
_QUOTED = re.compile(r"""(?P<quote>["'`])(?:(?!(?P=quote)).)+(?P=quote)|“[^”]*”|‘[^’]*’""", re.DOTALL)
_LONG_RUN = re.compile(r"[A-Za-z0-9_\-+/=.]{33,}")


def clean_error(text: str) -> str:
    """Take out what is quoted and what could be a secret, and clip."""
    text = _QUOTED.sub("“…”", text[: 4 * MAX_ERROR_TEXT])
    text = _LONG_RUN.sub("…", text)
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= MAX_ERROR_TEXT else text[: MAX_ERROR_TEXT - 1] + "…"
