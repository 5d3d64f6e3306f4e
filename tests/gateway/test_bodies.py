"""Bodies: what is no request, what is too large, what is packed (reliability D12, D19-D33)."""

import socket
import threading
import zlib

import pytest
import zstandard

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.test_bad_input import BODY, head_of
from tests.gateway.wire import connect, exchange_raw, read_answer, read_until_close


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b'{"model":}',
        b"\xef\xbb\xbf{}",
        b'{"model\xff":1}',
        b'{"model":"x","stream":true}garbage',
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"model":NaN}',
    ],
    ids=["empty", "null", "list", "text", "number", "open", "hole", "bom", "utf8", "trailing", "deep", "nan"],
)
def test_a_body_that_is_no_object_is_a_400(fleet: Fleet, key: KeyToken, dialect: Dialect, body: bytes) -> None:
    """D22, D23, D24."""
    target = dialect.target(dialect.model, streams=False)
    answer = fleet.pod.call("POST", target, dialect.headers(key), body)
    assert (answer.status, answer.header("x-should-retry")) == (400, "false"), answer.text[:300]
    assert answer.header("x-switchyard-error-source") == "gateway"


@pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT], ids=str)
@pytest.mark.parametrize(
    "fields",
    [
        '"model":"a","model":"b"',
        '"model":"a","\\u006dodel":"b"',
        '"Model":"a","model":"b"',
        '"stream":true,"stream":false,"model":"a"',
        '"model":""',
        '"model":["a"]',
        '"model":null',
        '"model":7',
        '"messages":[]',
        '"model":"claude-sonnet-4-6","stream":"true"',
        '"model":"claude-sonnet-4-6","stream":1',
        '"model":"' + "m" * 10_000 + '"',
    ],
)
def test_a_field_that_decides_must_be_plain(fleet: Fleet, key: KeyToken, dialect: Dialect, fields: str) -> None:
    """D25, D26, D30."""
    body = ("{" + fields + ',"max_tokens":5}').encode()
    answer = fleet.pod.call("POST", dialect.target("", streams=False), dialect.headers(key), body)
    assert answer.status == 400, answer.text


@pytest.mark.parametrize("model", ["../../etc/passwd", "a\\nb", "' OR 1=1 --", "house-model\\u0000", "\\ud800", "*"])
def test_a_model_is_taken_literally(fleet: Fleet, key: KeyToken, model: str) -> None:
    """D06, D26."""
    body = b'{"max_tokens":5,"messages":[],"model":"%b"}' % model.encode()
    answer = fleet.pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), body)
    assert answer.status in (400, 404)
    if model != "*":
        path = "/v1beta/models/%2e%2e%2f%2e%2e%2fetc:generateContent"
        assert fleet.pod.call("POST", path, GEMINI.headers(key), b"{}").status == 404


def test_fields_that_name_destinations_go_nowhere(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """D16, D17, D29, D32."""
    body = CHAT.body(
        "gpt-5.2",
        streams=False,
        api_base="http://127.0.0.1:1/",
        base_url="http://127.0.0.1:1/",
        api_key="sk-other",
        custom_llm_provider="other",
        extra_headers={"Authorization": "Bearer x"},
    )
    headers = [
        *CHAT.headers(key, x_sim_marker=marker),
        ("Connection", "authorization, x-api-key"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Original-URL", "/admin"),
        ("X-Org-Id", "other"),
    ]
    assert fleet.pod.call("POST", "/v1/chat/completions", headers, body).status == 200
    request = fleet.provider.request(marker)
    assert request.body == body
    assert request.header("authorization") == "Bearer upstream-secret-of-the-account"


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        "not json",
        '{"a":{}}',
        "{" + ",".join(f'"k{at}":"v"' for at in range(1000)) + "}",
        '{"a":"' + "x" * 20_000 + '"}',
        '{"":"x"}',
    ],
    ids=["list", "text", "nested", "many", "long", "nameless"],
)
def test_tags_have_bounds(fleet: Fleet, key: KeyToken, value: str) -> None:
    """D33."""
    headers = [*ANTHROPIC.headers(key), ("x-switchyard-metadata", value)]
    answer = fleet.pod.call("POST", "/v1/messages", headers, BODY)
    assert answer.status == 400
    assert "x-switchyard-metadata" in answer.text


# Sizes and codings.

MIB = 1024 * 1024


def large_body(size: int) -> bytes:
    start, end = b'{"model":"gpt-5.2","messages":[{"role":"user","content":"', b'"}]}'
    return start + b"x" * (size - len(start) - len(end)) + end


def test_32_mib_pass_and_33_do_not(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """D19."""
    body = large_body(32 * MIB)
    headers = CHAT.headers(key, x_sim_marker=marker)
    assert fleet.pod.call("POST", "/v1/chat/completions", headers, body).status == 200
    assert fleet.provider.record(marker)["body_bytes"] == 32 * MIB
    with connect(fleet.url) as sock:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\n"
        sock.sendall(f"{head}Content-Length: {33 * MIB}\r\n\r\n".encode())
        answer = read_answer(sock)
    assert (answer.status, answer.json["error"]["type"]) == (413, "invalid_request_error")


def test_a_body_without_a_length_has_the_same_limit(fleet: Fleet, key: KeyToken) -> None:
    chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
    with connect(fleet.url) as sock:
        sock.sendall(head_of(key, "Transfer-Encoding: chunked") + b"\r\n")
        sender = threading.Thread(target=_send_all, args=(sock, chunk * 34 + b"0\r\n\r\n"))
        sender.start()
        answer = read_answer(sock)
        sender.join()
    assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")


def _send_all(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except OSError:
        # The pod need not take what it has refused.
        return


def test_a_length_that_lies_does_not_leak_into_the_next_request(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """D19: short and long."""
    short = head_of(key, f"Content-Length: {len(BODY) - 5}", f"x-sim-marker: {marker}") + b"\r\n" + BODY
    status, received = exchange_raw(fleet.url, short)
    assert status == 400
    assert b" 200 " not in received
    with connect(fleet.url) as sock:
        sock.sendall(head_of(key, f"Content-Length: {len(BODY) + 5}", f"x-sim-marker: {marker}") + b"\r\n" + BODY)
        sock.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_until_close(sock)
    assert fleet.provider.records(marker) == []


def gzip(data: bytes, level: int = 9) -> bytes:
    engine = zlib.compressobj(level, wbits=31)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity", "GZIP"])
def test_a_packed_body_goes_upstream_unpacked(fleet: Fleet, key: KeyToken, marker: str, coding: str) -> None:
    body = CHAT.body("gpt-5.2", streams=False, prompt="words and words " * 200)
    packed = {"gzip": gzip, "zstd": zstandard.compress}.get(coding.lower(), bytes)(body)
    headers = [*CHAT.headers(key, x_sim_marker=marker), ("Content-Encoding", coding)]
    assert fleet.pod.call("POST", "/v1/chat/completions", headers, packed).status == 200
    request = fleet.provider.request(marker)
    assert request.body == body
    assert request.header("content-encoding") is None


BOMB = gzip(b"x" * (64 * MIB))


@pytest.mark.parametrize(
    ("coding", "data", "status"),
    [
        ("gzip", BOMB, 413),
        ("gzip", gzip(BOMB), 400),
        ("gzip", gzip(BODY)[:-10], 400),
        ("gzip", gzip(BODY) + b"more", 400),
        ("gzip", b"not gzip", 400),
        ("zstd", zstandard.ZstdCompressor(level=1).compress(b"\0" * (256 * MIB)), 413),
        ("zstd", zstandard.compress(BODY)[:-5], 400),
        ("zstd", b"\x28\xb5\x2f\xfd\x00\xff" + b"\0" * 50, 400),
        ("br", b"x", 415),
        ("gzip, gzip", gzip(gzip(BODY)), 415),
        ("deflate", b"x", 415),
    ],
    ids=[
        "gzip bomb",
        "gzip in gzip",
        "cut gzip",
        "gzip and more",
        "no gzip",
        "zstd bomb",
        "cut zstd",
        "wide zstd",
        "brotli",
        "twice",
        "deflate",
    ],
)
def test_a_packed_body_has_bounds(fleet: Fleet, key: KeyToken, coding: str, data: bytes, status: int) -> None:
    """D20, D21: and memory stays flat."""
    headers = [*ANTHROPIC.headers(key), ("Content-Encoding", coding)]
    before = resident_bytes(fleet.pod.pid)
    answer = fleet.pod.call("POST", "/v1/messages", headers, data)
    assert answer.status == status, answer.text
    assert resident_bytes(fleet.pod.pid) - before < 64 * MIB


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * 4096


def test_many_tiny_chunks_are_one_body(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """D12, small: a byte a chunk."""
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY * 1)
    lines = ("Transfer-Encoding: chunked", f"x-sim-marker: {marker}", "Connection: close")
    status, _ = exchange_raw(fleet.url, head_of(key, *lines) + b"\r\n" + chunks + b"0\r\n\r\n")
    assert status == 200
    assert fleet.provider.request(marker).body == BODY


def test_a_key_with_a_million_others_is_read_fast(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """D24: a flat object of 200,000 fields."""
    fields = ",".join(f'"f{at}":0' for at in range(200_000))
    body = b'{"model":"gpt-5.2","messages":[{"role":"user","content":"hi"}],%b}' % fields.encode()
    answer = fleet.pod.call("POST", "/v1/chat/completions", CHAT.headers(key, x_sim_marker=marker), body)
    assert answer.status == 200
    assert fleet.pod.metric("switchyard_loop_lag_seconds") < 2
