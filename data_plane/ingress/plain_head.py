"""The heads that the gateway reads itself: a POST of HTTP/1.1 with a length and nothing out of the ordinary.

Strict by what it takes, not by what it refuses: one pattern says what such a head looks like, and whatever does not fit
goes to aiohttp as it came, to be understood or refused there. So there is one set of rules for odd requests, and a
short way for the requests that all tools send.
"""

import re

import msgspec

from data_plane.exchange.regulars import sight_of
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import Route, route

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
EXCHANGES = frozenset({"generate", "count_tokens", "embed", "compact"})
"""The operations that are asked of a provider."""

_HEAD = re.compile(rb"POST (/[!\"$-~]*) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+)\r\n")
_HOST = re.compile(rb"[0-9A-Za-z._~:\[\]-]+")
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d{1,9})\r\n", re.IGNORECASE)
_ODD = frozenset(
    {b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"te", b"trailer", b"http2-settings"}
)
"""Headers that change how a request is read or answered."""


class PlainHead(msgspec.Struct, frozen=True):
    """A head that was read here, without its length: a tool's next request mostly has the same one.

    Kept by the connection it came on and nowhere else, since it holds the caller's key.
    """

    text: bytes
    """The head as it came, but for the digits of its length."""
    head: RequestHead
    route: Route
    sight: bytes | None

    def __repr__(self) -> str:
        return f"PlainHead({self.route.canonical_path})"


def read_plain_head(text: bytes, last: PlainHead | None) -> tuple[PlainHead, int] | None:
    """Read a whole head, its empty line included, and say how long the body is. None: it is for aiohttp to read.

    last: the head before it on this connection.
    """
    length = _LENGTH.search(text)
    if length is None:
        return None
    start, end = length.span(1)
    rest = text[:start] + text[end:]
    if last is None or last.text != rest:
        last = _read(text, rest)
        if last is None:
            return None
    return last, int(length[1])


def _read(text: bytes, rest: bytes) -> PlainHead | None:
    found = _HEAD.fullmatch(text)
    if found is None or len(text) > MAX_HEAD_BYTES:
        return None
    headers: list[tuple[bytes, bytes]] = []
    hosts = lengths = 0
    for line in found[2].split(b"\r\n")[:-1]:
        name, _, padded = line.partition(b":")
        name, value = name.lower(), padded.strip(b" \t")
        if name in _ODD:
            return None
        if name == b"host":
            if _HOST.fullmatch(value) is None:
                return None
            hosts += 1
        elif name == b"content-length":
            lengths += 1
            continue
        elif name == b"connection" and value.lower() != b"keep-alive":
            return None
        headers.append((name, value))
    if hosts != 1 or lengths != 1 or len(headers) >= MAX_HEADERS:
        return None
    path, _, query = found[1].decode("ascii").partition("?")
    head = RequestHead("POST", path, query, tuple(headers))
    routed = route(head.method, head.path, head.headers, head.query)
    if not isinstance(routed, Route) or routed.operation not in EXCHANGES:
        return None
    return PlainHead(rest, head, routed, sight_of(head))
