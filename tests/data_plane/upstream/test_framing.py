"""Where answers begin and end, for every framing and any cutting of the bytes."""

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.upstream.framing import MAX_HEADERS, LengthBody, RestOfConnectionBody, Unframed, read_head


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/1.2 200 OK\r\n\r\n", "does not begin"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "does not begin"),
        (b"HTTP/0.9 200 OK\r\n\r\n", "does not begin"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "does not begin"),
        (b"ICY 200 OK\r\n\r\n", "does not begin"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "syntax"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "syntax"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "syntax"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "status"),
        (b"HTTP/1.1 600 OK\r\n\r\n", "status"),
        (b"HTTP/1.1 200 OK\nA: b\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\n", "length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", "transfer encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "transfer encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer encoding"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer encoding"),
        (b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "unasked"),
        (b"HTTP/1.1 101 Go\r\n\r\n", "syntax"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", "headers"),
    ],
)
def test_a_head_that_cannot_be_framed_beyond_doubt_is_refused(head: bytes, why: str) -> None:
    with pytest.raises(Unframed, match=why):
        read_head(head, "POST")


def test_headers_are_kept_as_they_came() -> None:
    head = read_head(b"HTTP/1.1 429 Slow\r\nX-A: 1\r\nx-a:  2\r\nX_B: \xe9\r\nEmpty:\r\n\r\n", "POST")
    assert head.status == 429
    assert head.headers == ((b"X-A", b"1"), (b"x-a", b"2"), (b"X_B", b"\xe9"), (b"Empty", b""))


@pytest.mark.parametrize(
    ("lines", "method", "length"),
    [
        (b"200 OK\r\nContent-Length: 12", "POST", 12),
        (b"200 OK\r\nContent-Length: 0", "POST", 0),
        (b"200 OK\r\nContent-Length: 12 ", "POST", 12),
        (b"200 OK\r\nContent-Length: 12", "HEAD", 0),
        (b"200 OK\r\nTransfer-Encoding: chunked", "HEAD", 0),
        (b"204 None\r\nContent-Length: 12", "POST", 0),
        (b"304 Same\r\nContent-Length: 12", "GET", 0),
        (b"103 Early\r\nLink: </a>", "POST", 0),
        (b"200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3", "POST", 3),
    ],
)
def test_the_length_of_a_body(lines: bytes, method: str, length: int) -> None:
    head = read_head(b"HTTP/1.1 " + lines + b"\r\n\r\n", method)
    assert isinstance(head.body, LengthBody)
    assert head.body.bytes_expected == length
    assert head.body.is_complete == (length == 0)
    assert head.keeps_alive


@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 1\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: closed\r\nContent-Length: 1\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
    ],
)
def test_whether_a_connection_may_serve_again(head: bytes, keeps_alive: bool) -> None:
    assert read_head(head, "POST").keeps_alive is keeps_alive


def test_without_length_and_chunks_the_connection_is_the_body() -> None:
    assert isinstance(read_head(b"HTTP/1.1 200 OK\r\n\r\n", "POST").body, RestOfConnectionBody)


CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def feed_all(pieces: list[bytes]) -> tuple[bytes, bool, bool, str | None]:
    """Feed pieces until the end or a fault. What follows the end in a later piece counts as surplus too."""
    body = read_head(CHUNKED_HEAD, "POST").body
    content = b""
    has_late_surplus = False
    for piece in pieces:
        if body.is_complete or body.fault:
            has_late_surplus = True
            break
        content += body.feed(piece)
    return content, body.is_complete, body.has_surplus or has_late_surplus, body.fault


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


CHUNKED = [
    (b"0\r\n\r\n", b"", True, False),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello", True, False),
    (
        b"5;ext=1;x\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\nAuthorization: y\r\n\r\n",
        b"hello0123456789",
        True,
        False,
    ),
    (b"0005\r\n\r\n\r\n\r\r\n0\r\n\r\n", b"\r\n\r\n\r", True, False),
    (b"5\r\nhello\r\n0\r\n\r\n\r\n", b"hello", True, True),
    (b"5\r\nhello\r\n0\r\n\r\n\n", b"hello", True, True),
    (b"5\r\nhello\r\n0\r\nA: b\r\n\r\n\r\n\r\n", b"hello", True, True),
    (b"5\r\nhello\r\n0\r\n\r\nx", b"hello", True, True),
    (b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"hello", True, True),
    (b"5\r\nhello\r\n0\r\n\r\n" + CHUNKED_HEAD + b"3\r\nbad\r\n0\r\n\r\n", b"hello", True, True),
]


@given(st.sampled_from(CHUNKED), st.lists(st.integers(0, 1000), max_size=12))
def test_a_chunked_body_is_the_same_however_it_is_cut(case: tuple[bytes, bytes, bool, bool], places: list[int]) -> None:
    wire, content, is_complete, has_surplus = case
    assert feed_all(cut(wire, places)) == (content, is_complete, has_surplus, None)


@given(
    st.sampled_from(
        [b"Z\r\n", b" 5\r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhelloX", b"0x5\r\nhello\r\n", b"-1\r\n", b"+5\r\n"]
    ),
    st.lists(st.integers(0, 1000), max_size=8),
)
def test_broken_chunks_are_a_fault_after_the_good_content(broken: bytes, places: list[int]) -> None:
    content, is_complete, _, fault = feed_all(cut(b"3\r\nabc\r\n" + broken, places))
    assert content.startswith(b"abc")
    assert not is_complete
    assert fault == "broken chunk framing"


@pytest.mark.parametrize("weight", [b";" + b"x" * 100, b"0\r\n" + b"A: " + b"b" * 100])
def test_framing_without_content_has_a_limit(weight: bytes) -> None:
    body = read_head(CHUNKED_HEAD, "POST").body
    body.feed(b"1" + weight[:1] if weight.startswith(b";") else weight[:6])
    for _ in range(2000):
        body.feed(b"x" * 100)
        if body.fault:
            break
    assert body.fault == "chunk framing without content beyond the limit"


@given(st.binary(max_size=300), st.binary(max_size=40), st.lists(st.integers(0, 1000), max_size=8))
def test_a_body_of_known_length_ends_exactly_there(content: bytes, surplus: bytes, places: list[int]) -> None:
    body = LengthBody(len(content))
    received, has_late_surplus = b"", False
    for piece in cut(content + surplus, places):
        if body.is_complete:
            has_late_surplus = True
            break
        received += body.feed(piece)
    assert received == content
    assert body.is_complete
    assert (body.has_surplus or has_late_surplus) == bool(surplus)


def test_the_parser_takes_upgrade_answers_as_we_believe() -> None:
    # read_head relies on it: only a 101 stops the parser, an Upgrade header on a 200 does not.
    parser = httptools.HttpResponseParser(object())
    parser.feed_data(b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n")
