"""Where an answer begins and ends. Pure: bytes in, values out.

httptools reads the head and takes chunks apart; the end of a Content-Length body is counted here, because the parser
never tells the position at which a message ends and copies what it hands on. The head is gathered first and fed once:
fed in dribbles, the parser's header values grow quadratically. A parser serves one answer: after a head fed without
its body (HEAD, Content-Length) it would take the next answer for that body.
"""

from typing import NamedTuple, Protocol

import httptools

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
# Chunk framing that brings no content for so long (extensions, trailers) is no answer but a weight.
MAX_IDLE_FRAMING_BYTES = 64 * 1024

# Content-Length, Transfer-Encoding, Connection: the length of a name is the cheapest filter.
_FRAMING_NAME_LENGTHS = frozenset({14, 17, 10})

Headers = tuple[tuple[bytes, bytes], ...]


class Unframed(Exception):
    """The bytes break a rule of framing; the message names the rule and never repeats the bytes."""


class Body(Protocol):
    """Takes the bytes behind a head and gives back the content in them, without any framing.

    is_complete: the end was in the bytes fed so far. has_surplus: and more came behind it. fault: which rule the bytes
    broke; what was given before stays good. Not fed after the end or a fault.
    bytes_expected: the Content-Length, where there is one.
    """

    is_complete: bool
    has_surplus: bool
    ends_with_connection: bool
    bytes_expected: int | None
    fault: str | None

    def feed(self, data: bytes) -> bytes: ...


class LengthBody:
    """A body of a known length; also the empty body of 204, 304 and HEAD answers."""

    __slots__ = ("_missing", "bytes_expected", "has_surplus", "is_complete")
    ends_with_connection = False
    fault: str | None = None

    def __init__(self, length: int) -> None:
        self._missing = length
        self.bytes_expected: int | None = length
        self.is_complete = length == 0
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        missing = self._missing - len(data)
        self._missing = missing
        if missing > 0:
            return data
        self.is_complete = True
        if missing == 0:
            return data
        self.has_surplus = True
        return data[:missing]


class RestOfConnectionBody:
    """A body without length and chunks: it lasts until the provider closes."""

    __slots__ = ("has_surplus", "is_complete")
    ends_with_connection = True
    bytes_expected: int | None = None
    fault: str | None = None

    def __init__(self) -> None:
        self.is_complete = False
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        return data


class _Callbacks:
    """What the parser reports of one answer. Holds no reference to the parser, so that no cycle is left behind."""

    __slots__ = ("has_second_message", "headers", "is_complete", "on_body", "pieces", "pieces_at_end")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.pieces_at_end = 0
        self.is_complete = False
        self.has_second_message = False

    def on_message_begin(self) -> None:
        self.has_second_message = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        if not self.is_complete:
            self.is_complete = True
            self.pieces_at_end = len(self.pieces)


class ChunkedBody:
    """A chunked body; extensions and trailers are dropped."""

    __slots__ = ("_callbacks", "_idle_bytes", "_parser", "_tail", "fault", "has_surplus", "is_complete")
    ends_with_connection = False
    bytes_expected: int | None = None

    def __init__(self, parser: httptools.HttpResponseParser, callbacks: _Callbacks) -> None:
        self._parser = parser
        self._callbacks = callbacks
        self._tail = b"     "
        self._idle_bytes = 0
        self.fault: str | None = None
        self.is_complete = False
        self.has_surplus = False

    def feed(self, data: bytes) -> bytes:
        callbacks = self._callbacks
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not callbacks.is_complete:
                self.fault = "broken chunk framing"
            self.has_surplus = True
        pieces = callbacks.pieces
        if callbacks.is_complete:
            self.is_complete = True
            # The parser skips line breaks between two messages without a word, hence the look at the last bytes:
            # a chunked body ends in one empty line, never in two.
            end = (self._tail + data[-5:])[-5:]
            if callbacks.has_second_message or end[1:] != b"\r\n\r\n" or end[:1] == b"\n":
                self.has_surplus = True
            del pieces[callbacks.pieces_at_end :]
        else:
            self._tail = data[-5:] if len(data) >= 5 else (self._tail + data)[-5:]
        if not pieces:
            self._idle_bytes += len(data)
            if self._idle_bytes > MAX_IDLE_FRAMING_BYTES and not self.is_complete:
                self.fault = "chunk framing without content beyond the limit"
            return b""
        self._idle_bytes = 0
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return content


class Head(NamedTuple):
    """Status line and headers of an answer, names as they came. A tuple, since one is made per answer.

    keeps_alive: the connection may serve another request, as far as the head says.
    """

    status: int
    headers: Headers
    keeps_alive: bool
    body: LengthBody | ChunkedBody | RestOfConnectionBody

    @property
    def is_interim(self) -> bool:
        """100 to 199: the answer proper is still to come."""
        return self.status < 200


def read_head(data: bytes, method: str) -> Head:
    """Read one complete head, its empty line included.

    method: of the request, since the answer to HEAD has no body whatever its headers say.
    Raises Unframed.
    """
    version = data[:9]
    if version not in (b"HTTP/1.1 ", b"HTTP/1.0 "):
        raise Unframed("does not begin with HTTP/1.1 or HTTP/1.0")
    callbacks = _Callbacks()
    parser = httptools.HttpResponseParser(callbacks)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as failure:
        raise Unframed("changes the protocol unasked") from failure
    except httptools.HttpParserError as failure:
        raise Unframed("syntax of the head") from failure
    status = parser.get_status_code()
    headers = tuple(callbacks.headers)
    if not 100 <= status <= 599 or data[12:13] not in b" \r":
        raise Unframed("status outside 100 to 599")
    if status == 101:
        raise Unframed("changes the protocol unasked")
    if len(headers) > MAX_HEADERS:
        raise Unframed(f"more than {MAX_HEADERS} headers")

    length: int | None = None
    is_chunked = False
    keeps_alive = version == b"HTTP/1.1 "
    for name, value in headers:
        if len(name) not in _FRAMING_NAME_LENGTHS:
            continue
        match name.lower():
            case b"content-length":
                length = _read_length(value.strip(), length)
            case b"transfer-encoding":
                if is_chunked or value.strip().lower() != b"chunked" or version != b"HTTP/1.1 ":
                    raise Unframed("a transfer encoding other than chunked, once, on HTTP/1.1")
                is_chunked = True
            case b"connection" if _has_close(value):
                keeps_alive = False
            case _:
                pass
    if is_chunked and length is not None:
        raise Unframed("both a length and chunks")
    if status < 200 or status in (204, 304) or method == "HEAD":
        return Head(status, headers, keeps_alive, LengthBody(0))
    if is_chunked:
        return Head(status, headers, keeps_alive, ChunkedBody(parser, callbacks))
    if length is not None:
        return Head(status, headers, keeps_alive, LengthBody(length))
    return Head(status, headers, False, RestOfConnectionBody())


def _read_length(value: bytes, known: int | None) -> int:
    if known is not None or not value.isdigit() or len(value) > 18:
        raise Unframed("a content length that is repeated or no number")
    return int(value)


def _has_close(value: bytes) -> bool:
    return b"close" in [token.strip() for token in value.lower().split(b",")]
