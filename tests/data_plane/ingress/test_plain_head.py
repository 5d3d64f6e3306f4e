"""What the front reads itself, aiohttp reads in the same way; everything else it leaves to aiohttp."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from data_plane.ingress.plain_head import MAX_HEAD_BYTES, PlainHead, read_plain_head
from data_plane.protocols.codec import RawHeaders

PLAIN = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway:8080\r\nAuthorization: Bearer k\r\nContent-Length: 12\r\n\r\n"
)


def head(*lines: bytes, start: bytes = b"POST /v1/messages HTTP/1.1") -> bytes:
    return b"\r\n".join((start, *lines)) + b"\r\n\r\n"


def read(text: bytes, last: PlainHead | None = None) -> tuple[PlainHead, int]:
    found = read_plain_head(text, last)
    assert found is not None
    return found


def aiohttp_reads(text: bytes) -> tuple[str, str, RawHeaders]:
    """Method, target and headers as aiohttp's server sees them."""
    loop = asyncio.new_event_loop()
    try:
        protocol = web.Server(lambda _: web.Response(), loop=loop)()  # type: ignore[arg-type, return-value]
        parser = HttpRequestParser(
            protocol, loop, 2**16, max_line_size=MAX_HEAD_BYTES, max_field_size=MAX_HEAD_BYTES, auto_decompress=False
        )
        messages, _, _ = parser.feed_data(text)
    finally:
        loop.close()
    message = messages[0][0]
    return message.method, message.path, tuple((name.lower(), value) for name, value in message.raw_headers)


def test_a_plain_head_is_read() -> None:
    plain, length = read(PLAIN)
    assert (plain.route.protocol, plain.route.operation, length) == ("openai_chat", "generate", 12)
    assert plain.head.headers == ((b"host", b"gateway:8080"), (b"authorization", b"Bearer k"))
    assert plain.sight is not None


def test_another_length_is_the_same_head() -> None:
    first, _ = read(PLAIN)
    second, length = read(PLAIN.replace(b": 12", b": 3456"), first)
    assert second is first
    assert length == 3456


@pytest.mark.parametrize(
    ("old", "new"), [(b"Bearer k", b"Bearer j"), (b"chat/completions", b"responses"), (b"Ho", b"HO")]
)
def test_anything_else_is_another_head(old: bytes, new: bytes) -> None:
    first, _ = read(PLAIN)
    second, _ = read(PLAIN.replace(old, new), first)
    assert second is not first
    assert second == read(PLAIN.replace(old, new))[0]


def test_a_key_shows_in_no_repr() -> None:
    assert "Bearer" not in repr(read(PLAIN)[0])


ODD = {
    "chunked": head(b"Host: x", b"Transfer-Encoding: chunked"),
    "chunked and a length": head(b"Host: x", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "packed": head(b"Host: x", b"Content-Length: 1", b"Content-Encoding: gzip"),
    "expects": head(b"Host: x", b"Content-Length: 1", b"Expect: 100-continue"),
    "upgrade": head(b"Host: x", b"Content-Length: 1", b"Upgrade: h2c"),
    "connection: close": head(b"Host: x", b"Content-Length: 1", b"Connection: close"),
    "connection names a header": head(b"Host: x", b"Content-Length: 1", b"Connection: keep-alive, x-a"),
    "no length": head(b"Host: x"),
    "two lengths": head(b"Host: x", b"Content-Length: 1", b"Content-Length: 1"),
    "two lengths, one in disguise": head(b"Host: x", b"Content-Length: 1", b"Content-Length:  1"),
    "a signed length": head(b"Host: x", b"Content-Length: +1"),
    "a list of lengths": head(b"Host: x", b"Content-Length: 1, 1"),
    "a length with a space before the colon": head(b"Host: x", b"Content-Length : 1"),
    "an endless length": head(b"Host: x", b"Content-Length: 99999999999999999999"),
    "no host": head(b"Content-Length: 1"),
    "two hosts": head(b"Host: x", b"Host: x", b"Content-Length: 1"),
    "an empty host": head(b"Host:", b"Content-Length: 1"),
    "a host with a space": head(b"Host: x y", b"Content-Length: 1"),
    "a folded line": head(b"Host: x", b"X-A: 1", b" 2", b"Content-Length: 1"),
    "a bare line feed": head(b"Host: x", b"X-A: 1\nX-B: 2", b"Content-Length: 1"),
    "a bare carriage return": head(b"Host: x", b"X-A: 1\rX-B: 2", b"Content-Length: 1"),
    "a NUL": head(b"Host: x", b"X-A: \0", b"Content-Length: 1"),
    "a control character": head(b"Host: x", b"X-A: \x1b", b"Content-Length: 1"),
    "a nameless header": head(b"Host: x", b": 1", b"Content-Length: 1"),
    "a name with a space": head(b"Host: x", b"X A: 1", b"Content-Length: 1"),
    "HTTP/1.0": head(b"Host: x", b"Content-Length: 1", start=b"POST /v1/messages HTTP/1.0"),
    "HTTP/2.0": head(b"Host: x", b"Content-Length: 1", start=b"POST /v1/messages HTTP/2.0"),
    "another method": head(b"Host: x", b"Content-Length: 1", start=b"PUT /v1/messages HTTP/1.1"),
    "two spaces": head(b"Host: x", b"Content-Length: 1", start=b"POST  /v1/messages HTTP/1.1"),
    "a line break before": b"\r\n" + head(b"Host: x", b"Content-Length: 1"),
    "a whole address": head(b"Host: x", b"Content-Length: 1", start=b"POST http://y/v1/messages HTTP/1.1"),
    "a fragment": head(b"Host: x", b"Content-Length: 1", start=b"POST /v1/messages#a HTTP/1.1"),
    "no exchange": head(b"Host: x", b"Content-Length: 1", start=b"POST /v1/models HTTP/1.1"),
    "too many headers": head(b"Host: x", b"Content-Length: 1", *(b"X-%d: 1" % number for number in range(99))),
    "too long": head(b"Host: x", b"Content-Length: 1", b"X-A: " + b"x" * MAX_HEAD_BYTES),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_left_to_aiohttp(name: str) -> None:
    assert read_plain_head(ODD[name], None) is None


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_stays_odd_behind_a_plain_head(name: str) -> None:
    """Nothing that the first head proved is taken for proven of another one."""
    plain, _ = read(head(b"Host: x", b"Content-Length: 1"))
    assert read_plain_head(ODD[name], plain) is None


NAMES = st.from_regex(rb"[Xx]-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUES = st.from_regex(rb"[\t -~\x80-\xff]{0,24}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.integers(0, 10**8), st.sampled_from([b"", b"?a=b%20&key=1"]))
def test_what_is_read_here_is_what_aiohttp_reads(headers: list[tuple[bytes, bytes]], length: int, query: bytes) -> None:
    lines = [name + b":" + value for name, value in headers]
    text = head(b"Host: x", *lines, b"content-length: %d" % length, start=b"POST /v1/messages" + query + b" HTTP/1.1")
    plain, found = read(text)
    method, target, read_by_aiohttp = aiohttp_reads(text)
    assert (plain.head.method, found) == (method, length)
    assert plain.head.path + ("?" if plain.head.query else "") + plain.head.query == target
    assert plain.head.headers == tuple(header for header in read_by_aiohttp if header[0] != b"content-length")
