"""Bad HTTP and bad JSON, a case a line (reliability D01-D36, as far as they apply to one pod)."""

import json
import socket
import struct
import threading
import zlib
from dataclasses import dataclass

import pytest
import zstandard

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.wire import connect, exchange_raw, read_answer, read_until_close

BODY = ANTHROPIC.body("claude-sonnet-4-6", streams=False)


def head_of(key: KeyToken | str, *lines: str, target: str = "/v1/messages", host: str = "gateway") -> bytes:
    """A request's head with a key, up to and with the last header's line."""
    text = key if isinstance(key, str) else key.text
    found = [f"POST {target} HTTP/1.1", f"Host: {host}", f"x-api-key: {text}", "anthropic-version: 2023-06-01", *lines]
    return "".join(f"{line}\r\n" for line in found).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Framing:
    """Header lines and what follows them, which no server may make sense of."""

    name: str
    lines: tuple[str, ...]
    rest: bytes = b"{}"


SMUGGLING = (
    Framing("D08 length and chunked", ("Content-Length: 4", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
    Framing("D09 two lengths", ("Content-Length: 2", "Content-Length: 3")),
    Framing("D09 two equal lengths", ("Content-Length: 2", "Content-Length: 2")),
    Framing("D09 plus", ("Content-Length: +2",)),
    Framing("D09 hex", ("Content-Length: 0x2",)),
    Framing("D09 list", ("Content-Length: 2,2",)),
    Framing("D09 negative", ("Content-Length: -1",)),
    Framing("D09 2^64", ("Content-Length: 18446744073709551616",)),
    Framing("D09 text", ("Content-Length: two",)),
    Framing("D10 xchunked", ("Transfer-Encoding: xchunked",), b"0\r\n\r\n"),
    Framing("D10 chunked, identity", ("Transfer-Encoding: chunked, identity",), b"0\r\n\r\n"),
    Framing("D10 gzip", ("Transfer-Encoding: gzip",), b"x"),
    Framing("D11 chunk size overflow", ("Transfer-Encoding: chunked",), b"fffffffffffffffff1\r\nx\r\n0\r\n\r\n"),
    Framing("D11 chunk size text", ("Transfer-Encoding: chunked",), b"xyz\r\n{}\r\n0\r\n\r\n"),
    Framing("D11 chunk size signed", ("Transfer-Encoding: chunked",), b"+2\r\n{}\r\n0\r\n\r\n"),
    Framing("D11 chunk without end of line", ("Transfer-Encoding: chunked",), b"2\r\n{}0\r\n\r\n"),
    Framing("D13 bare LF in a value", ("x-a: b\nx-c: d",)),
    Framing("D13 NUL in a value", ("x-a: b\0c",)),
    Framing("D13 folded line", ("x-a: b\r\n c",)),
    Framing("D13 space before the colon", ("x-a : b",)),
    Framing("D13 no name", (": b",)),
    Framing("D13 bare CR", ("x-a: b\rc",)),
)


@pytest.mark.parametrize("case", SMUGGLING, ids=lambda case: case.name)
def test_framing_that_could_be_read_in_two_ways_is_refused_and_closed(
    fleet: Fleet, key: KeyToken, case: Framing
) -> None:
    own = () if any("ength" in line or "ransfer" in line for line in case.lines) else ("Content-Length: 2",)
    innocent = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    status, received = exchange_raw(fleet.url, head_of(key, *case.lines, *own) + b"\r\n" + case.rest + innocent)
    assert status == 400, received[:300]
    assert b" 200 OK" not in received, "what followed was taken for a request of its own"
    assert key.text.encode() not in received


@pytest.mark.parametrize(
    ("name", "data", "statuses"),
    [
        ("D14 100k target", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431}),
        ("D14 1 MB header", b"GET / HTTP/1.1\r\nHost: x\r\nx-a: " + b"a" * 1_000_000 + b"\r\n\r\n", {431}),
        ("D14 10k headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x-a: b\r\n" * 10_000 + b"\r\n", {400, 431}),
        ("D35 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
        ("D35 TLS on a plain port", bytes.fromhex("1603010200010001fc0303") + b"\0" * 600, {400}),
        ("D35 no HTTP at all", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", {400}),
        ("D35 HTTP/9", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {400, 505}),
    ],
)
def test_what_is_no_request_is_refused_and_closed(fleet: Fleet, name: str, data: bytes, statuses: set[int]) -> None:
    status, received = exchange_raw(fleet.url, data)
    assert status in statuses, (name, received[:300])


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "PATCH"])
def test_other_methods_lead_nowhere(fleet: Fleet, key: KeyToken, method: str) -> None:
    target = "example.com:443" if method == "CONNECT" else "/v1/messages"
    data = f"{method} {target} HTTP/1.1\r\nHost: example.com\r\nx-api-key: {key.text}\r\nConnection: close\r\n\r\n"
    status, received = exchange_raw(fleet.url, data.encode())
    assert status in (400, 404, 405)
    assert key.text.encode() not in received, "TRACE would hand the key to a script"


@pytest.mark.parametrize(
    ("name", "target", "host", "status"),
    [
        ("absolute form", "http://evil.example/v1/messages", "evil.example", {200, 400, 404}),
        ("parent folders", "/v1/../v1/messages", "x", {404, 400}),
        ("encoded parents", "/v1/%2e%2e/v1/messages", "x", {404, 400}),
        ("parameters", "/v1/messages;jsessionid=1", "x", {404, 400}),
        ("another host", "/v1/messages", "evil.example", {200}),
        ("host with a path", "/v1/messages", "a/b", {200, 400}),
    ],
)
def test_no_target_or_host_leads_elsewhere(
    fleet: Fleet, key: KeyToken, marker: str, name: str, target: str, host: str, status: set[int]
) -> None:
    """D15: whatever is asked, it goes to the account's address or nowhere; without a key it never goes."""
    length = f"Content-Length: {len(BODY)}"
    ending = b"Connection: close\r\n\r\n" + BODY
    wanted = head_of(key, length, f"x-sim-marker: {marker}", target=target, host=host) + ending
    found, received = exchange_raw(fleet.url, wanted)
    assert found in status, received[:300]
    assert len(fleet.provider.records(marker)) == (1 if found == 200 else 0)
    anonymous = head_of("nobody", length, target=target, host=host) + ending
    assert exchange_raw(fleet.url, anonymous)[0] in (400, 401, 404)


def test_a_missing_or_double_host_changes_nothing(fleet: Fleet, key: KeyToken, marker: str) -> None:
    ending = f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n".encode() + BODY
    start = f"POST /v1/messages HTTP/1.1\r\nx-api-key: {key.text}\r\nanthropic-version: 1\r\n".encode()
    for hosts in (b"", b"Host: a\r\nHost: b\r\n"):
        status, _ = exchange_raw(fleet.url, start + hosts + f"x-sim-marker: {marker}\r\n".encode() + ending)
        assert status in (200, 400)
    for record in fleet.provider.records(marker):
        kept = fleet.provider.get(f"/ledger/{record['id']}/request")
        hosts_sent = [value for name, value in kept["headers"] if name.lower() == "host"]
        assert hosts_sent == [fleet.provider.url.removeprefix("http://")]


@pytest.mark.parametrize(
    "credential",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "' OR 1=1 --",
        "${jndi:ldap://x/y}",
        "{{7*7}}",
        "*",
        "sypat_" + "0" * 10_000,
        "sypat_\u00e9\u00ff",
        "../../etc/passwd",
        "sypat_%00",
    ],
    ids=range(13),
)
def test_no_odd_credential_is_a_key(fleet: Fleet, credential: str) -> None:
    """D01, D04, D06."""
    for name in ("x-api-key", "authorization", "x-switchyard-key"):
        lines = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\n{name}: {credential}\r\nContent-Length: 2\r\n"
        status, received = exchange_raw(fleet.url, lines.encode("latin-1") + b"Connection: close\r\n\r\n{}")
        assert status in (400, 401), (name, received[:200])
    if len(credential) > 8:
        assert credential not in fleet.pod.log


def test_no_single_changed_character_leaves_a_key_valid(fleet: Fleet, key: KeyToken) -> None:
    """D03, at every third position."""
    for at in range(0, len(key.text), 3):
        other = "a" if key.text[at] != "a" else "b"
        changed = key.text[:at] + other + key.text[at + 1 :]
        answer = fleet.pod.call("GET", "/v1/models", [("x-api-key", changed)])
        assert answer.status == 401, at


# Bodies.


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


# Connections.


def test_pipelined_requests_are_judged_one_by_one(fleet: Fleet, key: KeyToken) -> None:
    """D36."""
    ending = f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    requests = []
    for at in range(60):
        credential = key.text if at % 3 else "nobody"
        requests.append(head_of(credential) + ending)
    with connect(fleet.url) as sock:
        sender = threading.Thread(target=sock.sendall, args=(b"".join(requests),))
        sender.start()
        reader = sock.makefile("rb")
        statuses = [_read_status(reader) for _ in range(60)]
        sender.join()
    assert statuses == [200 if at % 3 else 401 for at in range(60)]


def _read_status(reader: object) -> int:
    line = reader.readline()  # type: ignore[attr-defined]
    length = 0
    while (header := reader.readline().strip()) != b"":  # type: ignore[attr-defined]
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    reader.read(length)  # type: ignore[attr-defined]
    return int(line.split()[1])


def test_a_body_is_asked_for_only_after_the_key_was_accepted(fleet: Fleet, key: KeyToken) -> None:
    with connect(fleet.url) as sock:
        sock.sendall(head_of("nobody", f"Content-Length: {len(BODY)}", "Expect: 100-continue") + b"\r\n")
        assert read_answer(sock).status == 401
    with connect(fleet.url) as sock:
        sock.sendall(head_of(key, f"Content-Length: {len(BODY)}", "Expect: 100-continue") + b"\r\n")
        assert sock.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(BODY)
        assert read_answer(sock).status == 200


def test_http_1_0_gets_an_answer_that_ends_with_the_connection(fleet: Fleet, key: KeyToken) -> None:
    body = ANTHROPIC.body("claude-sonnet-4-6", streams=True)
    head = head_of(key, f"Content-Length: {len(body)}").replace(b"HTTP/1.1", b"HTTP/1.0")
    status, received = exchange_raw(fleet.url, head + b"\r\n" + body)
    assert status == 200
    assert b"ransfer-" not in received.partition(b"\r\n\r\n")[0]
    assert received.endswith(b'data: {"type":"message_stop"}\n\n')


def test_a_connection_is_kept_for_the_next_request(fleet: Fleet, key: KeyToken) -> None:
    request = head_of(key, f"Content-Length: {len(BODY)}") + b"\r\n" + BODY
    refused = head_of("nobody", f"Content-Length: {len(BODY)}") + b"\r\n" + BODY
    with connect(fleet.url) as sock:
        for data, status in ((request, 200), (refused, 401), (request, 200)):
            sock.sendall(data)
            assert read_answer(sock).status == status


def test_a_reset_in_the_middle_of_everything_leaves_nothing_behind(fleet: Fleet, key: KeyToken) -> None:
    body = ANTHROPIC.body("claude-sonnet-4-6-sim-text-50-delay2", streams=True)
    request = head_of(key, f"Content-Length: {len(body)}") + b"\r\n" + body
    for cut in range(1, len(request), len(request) // 12):
        with connect(fleet.url) as sock:
            sock.sendall(request[:cut])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    fleet.pod.settle()
    assert json.loads(fleet.pod.call("GET", "/readyz").text)["status"] == "ready" or fleet.pod.check_alive()
