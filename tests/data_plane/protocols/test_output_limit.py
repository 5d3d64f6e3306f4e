"""How much a request may write: found, and lowered without touching anything else."""

import json
from typing import Any

import pytest

from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import RequestFacts, RequestHead
from data_plane.protocols.output_limit import asked_for, output_of

HEAD = RequestHead("POST", "/", "", ())
CHAT, MESSAGES, RESPONSES, GEMINI = "openai_chat", "anthropic_messages", "openai_responses", "gemini_content"
TURN = {"role": "user", "content": "say \N{GRINNING FACE} hi"}
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-5.2", "messages": [TURN]},
    MESSAGES: {"model": "claude-sonnet-4-6", "messages": [TURN]},
    RESPONSES: {"model": "gpt-5.2", "input": "hi"},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def read(protocol: str, body: bytes) -> RequestFacts:
    path_model = "gemini-2.5-pro" if protocol == GEMINI else None
    return CODECS[protocol].read_request(HEAD, "generate", path_model, body)


def lower(protocol: str, body: bytes, tokens: int) -> dict[str, Any]:
    facts = read(protocol, body)
    model = BODIES[protocol].get("model", "gemini-2.5-pro")
    parts = CODECS[protocol].rewrite_body(facts, body, model, tokens)
    found: dict[str, Any] = json.loads(b"".join(bytes(part) for part in parts))
    return found


@pytest.mark.parametrize(
    ("protocol", "more", "tokens", "answers", "least"),
    [
        (MESSAGES, {"max_tokens": 4096}, 4096, 1, 0),
        (MESSAGES, {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8000}}, 9000, 1, 8000),
        (MESSAGES, {"max_tokens": None}, 0, 1, 0),
        (MESSAGES, {"max_tokens": "many"}, 0, 1, 0),
        (MESSAGES, {"max_tokens": -4}, 0, 1, 0),
        (CHAT, {"max_tokens": 100, "n": 3}, 100, 3, 0),
        (CHAT, {"max_tokens": 100, "max_completion_tokens": 50}, 50, 1, 0),
        (CHAT, {}, 0, 1, 0),
        (CHAT, {"n": None}, 0, 1, 0),
        (RESPONSES, {"max_output_tokens": 700}, 700, 1, 0),
        (RESPONSES, {}, 0, 1, 0),
        (GEMINI, {"generationConfig": {"maxOutputTokens": 900, "candidateCount": 2}}, 900, 2, 0),
        (GEMINI, {"generation_config": {"max_output_tokens": 900}}, 900, 1, 0),
        (GEMINI, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 512}}}, 0, 1, 512),
        (GEMINI, {"generationConfig": [1]}, 0, 1, 0),
        (GEMINI, {}, 0, 1, 0),
    ],
)
def test_the_limit_is_read(protocol: str, more: dict[str, Any], tokens: int, answers: int, least: int) -> None:
    facts = read(protocol, json.dumps(BODIES[protocol] | more).encode())
    limit = output_of(facts)
    assert (limit.tokens, limit.answers, limit.least) == (tokens, answers, least)
    assert asked_for(facts) == (tokens, answers)


@pytest.mark.parametrize(
    ("protocol", "before", "after"),
    [
        (MESSAGES, {"max_tokens": 4096}, {"max_tokens": 1500}),
        (CHAT, {"max_tokens": 4096}, {"max_tokens": 1500}),
        (CHAT, {"max_completion_tokens": 4096, "max_tokens": 9}, {"max_completion_tokens": 1500, "max_tokens": 1500}),
        (CHAT, {}, {"max_completion_tokens": 1500}),
        (RESPONSES, {"max_output_tokens": None}, {"max_output_tokens": 1500}),
        (RESPONSES, {}, {"max_output_tokens": 1500}),
        (GEMINI, {"generationConfig": {"maxOutputTokens": 4096}}, {"generationConfig": {"maxOutputTokens": 1500}}),
        (
            GEMINI,
            {"generationConfig": {"topP": 1, "candidateCount": 1}},
            {"generationConfig": {"topP": 1, "candidateCount": 1, "maxOutputTokens": 1500}},
        ),
        (GEMINI, {"generationConfig": {}}, {"generationConfig": {"maxOutputTokens": 1500}}),
        (GEMINI, {"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 1500}}),
        (GEMINI, {}, {"generationConfig": {"maxOutputTokens": 1500}}),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_lowering_changes_the_limit_and_nothing_else(
    protocol: str, before: dict[str, Any], after: dict[str, Any], indent: int | None
) -> None:
    body = json.dumps(BODIES[protocol] | before, indent=indent).encode()
    assert lower(protocol, body, 1500) == BODIES[protocol] | after


def test_a_limit_by_another_spelling_is_refused() -> None:
    body = json.dumps(BODIES[MESSAGES] | {"max_tokens": 10, "MAX_TOKENS": 100_000}).encode()
    with pytest.raises(ValueError, match="must be written max_tokens"):
        read(MESSAGES, body)


def test_model_and_limit_are_replaced_together() -> None:
    body = json.dumps(BODIES[CHAT] | {"stream": True}).encode()
    facts = read(CHAT, body)
    sent = json.loads(b"".join(bytes(part) for part in CODECS[CHAT].rewrite_body(facts, body, "gpt-mini", 1024)))
    assert sent["model"] == "gpt-mini"
    assert sent["max_completion_tokens"] == 1024
    assert sent["stream_options"] == {"include_usage": True}
