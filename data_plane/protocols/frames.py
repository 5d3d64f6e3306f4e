"""Server-sent-event framing for any chunking of bytes: LF, CRLF and CR, several data lines, comments."""

import re
from collections.abc import Iterator

BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
"""How an event can end. CRLF CRLF ends in the second."""
_BETWEEN_EVENTS = re.compile(rb"\r\n\r\n|\n\r\n|\n\n|\r\r")


def end_of_last_event(text: bytes) -> int:
    """Offset behind the last blank line; 0: no event ends in this text."""
    ends = 0
    for blank in BLANK_LINES:
        at = text.rfind(blank)
        if at >= 0:
            ends = max(ends, at + len(blank))
    return ends


def end_of_first_event(text: bytes) -> int:
    """Offset behind the first blank line; 0: no event ends in this text."""
    match = _BETWEEN_EVENTS.search(text)
    return match.end() if match is not None else 0


def split_events(block: bytes) -> Iterator[bytes]:
    """Cut whole events apart, each with the blank line that ends it."""
    at = 0
    for match in _BETWEEN_EVENTS.finditer(block):
        yield block[at : match.end()]
        at = match.end()
    if at < len(block):
        yield block[at:]


def data_of(event: bytes) -> bytes:
    """The data of one event, its lines joined as the standard says; empty: it has none (a comment, a ping line)."""
    lines = []
    for line in event.splitlines():
        if line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
    return lines[0] if len(lines) == 1 else b"\n".join(lines)
