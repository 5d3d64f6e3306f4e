"""What is read of requests that real tools sent, and what goes on to the provider."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.protocols.catalog import CODECS
from data_plane.protocols.client import identify
from data_plane.protocols.codec import Client, RequestFacts
from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.paths import Route, route
from tests.data_plane.protocols.transcripts import capture, head, read, streams

CAPTURES = (
    "aider",
    "claude-code",
    "claude-code-newmodel",
    "codex",
    "codex-codemode",
    "gemini-cli",
    "opencode",
    "opencode-openai",
    "sdk-py-anthropic",
    "sdk-py-chat",
    "sdk-py-gemini",
    "sdk-py-responses",
)
CHAT = CODECS["openai_chat"]
KEY = "AAAAAAAAAAAA"


def read_capture(name: str) -> list[tuple[RequestFacts, Client, bytes]]:
    found = []
    for request_head, body in capture(name):
        routed = route(request_head.method, request_head.path)
        assert isinstance(routed, Route)
        facts = CODECS[routed.protocol].read_request(request_head, routed.operation, routed.path_model, body)
        found.append((facts, identify(request_head, facts, KEY), body))
    return found


@pytest.mark.parametrize("name", CAPTURES)
def test_requests_of_real_tools_are_read_and_pass_byte_for_byte(name: str) -> None:
    requests = read_capture(name)

    assert requests
    for facts, _, body in requests:
        assert facts.model
        parts = CODECS[facts.protocol].rewrite_body(facts, body, facts.model)
        if facts.adds_usage:
            assert b"".join(parts) != body
        else:
            assert parts == (body,)
            assert parts[0] is body


@pytest.mark.parametrize("name", CAPTURES)
def test_an_alias_changes_the_model_value_and_nothing_else(name: str) -> None:
    for facts, _, body in read_capture(name):
        sent = b"".join(CODECS[facts.protocol].rewrite_body(facts, body, 'pub/"other".1'))
        if facts.model_span is None:
            assert sent == body
            continue
        _, end = facts.model_span
        assert sent.endswith(body[end:])
        expected = {**json.loads(body), "model": 'pub/"other".1'}
        if facts.adds_usage:
            expected["stream_options"] = {"include_usage": True}
        assert json.loads(sent) == expected


@pytest.mark.parametrize(
    ("name", "client", "version"),
    [
        ("aider", "openai-sdk", "2.20.0"),
        ("claude-code", "claude-code", "2.1.329"),
        ("codex", "codex", "0.169.0"),
        ("codex-codemode", "codex", "0.169.0"),
        ("gemini-cli", "gemini-cli", "0.61.0"),
        ("opencode", "opencode", "1.18.33"),
        ("sdk-py-anthropic", "anthropic-sdk", "2.11.0"),
        ("sdk-py-chat", "openai-sdk", "3.52.0"),
        ("sdk-py-gemini", "google-genai-sdk", "3.4.0"),
    ],
)
def test_the_tool_and_its_version_are_known(name: str, client: str, version: str) -> None:
    assert {(found.name, found.version) for _, found, _ in read_capture(name)} == {(client, version)}


@pytest.mark.parametrize("name", CAPTURES)
def test_every_turn_of_a_conversation_has_one_session(name: str) -> None:
    sessions = {(found.session_id, found.is_derived) for facts, found, _ in read_capture(name) if facts.has_tools}

    assert len(sessions) <= 1 or name.startswith("sdk-py")
    assert all(session for session, _ in sessions)


@pytest.mark.parametrize(
    ("name", "is_derived"), [("claude-code", False), ("codex", False), ("opencode", False), ("gemini-cli", True)]
)
def test_a_session_is_derived_only_where_the_tool_names_none(name: str, is_derived: bool) -> None:
    assert {found.is_derived for _, found, _ in read_capture(name)} == {is_derived}


def test_the_session_of_claude_code_is_in_its_body_too() -> None:
    request_head, body = capture("claude-code")[0]
    bare = head(request_head.path)

    facts = read(CODECS["anthropic_messages"], bare, body)

    assert identify(bare, facts, KEY).session_id == dict(request_head.headers)[b"x-claude-code-session-id"].decode()


def test_the_session_of_codex_is_in_its_body_too() -> None:
    request_head, body = capture("codex")[0]
    bare = head(request_head.path)

    facts = read(CODECS["openai_responses"], bare, body)

    assert identify(bare, facts, KEY).session_id == dict(request_head.headers)[b"session-id"].decode()


def conversation(turns: list[dict[str, Any]], system: str = "Be brief.") -> RequestFacts:
    body = json.dumps({"model": "m", "system": system, "messages": turns}).encode()
    return read(CODECS["anthropic_messages"], head("/v1/messages"), body)


def test_a_derived_session_stays_while_a_conversation_grows_and_cache_marks_move() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    first = {"role": "user", "content": [{"type": "text", "text": "build me a castle", **mark}]}
    later = {"role": "user", "content": [{"type": "text", "text": "build me a castle"}]}
    answer = {"role": "assistant", "content": "done " * 30_000}

    sessions = {
        identify(head("/v1/messages"), facts, KEY).session_id
        for facts in (
            conversation([first]),
            conversation([later, answer, {"role": "user", "content": "and a moat"}]),
        )
    }

    assert len(sessions) == 1


def test_other_words_other_system_or_another_key_make_another_session() -> None:
    turns = [{"role": "user", "content": "build me a castle"}]
    request_head = head("/v1/messages")

    sessions = [
        identify(request_head, conversation(turns), KEY),
        identify(request_head, conversation(turns), "BBBBBBBBBBBB"),
        identify(request_head, conversation(turns, "Be long."), KEY),
        identify(request_head, conversation([{"role": "user", "content": "build me a boat"}]), KEY),
    ]

    assert len({each.session_id for each in sessions}) == 4
    assert all(each.is_derived for each in sessions)


def test_a_first_message_longer_than_the_window_still_has_one_session() -> None:
    first = {"role": "user", "content": "x" * 200_000}

    one = identify(head("/v1/messages"), conversation([first]), KEY)
    two = identify(head("/v1/messages"), conversation([first, {"role": "assistant", "content": "y"}]), KEY)

    assert one.session_id == two.session_id != ""


CHAT_BODY = {"model": "m", "stream": True, "messages": []}


@pytest.mark.parametrize(
    "options",
    [
        None,
        {},
        {"include_usage": False},
        {"include_usage": None},
        {"include_obfuscation": False},
        {"include_obfuscation": False, "include_usage": False},
    ],
)
def test_usage_is_asked_for_where_the_client_did_not(options: dict[str, Any] | None) -> None:
    body = json.dumps({**CHAT_BODY, "stream_options": options}, indent=1).encode()

    facts = read(CHAT, head("/v1/chat/completions"), body)

    assert facts.adds_usage
    sent = json.loads(b"".join(CHAT.rewrite_body(facts, body, "other/model")))
    assert sent == {**CHAT_BODY, "model": "other/model", "stream_options": {**(options or {}), "include_usage": True}}


def test_usage_is_asked_for_when_there_are_no_options_at_all() -> None:
    body = json.dumps(CHAT_BODY).encode()

    facts = read(CHAT, head("/v1/chat/completions"), body)
    sent = b"".join(CHAT.rewrite_body(facts, body, "m"))

    assert json.loads(sent) == {**CHAT_BODY, "stream_options": {"include_usage": True}}
    assert sent.endswith(body[1:])


@pytest.mark.parametrize("change", [{"stream": False}, {"stream": None}, {"stream_options": {"include_usage": True}}])
def test_a_body_that_needs_nothing_passes_untouched(change: dict[str, Any]) -> None:
    body = json.dumps({**CHAT_BODY, **change}).encode()

    facts = read(CHAT, head("/v1/chat/completions"), body)

    assert not facts.adds_usage
    assert CHAT.rewrite_body(facts, body, "m")[0] is body


@given(
    fields=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), st.integers() | st.text(), max_size=5),
    model=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)
def test_splices_leave_every_other_field_as_it_was(fields: dict[str, Any], model: str) -> None:
    watched = {"model", "stream", "stream_options", "messages", "tools", "prompt_cache_key"}
    kept = {name: value for name, value in fields.items() if name.lower() not in watched}
    body = json.dumps({**kept, **CHAT_BODY}).encode()

    facts = read(CHAT, head("/v1/chat/completions"), body)
    sent = json.loads(b"".join(CHAT.rewrite_body(facts, body, model)))

    assert sent == {**kept, **CHAT_BODY, "model": model, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "options", ['"yes"', "[]", '{"include_usage":1}', '{"include_usage":true,"include_usage":false}']
)
def test_options_that_cannot_be_read_are_refused(options: str) -> None:
    body = f'{{"model":"m","stream":true,"stream_options":{options}}}'.encode()

    with pytest.raises(InvalidRequest):
        read(CHAT, head("/v1/chat/completions"), body)


@pytest.mark.parametrize(
    ("path", "streamed"),
    [
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", True),
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", False),
        ("/v1beta/models/gemini-2.5-pro:generateContent", False),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent?key=k&alt=sse", True),
    ],
)
def test_a_gemini_stream_is_one_only_as_server_sent_events(path: str, streamed: bool) -> None:
    facts = read(CODECS["gemini_content"], head(path), b'{"contents":[]}')

    assert (facts.model, facts.streamed) == ("gemini-2.5-pro", streamed)


def test_the_lifetime_of_cache_writes_comes_from_the_request() -> None:
    plain = read(CHAT, head("/v1/chat/completions"), json.dumps(CHAT_BODY).encode())
    long = read(
        CHAT,
        head("/v1/chat/completions"),
        json.dumps({**CHAT_BODY, "prompt_cache_options": {"mode": "explicit", "ttl": "12h"}}).encode(),
    )

    assert (plain.cache_write_default, long.cache_write_default) == ("cache_write_30m", "cache_write_12h")


@pytest.mark.parametrize("transcript", streams(), ids=lambda each: each.name)
def test_requests_of_the_recorded_streams_ask_for_a_stream(transcript: Any) -> None:
    assert transcript.facts.streamed
    assert not transcript.facts.adds_usage
