"""What a request shows of its session: rows of failures and repetitions, loops of tools, signed thinking, turns."""

import json
import time
from typing import Any

import pytest

from data_plane.conversation.session_signs import NO_SIGNS, SessionSigns
from data_plane.protocols.catalog import CODECS
from tests.data_plane.protocols.transcripts import capture, head

FAILED, WENT_WELL = True, False


def signs_of(protocol: str, request: dict[str, Any]) -> SessionSigns:
    return CODECS[protocol].session_signs(json.dumps(request).encode())


class Anthropic:
    """Builds the turns of one protocol: a person's text, calls and their results."""

    protocol = "anthropic_messages"
    flags_failures = True

    def typed(self, text: str = "go") -> list[dict[str, Any]]:
        return [{"role": "user", "content": text}]

    def calls(self, *inputs: Any, name: str = "Bash") -> list[dict[str, Any]]:
        blocks = [{"type": "tool_use", "id": "t", "name": name, "input": {"command": each}} for each in inputs]
        return [{"role": "assistant", "content": [{"type": "text", "text": "so"}, *blocks]}]

    def results(self, *failed: bool) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [self._result(each) for each in failed]}]

    def _result(self, failed: bool) -> dict[str, Any]:
        plain = {"type": "tool_result", "tool_use_id": "t", "content": '"role": "user", \'is_error\': true'}
        return {**plain, "is_error": True} if failed else plain

    def said(self) -> list[dict[str, Any]]:
        return [{"role": "assistant", "content": "done"}]

    def request(self, *turns: list[dict[str, Any]]) -> dict[str, Any]:
        return {"model": "m", "messages": [each for turn in turns for each in turn]}


class Chat(Anthropic):
    protocol = "openai_chat"
    flags_failures = False

    def calls(self, *inputs: Any, name: str = "Bash") -> list[dict[str, Any]]:
        made = [
            {"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps({"c": each})}}
            for each in inputs
        ]
        return [{"role": "assistant", "content": None, "tool_calls": made}]

    def results(self, *failed: bool) -> list[dict[str, Any]]:
        return [{"role": "tool", "tool_call_id": "c", "content": "Error: no"} for _ in failed]


class Responses(Anthropic):
    protocol = "openai_responses"

    def typed(self, text: str = "go") -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "input_text", "text": text}]}]

    def calls(self, *inputs: Any, name: str = "Bash") -> list[dict[str, Any]]:
        return [{"type": "function_call", "call_id": "c", "name": name, "arguments": json.dumps(i)} for i in inputs]

    def results(self, *failed: bool) -> list[dict[str, Any]]:
        kind = "apply_patch_call_output"
        return [{"type": kind, "call_id": "c", "status": "failed" if each else "completed"} for each in failed]

    def said(self) -> list[dict[str, Any]]:
        return [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]}]

    def request(self, *turns: list[dict[str, Any]]) -> dict[str, Any]:
        return {"model": "m", "input": [each for turn in turns for each in turn]}


class Gemini(Anthropic):
    protocol = "gemini_content"

    def typed(self, text: str = "go") -> list[dict[str, Any]]:
        return [{"role": "user", "parts": [{"text": text}]}]

    def calls(self, *inputs: Any, name: str = "Bash") -> list[dict[str, Any]]:
        return [{"role": "model", "parts": [{"functionCall": {"name": name, "args": {"c": i}}} for i in inputs]}]

    def results(self, *failed: bool) -> list[dict[str, Any]]:
        made = [{"error": "no such file"} if each else {"output": "fine"} for each in failed]
        return [{"role": "user", "parts": [{"functionResponse": {"name": "Bash", "response": r}} for r in made]}]

    def said(self) -> list[dict[str, Any]]:
        return [{"role": "model", "parts": [{"text": "done"}]}]

    def request(self, *turns: list[dict[str, Any]]) -> dict[str, Any]:
        return {"contents": [each for turn in turns for each in turn]}


ALL = [Anthropic(), Chat(), Responses(), Gemini()]
FLAGGING = [each for each in ALL if each.flags_failures]


def named(dialect: Anthropic) -> str:
    return dialect.protocol


@pytest.mark.parametrize("say", ALL, ids=named)
def test_a_first_turn_is_nothing_but_a_turn(say: Anthropic) -> None:
    signs = signs_of(say.protocol, say.request(say.typed()))

    assert signs == SessionSigns(turn=1, request_digest=signs.request_digest)
    assert len(signs.request_digest) == 8


@pytest.mark.parametrize("say", ALL, ids=named)
def test_a_turn_that_answers_calls_is_a_loop_and_one_that_somebody_typed_is_not(say: Anthropic) -> None:
    looping = say.request(say.typed(), say.calls("ls"), say.results(WENT_WELL))
    typed = say.request(say.typed(), say.calls("ls"), say.results(WENT_WELL), say.said(), say.typed("and now?"))

    assert signs_of(say.protocol, looping).is_tool_loop
    assert not signs_of(say.protocol, typed).is_tool_loop
    assert (signs_of(say.protocol, looping).turn, signs_of(say.protocol, typed).turn) == (2, 3)


@pytest.mark.parametrize("say", ALL, ids=named)
def test_the_same_call_is_counted_back_to_another_one(say: Anthropic) -> None:
    ran = say.results(WENT_WELL)
    turns = [say.typed(), say.calls("cat a"), ran, *[say.calls("ls"), ran] * 4]

    assert signs_of(say.protocol, say.request(*turns)).same_tool_call == 4
    assert signs_of(say.protocol, say.request(*turns, say.calls("cat b"), ran)).same_tool_call == 1
    assert signs_of(say.protocol, say.request(*turns, say.calls("ls", name="Shell"), ran)).same_tool_call == 1


@pytest.mark.parametrize("say", ALL, ids=named)
def test_a_call_made_beside_others_is_repeated_while_every_reply_has_it(say: Anthropic) -> None:
    both = say.results(WENT_WELL, WENT_WELL)
    turns = [say.typed(), say.calls("c", "b"), both, say.calls("b", "a"), both, say.calls("a", "b"), both]

    assert signs_of(say.protocol, say.request(*turns)).same_tool_call == 3


@pytest.mark.parametrize("say", ALL, ids=named)
def test_somebody_who_types_begins_anew(say: Anthropic) -> None:
    failing = [say.typed(), *[say.calls("ls"), say.results(FAILED)] * 5]

    assert signs_of(say.protocol, say.request(*failing)).same_tool_call == 5
    after = signs_of(say.protocol, say.request(*failing, say.said(), say.typed("do it another way")))
    assert (after.failed_tool_results, after.same_tool_call) == (0, 0)
    again = say.request(*failing, say.said(), say.typed("no"), say.calls("ls"), say.results(FAILED))
    assert signs_of(say.protocol, again).same_tool_call == 1


@pytest.mark.parametrize("say", FLAGGING, ids=named)
def test_failed_results_are_counted_back_to_one_that_went_well(say: Anthropic) -> None:
    turns = [say.typed(), say.calls("a"), say.results(FAILED), say.calls("b"), say.results(WENT_WELL)]

    assert signs_of(say.protocol, say.request(*turns)).failed_tool_results == 0
    turns += [say.calls("c"), say.results(FAILED), say.calls("d", "e"), say.results(FAILED, FAILED)]
    assert signs_of(say.protocol, say.request(*turns)).failed_tool_results == 3
    turns += [say.calls("f", "g"), say.results(WENT_WELL, FAILED)]
    assert signs_of(say.protocol, say.request(*turns)).failed_tool_results == 1


def test_chat_has_no_flag_for_a_failed_result_and_counts_none() -> None:
    say = Chat()
    failing = say.request(say.typed(), *[say.calls("ls"), say.results(FAILED)] * 9)

    assert signs_of("openai_chat", failing).failed_tool_results == 0


def test_an_output_of_codex_is_text_without_a_flag() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": "Exit code: 1\nOutput:\nno such file"}
    say = Responses()
    signs = signs_of("openai_responses", say.request(say.typed(), say.calls("ls"), [output]))

    assert signs.is_tool_loop
    assert signs.failed_tool_results == 0


@pytest.mark.parametrize("say", ALL, ids=named)
def test_equal_requests_have_equal_digests_whatever_else_is_changed(say: Anthropic) -> None:
    long = say.request(say.typed("x" * 50_000), say.calls("ls"), say.results(WENT_WELL))
    first = signs_of(say.protocol, long).request_digest

    assert signs_of(say.protocol, {**long, "stream": True, "max_tokens": 5}).request_digest == first
    longer = say.request(say.typed("x" * 50_001), say.calls("ls"), say.results(WENT_WELL))
    assert signs_of(say.protocol, longer).request_digest != first
    other_end = say.request(say.typed("x" * 50_000), say.calls("lz"), say.results(WENT_WELL))
    assert signs_of(say.protocol, other_end).request_digest != first


SIGNED: dict[str, list[tuple[str, Any]]] = {
    "anthropic_messages": [
        ("thinking", {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "Eq"}]}),
        ("redacted", {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}),
    ],
    "openai_chat": [
        (
            "gemini",
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {"thought_signature": "x"}},
                    }
                ],
            },
        ),
        ("openrouter", {"role": "assistant", "content": "a", "reasoning_details": [{"type": "reasoning.encrypted"}]}),
    ],
    "openai_responses": [
        ("reasoning", {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}),
        ("compaction", {"type": "compaction", "encrypted_content": "gAAA"}),
    ],
    "gemini_content": [
        ("signature", {"role": "model", "parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "x"}]}),
        ("with underscores", {"role": "model", "parts": [{"text": "", "thought_signature": "x"}]}),
    ],
}


@pytest.mark.parametrize(
    ("say", "turn"),
    [pytest.param(say, turn, id=f"{say.protocol} {name}") for say in ALL for name, turn in SIGNED[say.protocol]],
)
def test_signed_thinking_is_seen_wherever_it_stands(say: Anthropic, turn: dict[str, Any]) -> None:
    request = say.request(say.typed(), [turn], say.typed("go on"), say.calls("ls"), say.results(WENT_WELL))

    assert signs_of(say.protocol, request).has_signed_thinking


@pytest.mark.parametrize("say", ALL, ids=named)
def test_words_about_signatures_are_not_signed_thinking(say: Anthropic) -> None:
    words = json.dumps({"signature": "Eq", "thoughtSignature": "x", "type": "redacted_thinking"})
    request = say.request(say.typed(words), say.calls({"signature": "f(x)"}), say.results(WENT_WELL))

    assert not signs_of(say.protocol, request).has_signed_thinking


def test_thinking_without_a_signature_is_plain_text() -> None:
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]}
    say = Anthropic()

    assert not signs_of("anthropic_messages", say.request(say.typed(), [thought], say.typed())).has_signed_thinking


def test_what_an_earlier_response_left_with_the_provider_counts_as_signed() -> None:
    say = Responses()
    request = {**say.request(say.results(WENT_WELL)), "previous_response_id": "resp_1"}

    assert signs_of("openai_responses", request).has_signed_thinking
    assert signs_of("openai_responses", {**request, "input": "hi"}).has_signed_thinking
    assert not signs_of("openai_responses", {**request, "previous_response_id": None}).has_signed_thinking


def test_reminders_of_claude_code_are_not_typed_and_its_instructions_are_no_turns() -> None:
    say = Anthropic()
    reminder = {"type": "text", "text": "<system-reminder>\nTodo list\n</system-reminder>"}
    failing = say.results(FAILED)
    failing[0]["content"].append(reminder)
    turns = [*say.typed(), *[*say.calls("ls"), *failing, {"role": "system", "content": "be brief"}] * 3]

    signs = signs_of("anthropic_messages", {"model": "m", "messages": turns})

    assert (signs.failed_tool_results, signs.same_tool_call, signs.is_tool_loop, signs.turn) == (3, 3, True, 4)


def test_words_typed_behind_results_begin_anew_and_the_loop_is_still_one() -> None:
    say = Anthropic()
    interrupted = say.results(FAILED)
    interrupted[0]["content"].append({"type": "text", "text": "stop, do it another way"})
    signs = signs_of("anthropic_messages", say.request(say.typed(), say.calls("ls"), interrupted))

    assert (signs.failed_tool_results, signs.same_tool_call, signs.is_tool_loop) == (0, 0, True)


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("claude-code", "anthropic_messages"),
        ("claude-code-newmodel", "anthropic_messages"),
        ("opencode", "openai_chat"),
        ("opencode-openai", "openai_responses"),
        ("codex", "openai_responses"),
        ("codex-codemode", "openai_responses"),
        ("gemini-cli", "gemini_content"),
    ],
)
def test_real_tools_are_in_a_loop_of_one_call_on_their_last_request(name: str, protocol: str) -> None:
    _, body = capture(name)[-1]
    signs = CODECS[protocol].session_signs(body)

    assert (signs.is_tool_loop, signs.same_tool_call, signs.turn) == (True, 1, 2)


@pytest.mark.parametrize("protocol", sorted(CODECS))
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"messages": 7, "input": 7, "contents": 7}', b'{"messages":[{"role":5}]}', b"[" * 5000],
)
def test_what_cannot_be_read_shows_nothing(protocol: str, body: bytes) -> None:
    assert CODECS[protocol].session_signs(body) == NO_SIGNS


def test_half_an_emoji_hides_nothing_and_every_kind_of_buffer_is_read() -> None:
    say = Anthropic()
    body = json.dumps(say.request(say.typed("\ud83d"), say.calls("ls"), say.results(FAILED))).encode()
    codec = CODECS["anthropic_messages"]

    assert codec.session_signs(body).failed_tool_results == 1
    assert codec.session_signs(bytearray(body)) == codec.session_signs(memoryview(body)) == codec.session_signs(body)


@pytest.mark.parametrize("say", ALL, ids=named)
def test_a_long_history_costs_a_few_looks_at_it(say: Anthropic) -> None:
    turns = [say.typed()]
    while len(json.dumps(turns)) < 400_000:
        turns += [
            say.calls("cat " + "x" * 2_000, len(turns)),
            say.results(WENT_WELL),
            say.said(),
            say.typed("y" * 3_000),
        ]
    body = json.dumps(say.request(*turns, say.calls("ls"), say.results(WENT_WELL))).encode()
    codec = CODECS[say.protocol]
    a_head = head("/v1/messages", x_switchyard_session="s")

    def fastest(call: Any) -> float:
        took_s = []
        for _ in range(15):
            begun_s = time.perf_counter()
            call()
            took_s.append(time.perf_counter() - begun_s)
        return min(took_s)

    once = fastest(lambda: codec.read_request(a_head, "generate", "m", body))
    assert fastest(lambda: codec.session_signs(body)) < 10 * once


def test_an_embedding_has_no_session() -> None:
    assert CODECS["openai_embeddings"].session_signs(b'{"model":"m","input":"x"}') == NO_SIGNS
