"""What goes on the wire before the body."""

from typing import Any

import pytest

from data_plane.upstream.request import Origin, UpstreamRequest, encode_head, size_of

ORIGIN = Origin("https", "api.example.com", 443)


def a_head(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "method": "POST",
        "target": "/v1/messages",
        "headers": (),
        "body": b"{}",
    }
    return encode_head(UpstreamRequest(**(fields | changes)), ORIGIN.host_header())


def test_headers_go_out_as_given() -> None:
    assert a_head(headers=((b"X-Odd_Name", b"\xe9 a, b"), (b"x-empty", b""), (b"x-odd_name", b"again"))) == (
        b"POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\nX-Odd_Name: \xe9 a, b\r\nx-empty: \r\n"
        b"x-odd_name: again\r\nContent-Length: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body", "has_length"),
    [("POST", b"", True), ("PUT", b"", True), ("GET", b"", False), ("HEAD", b"", False), ("DELETE", b"x", True)],
)
def test_a_length_is_said_where_it_means_something(method: str, body: bytes, has_length: bool) -> None:
    assert (b"Content-Length: %d\r\n" % len(body) in a_head(method=method, body=body)) is has_length


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": ((b"a", b"b\r\nEvil: 1"),)},
        {"headers": ((b"a", b"b\nEvil: 1"),)},
        {"headers": ((b"a\r\nEvil", b"b"),)},
        {"headers": ((b"a", b"b\r"),)},
        {"headers": ((b"a", b"b\0"),)},
        {"target": "/v1 HTTP/1.1"},
        {"target": "/v1\r\nEvil: 1"},
        {"target": "http://other.test/"},
        {"target": ""},
        {"target": "/caf\u00e9"},
        {"method": "GET /"},
        {"method": ""},
    ],
)
def test_one_request_cannot_become_two(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"line break|not valid|ordinal"):
        a_head(**changes)


@pytest.mark.parametrize(
    ("origin", "host", "text"),
    [
        (Origin("https", "a.test", 443), b"a.test", "https://a.test:443"),
        (Origin("http", "a.test", 80), b"a.test", "http://a.test:80"),
        (Origin("https", "a.test", 80), b"a.test:80", "https://a.test:80"),
        (Origin("http", "::1", 8080), b"[::1]:8080", "http://[::1]:8080"),
        (Origin("https", "b\u00fccher.test", 443), b"xn--bcher-kva.test", "https://b\u00fccher.test:443"),
    ],
)
def test_the_host_header(origin: Origin, host: bytes, text: str) -> None:
    assert origin.host_header() == host
    assert str(origin) == text


def test_a_memoryview_is_counted_in_bytes() -> None:
    assert size_of(memoryview(bytearray(16)).cast("I")) == 16


def test_the_parts_of_a_body_count_as_one() -> None:
    assert b"Content-Length: 5\r\n" in a_head(body=(b"ab", bytearray(b"c"), b"", memoryview(b"de")))
