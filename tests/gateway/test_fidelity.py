"""Bytes pass unchanged in both directions on same-protocol routes; what differs is named here."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from switchyard_contract.v1 import usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES, Dialect
from tests.gateway.conftest import Fleet

RECORDED = Path(__file__).parents[1] / "deploy" / "simulated_provider" / "client_requests"
CLIENT_HEADERS = Path(__file__).parent / "client_headers.json"
"""What each tool sent beside its credential and framing."""
ODD_BODY = (
    b'{ "model" :\t"%b" ,"max_tokens":1000, "x_number":1.0e3, "stream" : false,\r\n'
    b' "x_new_field":{"b":1,"a":[1,2.50,1e-7,"\\u00e9\\ud83c\\udf0d \\/"],"deep":{"model":"not this one"}},'
    b'"messages":[{"role":"user","content":"h\xc3\xa9 \\n"},{"content":"again","role":"user"}],'
    b'"input":"h\xc3\xa9","metadata":{"k":"v"},"zz_null":null,"big":12345678901234567890  }\n'
)
"""Spacing, number forms, escapes, order and fields that nobody knows: all of it is the client's business."""


def dialect_of(name: str) -> Dialect:
    return {dialect.name: dialect for dialect in DIALECTS}[name]


@pytest.mark.parametrize("dialect", [ANTHROPIC, CHAT, RESPONSES], ids=str)
def test_a_body_goes_upstream_byte_for_byte(fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect) -> None:
    body = ODD_BODY % dialect.model.encode()
    headers = dialect.headers(key, x_sim_marker=marker)
    answer = fleet.pod.call("POST", dialect.target(dialect.model, streams=False), headers, body)
    assert answer.status == 200, answer.text
    assert fleet.provider.request(marker).body == body


@pytest.mark.parametrize(
    ("dialect", "alias", "model"),
    [(ANTHROPIC, "house-model", "claude-sonnet-4-6"), (CHAT, "house/gpt.5", "gpt-5.2")],
    ids=["anthropic", "chat"],
)
def test_with_an_alias_only_the_model_s_value_differs(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, alias: str, model: str
) -> None:
    headers = dialect.headers(key, x_sim_marker=marker)
    answer = fleet.pod.call("POST", dialect.target(alias, streams=False), headers, ODD_BODY % alias.encode())
    assert answer.status == 200, answer.text
    assert fleet.provider.request(marker).body == ODD_BODY % model.encode()


def test_an_alias_written_with_escapes_is_the_same_alias(fleet: Fleet, key: KeyToken, marker: str) -> None:
    headers = CHAT.headers(key, x_sim_marker=marker)
    answer = fleet.pod.call("POST", "/v1/chat/completions", headers, ODD_BODY % rb"house\/gpt\u002e5")
    assert answer.status == 200, answer.text
    assert fleet.provider.request(marker).body == ODD_BODY % b"gpt-5.2"


def test_a_gemini_body_goes_upstream_byte_for_byte_under_an_alias_in_the_path(
    fleet: Fleet, key: KeyToken, marker: str
) -> None:
    body = b'{\n "contents" : [ {"parts":[{"text":"h\xc3\xa9"}],"role":"user"} ], "xNew": {"a": 1.50} }'
    headers = GEMINI.headers(key, x_sim_marker=marker)
    answer = fleet.pod.call("POST", "/v1beta/models/house-gemini:generateContent?$alt=json&x=%20y", headers, body)
    assert answer.status == 200, answer.text
    request = fleet.provider.request(marker)
    assert request.body == body
    assert request.target == "/v1beta/models/gemini-2.5-pro:generateContent?$alt=json&x=%20y"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_what_a_tool_really_sent_goes_upstream_byte_for_byte(
    fleet: Fleet, key: KeyToken, marker: str, name: str
) -> None:
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    body = json.dumps(recorded["body"], ensure_ascii=False).encode()
    known = json.loads(CLIENT_HEADERS.read_text())
    headers = list(known.get(name, known["opencode"]).items())
    path = recorded["path"]
    answer = fleet.pod.call("POST", path, [*headers, *_credential(path, key), ("x-sim-marker", marker)], body)
    assert answer.status == 200, answer.text
    request = fleet.provider.request(marker)
    if "/chat/" in path and "include_usage" not in body.decode():
        assert _without_usage_option(request.body) == body
    else:
        assert request.body == body
    assert request.target == path
    for header, value in headers:
        assert value in request.header_values(header.lower()), header


def _credential(path: str, key: KeyToken) -> list[tuple[str, str]]:
    if "/models/" in path:
        return [("x-goog-api-key", key.text)]
    return [("authorization", f"Bearer {key.text}")]


def _without_usage_option(body: bytes) -> bytes:
    return body.replace(b'"stream_options":{"include_usage":true},', b"").replace(b'"include_usage":true', b"")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/messages?beta=true&x=%2F&x=", "claude-sonnet-4-6"),
        ("/v1/chat/completions?api-version=2", "gpt-5.2"),
        ("/v1/responses?a&b=%C3%A9", "gpt-5.2"),
    ],
)
def test_a_query_goes_upstream_as_it_is(fleet: Fleet, key: KeyToken, marker: str, path: str, model: str) -> None:
    dialect = ANTHROPIC if "messages" in path else CHAT
    fields: Any = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    headers = dialect.headers(key, x_sim_marker=marker)
    assert fleet.pod.call("POST", path, headers, json.dumps(fields).encode()).status == 200
    assert fleet.provider.request(marker).target == path


EVENTS = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"claude-sonnet-4-6",'
    b'"usage":{"input_tokens":10,"output_tokens":1}}}\n\n',
    b": a comment of the provider\n\n",
    b'event: content_block_start\r\ndata: {"type":"content_block_start","index":0,\r\n'
    b'data: "content_block":{"type":"text","text":""}}\r\n\r\n',
    b"event: ping\rdata: {}\r\r",
    b'event: a_kind_to_come\nid: 7\nretry: 10\ndata: {"x":"\xc3\xa9 \xf0\x9f\x8c\x8d"}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":5}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_client_gets_the_provider_s_very_bytes(fleet: Fleet, key: KeyToken, marker: str, size: int) -> None:
    whole = b"".join(EVENTS)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    chunks = [{"base64": b64encode(piece).decode()} for piece in pieces]
    fleet.provider.script(marker, {"headers": {"content-type": "text/event-stream"}, "chunks": chunks})
    headers = ANTHROPIC.headers(key, x_sim_script=marker)
    answer = fleet.pod.call("POST", "/v1/messages", headers, ANTHROPIC.body("claude-sonnet-4-6", streams=True))
    assert (answer.status, answer.is_cut) == (200, False)
    assert answer.body == whole
    row = fleet.control.rows_of(key)[0]
    assert (row.tokens.input_fresh, row.tokens.output, row.upstream_request_id != "") == (10, 5, True)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
def test_what_the_simulated_provider_says_is_what_arrives(
    fleet: Fleet, key: KeyToken, marker: str, dialect: Dialect, streams: bool
) -> None:
    """Asked directly and through the pod, the answers differ in ids and times only."""
    body = dialect.body(dialect.model, streams=streams, prompt=f"say {marker}")
    if dialect is CHAT and streams:
        body = body.replace(b'"stream": true', b'"stream": true, "stream_options": {"include_usage": true}')
    target = dialect.target(dialect.model, streams=streams)
    through = fleet.pod.call("POST", target, dialect.headers(key, x_sim_marker=marker), body)
    record = fleet.provider.record(marker)
    assert through.status == record["status"] == 200
    assert len(through.body) == record["output_bytes"]
    assert dialect.end in through.body or not streams


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_an_event_too_long_to_be_read_passes_and_what_follows_is_read(
    fleet: Fleet, key: KeyToken, dialect: Dialect
) -> None:
    headers = dialect.headers(key, x_sim_behaviour="huge9000")
    body = dialect.body(dialect.model, streams=True)
    answer = fleet.pod.call("POST", dialect.target(dialect.model, streams=True), headers, body)
    assert (answer.status, answer.is_cut) == (200, False)
    assert dialect.end in answer.body[-9_500_000:]
    row = fleet.control.rows_of(key)[0]
    assert (row.outcome, row.tokens.output > 0) == (usage_pb2.OUTCOME_SERVED, True)


def test_chat_streams_ask_for_usage_and_give_back_what_was_wished(fleet: Fleet, key: KeyToken, marker: str) -> None:
    body = CHAT.body("gpt-5.2", streams=True)
    answer = fleet.pod.call("POST", "/v1/chat/completions", CHAT.headers(key, x_sim_marker=marker), body)
    sent = json.loads(fleet.provider.request(marker).body)
    assert sent.pop("stream_options") == {"include_usage": True}
    assert sent == json.loads(body)
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert all(chunk["choices"] for chunk in chunks)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert fleet.control.rows_of(key)[0].tokens.output > 0


@pytest.mark.parametrize("option", ["null", "{}", '{"include_usage":false}', '{"include_obfuscation":false}'])
def test_other_stream_options_stay_as_they_were(fleet: Fleet, key: KeyToken, marker: str, option: str) -> None:
    body = b'{"model":"gpt-5.2","stream":true,"stream_options":%b,"messages":[{"role":"user","content":"hi"}]}'
    body %= option.encode()
    answer = fleet.pod.call("POST", "/v1/chat/completions", CHAT.headers(key, x_sim_marker=marker), body)
    assert answer.status == 200
    sent = json.loads(fleet.provider.request(marker).body)["stream_options"]
    assert sent == (json.loads(option) or {}) | {"include_usage": True}
    assert b'"choices":[]' not in answer.body
    assert fleet.control.rows_of(key)[0].tokens.output > 0
