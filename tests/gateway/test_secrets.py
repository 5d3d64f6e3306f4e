"""What people write and the secrets they use are found nowhere: logs, spool, shelf, metrics, Redis, usage events."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from switchyard_contract import virtual_key
from switchyard_contract.virtual_key import KeyKind, KeyToken
from tests.fakes.installation import UPSTREAM_SECRET
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI
from tests.gateway.conftest import Fleet
from tests.gateway.processes import Pod
from tests.gateway.wire import connect, exchange_raw


@pytest.fixture(scope="module")
def pod(fleet: Fleet) -> Iterator[Pod]:
    """Its own, so that its whole disk and log are of these requests; with a shelf that holds key material."""
    shelf_key = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    own = Pod(fleet.control, fleet.counters_url, fleet.home / "secrets", SWITCHYARD_SHELF_KEY=shelf_key)
    own.start()
    yield own
    own.end()


def places(fleet: Fleet, pod: Pod) -> Iterator[tuple[str, bytes]]:
    """Everything that a pod leaves behind, by name."""
    yield "log", pod.log.encode()
    for path in sorted(pod.state.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(pod.state)), path.read_bytes()
    yield "metrics", pod.metrics().encode()
    for row in fleet.control.rows:
        yield f"event {row.exchange_id}", row.SerializeToString()
    for status in fleet.control.statuses[-5:]:
        yield "status", status.SerializeToString()
    with redis.Redis.from_url(fleet.counters_url) as counters:
        for name in counters.scan_iter():
            yield f"redis {name!r}", name + (counters.dump(name) or b"")


def assert_nowhere(fleet: Fleet, pod: Pod, *secrets: str) -> None:
    seen = 0
    for name, content in places(fleet, pod):
        seen += 1
        for secret in secrets:
            assert secret.encode() not in content, f"{secret} is in {name}"
    assert seen > 8


def test_nothing_people_write_is_kept(fleet: Fleet, pod: Pod, key: KeyToken) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    bearer = f"sk-ant-oat01-{uuid.uuid4().hex}"
    result = {"type": "tool_result", "tool_use_id": "t", "content": marker}
    statuses = set()
    for dialect in DIALECTS:
        for streams in (True, False):
            for behaviour in ("", "fault-400", "fault-500", "errmid5", "cut5", "noend", "nousage", "malformed3"):
                headers = dialect.headers(key, x_sim_behaviour=behaviour, x_secret=marker, cookie=marker)
                target = dialect.target(dialect.model, streams=streams)
                target += f"{'&' if '?' in target else '?'}q={marker}"
                body = dialect.body(dialect.model, streams=streams, prompt=f"Repeat {marker}.", secret=marker)
                statuses.add(pod.call("POST", target, headers, body).status)
    body = ANTHROPIC.body("my-max", streams=True, tools=[], system=marker)
    history = json.loads(body) | {"messages": [{"role": "user", "content": [result]}]}
    headers = [
        *ANTHROPIC.headers(None),
        ("x-switchyard-key", key.text),
        ("authorization", f"Bearer {bearer}"),
    ]
    for behaviour in ("", "fault-401", "cut4", "drop"):
        pod.call("POST", "/v1/messages", [*headers, ("x-sim-behaviour", behaviour)], json.dumps(history).encode())
    assert statuses <= {200, 400, 500, 502, 503, 529}
    pod.settle()
    assert_nowhere(fleet, pod, marker, bearer, key.text, UPSTREAM_SECRET, pod_token(fleet))


def pod_token(fleet: Fleet) -> str:
    return fleet.control.installation.pod_token


def test_nothing_of_a_refused_or_broken_request_is_kept(fleet: Fleet, pod: Pod, key: KeyToken) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    stranger = virtual_key.mint(KeyKind.PERSONAL).text
    pod.call("POST", "/v1/messages", ANTHROPIC.headers(stranger), marker.encode())
    pod.call("POST", "/v1/messages", ANTHROPIC.headers(key), f'{{"model": "{marker}'.encode())
    pod.call("POST", "/v1/messages", [*ANTHROPIC.headers(key), ("x-switchyard-metadata", marker)], b"{}")
    pod.call("POST", "/v1/messages", [*ANTHROPIC.headers(key), ("content-encoding", "gzip")], marker.encode())
    pod.call("POST", f"/v1/{marker}", ANTHROPIC.headers(key), b"{}")
    pod.call("POST", "/v1/chat/completions", CHAT.headers(f"{marker}-as-a-key"), b"{}")
    pod.call("POST", f"/v1beta/models/gemini-2.5-pro:generateContent?key={marker}", GEMINI.headers(None), b"{}")
    for line in (f"x-a: {marker}\0", f"{marker}: a\r\n b", f"{marker} : a", f"Content-Length: {marker}"):
        data = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {key.text}\r\n{line}\r\n\r\n"
        assert exchange_raw(pod.url, data.encode())[0] == 400
    exchange_raw(pod.url, f"{marker} / HTTP/9.1\r\n\r\n".encode())
    with connect(pod.url) as sock:
        sock.sendall(
            f"POST /v1/messages HTTP/1.1\r\nx-api-key: {key.text}\r\nContent-Length: 500\r\n\r\n{marker}".encode()
        )
    pod.settle()
    assert_nowhere(fleet, pod, marker, stranger, key.text)


def test_nothing_of_a_killed_pod_s_request_is_on_its_disk(fleet: Fleet, pod: Pod, key: KeyToken) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    headers = ANTHROPIC.headers(key, x_sim_behaviour="sim-text-500-delay10")
    body = ANTHROPIC.body(ANTHROPIC.model, streams=True, prompt=marker)
    with pod.open("POST", "/v1/messages", headers, body) as stream:
        stream.read_events(10)
        pod.kill()
    on_disk = [path for path in pod.state.rglob("*") if path.is_file()]
    assert on_disk
    for path in on_disk:
        assert_clean(path, marker, key.text, UPSTREAM_SECRET)
    pod.start()


def assert_clean(path: Path, *secrets: str) -> None:
    content = path.read_bytes()
    for secret in secrets:
        assert secret.encode() not in content, path


def test_a_provider_s_error_text_is_kept_without_what_it_quotes(fleet: Fleet, pod: Pod, key: KeyToken) -> None:
    marker = f"marker-{uuid.uuid4().hex}"
    message = f"Unknown parameter: '{marker}'. Key sk-proj-{'a' * 40} is wrong. Say less."
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
    headers = {"content-type": "application/json"}
    fleet.provider.script(marker, {"status": 400, "headers": headers, "chunks": [{"text": body}]})
    answer = pod.call(
        "POST",
        "/v1/messages",
        ANTHROPIC.headers(key, x_sim_script=marker),
        ANTHROPIC.body(ANTHROPIC.model, streams=False),
    )
    assert answer.text == body, "the caller sees all of it"
    row = fleet.control.rows_of(key)[0]
    assert "Say less." in row.error_text
    assert marker not in row.error_text
    assert "sk-proj" not in row.error_text
