"""Ledger, scripts, kept requests and the command itself."""

import asyncio
import gzip
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import zstandard

from deploy.simulated_provider.ledger import Ledger
from tests.deploy.simulated_provider.conftest import Running

BODY = b'{"model": "gpt-5.2",  "messages":[{"role":"user","content":"\\u00e9"}], "unknown_field": 1.50}'


def post(provider: Running, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(provider.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_the_ledger_knows_each_request_by_the_id_it_answered_with(provider: Running, marker: str) -> None:
    status, headers, _ = post(
        provider, "/v1/chat/completions?x=1", BODY, Authorization=f"Bearer {marker}", X_Sim_Marker=marker
    )
    assert (status, headers["x-sim-marker"]) == (200, marker)
    record = provider.record(marker)
    assert record["id"] == headers["request-id"] == headers["x-request-id"]
    assert record["body_sha256"] == hashlib.sha256(BODY).hexdigest()
    assert record["path"] == "/v1/chat/completions"
    assert record["credential"] == {
        "header": "authorization",
        "last4": marker[-4:],
        "sha256": hashlib.sha256(marker.encode()).hexdigest(),
    }
    assert marker not in json.dumps(record["credential"])
    assert provider.get(f"/ledger/{record['id']}") == record
    assert provider.get(f"/ledger?since={record['at_ms'] + 3_600_000}") == {"requests": [], "count": 0}
    assert provider.get(f"/ledger?marker={marker}&model=other")["count"] == 0
    assert provider.get(f"/ledger?after={record['sequence'] - 1}&limit=1")["requests"][0]["id"]


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
def test_the_exact_bytes_of_a_request_are_kept(provider: Running, marker: str, coding: str) -> None:
    sent = {"": BODY, "gzip": gzip.compress(BODY), "zstd": zstandard.compress(BODY)}[coding]
    own = {"Content_Encoding": coding} if coding else {}
    status, headers, _ = post(
        provider, "/v1/chat/completions?b=2&a=%2F", sent, Authorization=f"Bearer {marker}", X_Odd="Ünd", **own
    )  # fmt: skip
    assert status == 200
    kept = provider.get(f"/ledger/{headers['request-id']}/request")
    assert b64decode(kept["body_base64"]) == sent
    assert (kept["method"], kept["target"]) == ("POST", "/v1/chat/completions?b=2&a=%2F")
    assert ["X-Odd", "Ünd"] in kept["headers"]


@pytest.mark.parametrize(("body", "coding"), [(b"no gzip", "gzip"), (b"{}", "br")])
def test_a_body_that_cannot_be_decoded_is_refused(provider: Running, marker: str, body: bytes, coding: str) -> None:
    status, _, _ = post(provider, "/v1/responses", body, Authorization=f"Bearer {marker}", Content_Encoding=coding)
    assert status == 400


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v1/messages", b'{"model": "m", "messages": [{}]}', "max_tokens"),
        ("/v1/chat/completions", b'{"model": "m"}', "messages"),
        ("/v1/responses", b'{"input": "x"}', "model"),
        ("/v1beta/models/m:generateContent", b"{}", "contents"),
        ("/v1/embeddings", b"[]", "object"),
        ("/v1/chat/completions", b"{", "JSON"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    provider: Running, marker: str, path: str, body: bytes, word: str
) -> None:
    status, _, answer = post(provider, path, body, Authorization=f"Bearer {marker}", Anthropic_Version="2023-06-01")
    assert status == 400
    assert word in json.loads(answer)["error"]["message"]


def test_an_unknown_path_and_a_websocket_are_refused(provider: Running, marker: str) -> None:
    status, _, answer = post(provider, "/v2/chat", b"{}", Authorization=f"Bearer {marker}")
    assert (status, json.loads(answer)["error"]["code"]) == (404, "model_not_found")
    address = urlsplit(provider.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    connection.request("GET", "/v1/responses", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
    assert connection.getresponse().status == 426
    connection.close()


def script_of(name: str, **answer: Any) -> dict[str, Any]:
    return {"script": name, "answers": [answer]}


def test_a_script_answers_exactly_and_only_as_often_as_queued(provider: Running, marker: str) -> None:
    odd = b"data: \xff\r\n\r\n"
    chunks = [{"text": "a"}, {"base64": b64encode(odd).decode(), "delay_ms": 5}]
    script = script_of(marker, status=203, headers={"x-own": "1", "content-type": "text/odd"}, chunks=chunks)
    assert provider.send("POST", "/script", script) == {"waiting": 1}
    status, headers, body = post(provider, "/anything", b"x", X_Sim_Script=marker)
    assert (status, headers["x-own"], headers["content-type"], body) == (203, "1", "text/odd", b"a" + odd)
    status, _, body = post(provider, "/anything", b"x", X_Sim_Script=marker)
    assert (status, json.loads(body)["error"]["type"]) == (500, "unexpected_call")
    assert any(marker in problem for problem in provider.get("/script")["unexpected"])


def test_a_script_by_credential_takes_only_the_request_it_expects(provider: Running, marker: str) -> None:
    expect = {"method": "POST", "path": "/v1/messages", "body_sha256": hashlib.sha256(b"right").hexdigest()}
    script = {"credential": marker, "answers": [{"expect": expect, "chunks": [{"text": "yes"}]}]}
    provider.send("POST", "/script", script)
    assert post(provider, "/v1/messages", b"wrong", X_Api_Key=marker)[0] == 500
    assert post(provider, "/v1/messages", b"right", X_Api_Key=marker)[2] == b"yes"


@pytest.mark.parametrize(("end", "error"), [("reset", ConnectionResetError), ("close", http.client.IncompleteRead)])
def test_a_script_may_end_badly(provider: Running, marker: str, end: str, error: type[Exception]) -> None:
    provider.send("POST", "/script", script_of(marker, chunks=[{"text": "part"}], end=end))
    with pytest.raises(error):
        post(provider, "/v1/messages", b"", X_Sim_Script=marker)


@pytest.mark.parametrize(
    "script",
    [{}, {"script": "a"}, {"script": "a", "answers": [{"end": "odd"}]}, {"script": "a", "answers": [{"status": 99}]}],
)
def test_a_script_that_cannot_be_played_is_refused(provider: Running, script: dict[str, Any]) -> None:
    data = json.dumps(script).encode()
    assert post(provider, "/script", data)[0] == 400


def test_the_ledger_file_survives_a_restart_and_a_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(
        b'{"sequence":4,"id":"req_a","at_ms":5,"model":"m","headers":{},"credential":null}\n{"sequence":5,"i'
    )
    ledger = Ledger(file)
    assert [record["id"] for record in ledger.find({})] == ["req_a"]
    assert ledger.next_sequence() == 5
    assert ledger.clear() == 1
    assert file.read_bytes() == b""
    ledger.close()


def start(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
    root = Path(__file__).resolve().parents[3]
    paths = {"PYTHONPATH": os.pathsep.join((str(root), str(root / "proto")))}
    command = [sys.executable, "-m", "deploy.simulated_provider", *arguments]
    return subprocess.Popen(command, cwd=root, env=os.environ | paths | environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def test_the_command_serves_keeps_its_books_and_stops_at_a_signal(tmp_path: Path, marker: str) -> None:
    file = tmp_path / "ledger.jsonl"
    ids = []
    for _ in range(2):
        process = start("--port", "0", "--ledger", str(file))
        assert process.stdout is not None
        running = Running(process.stdout.readline().split()[-1])
        assert running.get("/healthz") == {"status": "ok"}
        _, headers, _ = post(running, "/v1/chat/completions", BODY, Authorization=f"Bearer {marker}")
        ids.append(headers["request-id"])
        assert [record["id"] for record in running.get("/ledger")["requests"]] == ids
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.communicate()
    assert len(set(ids)) == 2


def test_the_command_names_the_variable_of_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(SWITCHYARD_SIMULATED_PROVIDER_PORT=str(taken.getsockname()[1]))
        _, told = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "SWITCHYARD_SIMULATED_PROVIDER_PORT" in told


async def test_neither_plane_is_imported() -> None:
    code = "import sys, deploy.simulated_provider.__main__; print([m for m in sys.modules if m.split('.')[0] in ('django', 'data_plane', 'control_plane', 'grpc')])"  # noqa: E501
    root = Path(__file__).resolve().parents[3]
    paths = {"PYTHONPATH": os.pathsep.join((str(root), str(root / "proto")))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=root, env=os.environ | paths, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert told.strip() == b"[]"
