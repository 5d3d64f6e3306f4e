"""Bad HTTP, a case a line (reliability D01-D18, D35, D36, as far as they apply to one pod; bodies: test_bodies.py)."""

import json
import socket
import struct
import threading
from dataclasses import dataclass

import pytest

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC
from tests.gateway.conftest import Fleet
from tests.gateway.wire import connect, exchange_raw, read_answer

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


def test_a_body_that_is_packed_for_the_transfer_is_not_taken(fleet: Fleet, key: KeyToken, marker: str) -> None:
    """The parser would hand it over still packed, and the provider would read something else than we did."""
    head = head_of(key, "Transfer-Encoding: gzip, chunked", f"x-sim-marker: {marker}")
    status, received = exchange_raw(fleet.url, head + b"\r\n2\r\n{}\r\n0\r\n\r\n")
    assert status == 501
    assert b"send chunked" in received
    assert not fleet.provider.records(marker)


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
