"""Answers that are one document, and listings of models."""

import json
from typing import Any

import pytest
from anthropic.types import ModelInfo
from google.genai import types as genai_types
from openai.types import Model

from data_plane.conversation.tally import MAX_ERROR_TEXT
from data_plane.conversation.token_estimate import Scale
from data_plane.policy.access import ListedModel
from data_plane.protocols.body_tap import TAIL_BYTES
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import MAX_COLLECTED_BYTES, RequestFacts, Tap
from data_plane.protocols.error_text import clean_error
from switchyard_contract.usage import TokenCounts
from tests.data_plane.protocols.transcripts import documents

CLAUDE = ListedModel("claude-x", "Claude X", 1_790_000_000_000, 200_000, 64_000)
PLAIN = ListedModel("pub/plain", "pub/plain", 0, 0, 0)


def new_tap(protocol: str, operation: str = "generate", body_bytes: int = 3500) -> Tap:
    facts = RequestFacts(protocol, operation, "m", None, streamed=False, body_bytes=body_bytes)
    return CODECS[protocol].tap(facts, streamed=False)


def feed(tap: Tap, body: Any) -> Tap:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    for at in range(0, len(text), 50):
        piece = text[at : at + 50]
        assert tap.feed(piece) is piece
    return tap


@pytest.mark.parametrize(
    ("protocol", "golden", "path", "tokens", "stop", "model"),
    [
        (
            "anthropic_messages",
            "anthropic_nonstream_and_errors",
            "/v1/messages",
            TokenCounts(input_fresh=12, output=1),
            "max_tokens",
            "claude-sonnet-5-5",
        ),
        (
            "openai_chat",
            "openai_nonstream_and_errors",
            "/v1/chat/completions",
            TokenCounts(input_fresh=10, output=20),
            "tool_calls",
            "gpt-6-sol",
        ),
        (
            "openai_responses",
            "openai_nonstream_and_errors",
            "/v1/responses",
            TokenCounts(input_fresh=10, output=2),
            "completed",
            "gpt-6-sol",
        ),
        (
            "gemini_content",
            "gemini_nonstream_and_errors",
            "/v1beta/models/gemini-3.8-flash:generateContent",
            TokenCounts(input_fresh=10, output=1),
            "MAX_TOKENS",
            "gemini-3.8-flash",
        ),
    ],
)
def test_the_usage_of_a_document_is_told(
    protocol: str, golden: str, path: str, tokens: TokenCounts, stop: str, model: str
) -> None:
    item = next(each for each in documents(golden) if each["path"] == path and each["status"] == 200)

    tally = feed(new_tap(protocol), item["body"]).finish()

    assert (tally.tokens, tally.stop_reason, tally.model, tally.is_reported) == (tokens, stop, model, True)


@pytest.mark.parametrize(
    ("protocol", "golden"),
    [
        ("anthropic_messages", "anthropic_nonstream_and_errors"),
        ("openai_responses", "openai_nonstream_and_errors"),
        ("gemini_content", "gemini_nonstream_and_errors"),
    ],
)
def test_errors_are_told_in_the_provider_s_words_and_cost_nothing(protocol: str, golden: str) -> None:
    errors = [each for each in documents(golden) if each["status"] >= 400]

    assert errors
    for item in errors:
        tally = feed(new_tap(protocol), item["body"]).finish()
        assert tally.error_type
        assert tally.error_text
        assert tally.tokens.total == 0


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("anthropic_messages", {"input_tokens": 2095}),
        ("openai_responses", {"object": "response.input_tokens", "input_tokens": 2095}),
        ("gemini_content", {"totalTokens": 2095}),
    ],
)
def test_a_token_count_is_free_and_certain(protocol: str, body: dict[str, Any]) -> None:
    tally = feed(new_tap(protocol, "count_tokens"), body).finish()

    assert tally.tokens.total == 0
    assert tally.is_reported


def test_embeddings_cost_their_prompt() -> None:
    body = {
        "object": "list",
        "data": [{"embedding": [0.1] * 99}],
        "model": "e",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }

    tally = feed(new_tap("openai_embeddings", "embed"), body).finish()

    assert (tally.tokens, tally.model) == (TokenCounts(input_fresh=8), "e")


def test_a_gemini_stream_without_events_is_one_array() -> None:
    body = [
        {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 5}},
        {
            "candidates": [{"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["a", "b"]}}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "toolUsePromptTokenCount": 2},
            "modelVersion": "g",
        },
    ]

    tally = feed(new_tap("gemini_content"), body).finish()

    assert tally.tokens == TokenCounts(input_fresh=5, input_tool=2, output=3)
    assert (tally.stop_reason, tally.web_searches) == ("STOP", 2)


def test_an_answer_without_usage_is_counted_by_its_words() -> None:
    said = {"content": "word " * 350, "encrypted_content": "QUJD" * 900}
    tally = feed(new_tap("openai_chat"), {"model": "m", "choices": [{"message": said}]}).finish()

    assert tally.tokens.input_fresh == 1000
    assert 345 <= tally.tokens.output <= 360
    assert not tally.is_reported


@pytest.mark.parametrize("text", [b"", b"<html>502</html>", b"{", b"[" * 5000, b"null", b'"x"'])
@pytest.mark.parametrize("protocol", sorted(CODECS))
def test_what_is_no_answer_costs_nothing_and_breaks_nothing(protocol: str, text: bytes) -> None:
    assert feed(new_tap(protocol), text).finish().tokens.total == 0


def test_of_a_document_too_large_to_keep_the_end_is_read() -> None:
    tap = new_tap("openai_embeddings", "embed")
    tap.feed(b'{"data":["')
    for _ in range(MAX_COLLECTED_BYTES // TAIL_BYTES + 3):
        tap.feed(b"A" * TAIL_BYTES)
    tap.feed(b'"],"model":"e","usage":{"prompt_tokens":9,')
    tap.feed(b'"total_tokens":9}}')

    assert tap.finish().tokens == TokenCounts(input_fresh=9)


def test_a_cut_document_is_counted_by_what_came() -> None:
    tap = new_tap("anthropic_messages")
    tap.feed(b'{"id":"msg_1","content":[{"type":"text","text":"' + b"word " * 700)

    tally = tap.counted(request_bytes=3500)

    assert tally.tokens.input_fresh == 1000
    assert 695 <= tally.tokens.output <= 710


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_cut_document_is_extended_to_the_length_that_was_told(cut: int) -> None:
    whole = (
        b'{"id":"msg_1","content":[{"type":"thinking","thinking":"%b","signature":"%b"},{"type":"text","text":"%b"},'
        b'{"type":"tool_use","name":"f","input":{"path":"\\u00e9\\u00e9 %b"}}],"usage":{"output_tokens":1}}'
        % (b"a thought " * 40, b"QUJD" * 10, b"word \\n" * 300, b"an argument " * 60)
    )
    tap = new_tap("anthropic_messages")
    tap.feed(whole[: len(whole) * 2 // 3 + cut])

    scale = Scale(TokenCounts(input_fresh=7), per_counted=1.0, answer_bytes=len(whole))
    tokens = tap.counted(3500, scale).tokens

    assert tokens.input_fresh == 7
    assert tokens.output == pytest.approx(80 + 600 + 130, rel=0.15)


def test_a_document_of_which_nothing_came_is_as_long_as_it_was_told_to_be() -> None:
    scale = Scale(TokenCounts(input_fresh=7), answer_bytes=3500)

    assert new_tap("openai_chat").counted(3500, scale).tokens == TokenCounts(input_fresh=7, output=1000)


def test_compaction_passes_are_billed_beside_the_sums() -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 10,
        "iterations": [
            {"type": "compaction", "input_tokens": 5000, "output_tokens": 300},
            {"type": "message", "input_tokens": 100, "output_tokens": 10},
        ],
    }

    tally = feed(new_tap("anthropic_messages"), {"model": "m", "usage": usage}).finish()

    assert tally.tokens == TokenCounts(input_fresh=5100, output=310)


def test_a_sum_of_cache_writes_without_its_split_counts_as_five_minutes() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 70}

    assert feed(new_tap("anthropic_messages"), {"model": "m", "usage": usage}).finish().tokens.cache_write_5m == 70


def test_fast_mode_decides_the_price_like_a_tier() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast", "inference_geo": "us"}

    tally = feed(new_tap("anthropic_messages"), {"model": "m", "usage": usage}).finish()

    assert (tally.service_tier, tally.inference_geo) == ("fast", "us")


def test_more_cached_than_sent_is_clamped_and_flagged() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 9},
    }

    tally = feed(new_tap("openai_chat"), {"model": "m", "choices": [], "usage": usage}).finish()

    assert tally.is_inconsistent
    assert tally.tokens == TokenCounts(cache_read=9, output=2)


def test_listings_are_read_by_the_official_types() -> None:
    anthropic = json.loads(CODECS["anthropic_messages"].list_models([CLAUDE, PLAIN]))
    openai = json.loads(CODECS["openai_chat"].list_models([CLAUDE, PLAIN]))
    gemini = json.loads(CODECS["gemini_content"].list_models([CLAUDE, PLAIN]))

    assert [ModelInfo.model_validate(each).id for each in anthropic["data"]] == ["claude-x", "pub/plain"]
    assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("claude-x", "pub/plain", False)
    assert [Model.model_validate(each).id for each in openai["data"]] == ["claude-x", "pub/plain"]
    assert [genai_types.Model(name=each["name"]).name for each in gemini["models"]] == [
        "models/claude-x",
        "models/pub/plain",
    ]
    assert gemini["models"][0]["inputTokenLimit"] == 200_000


@pytest.mark.parametrize("protocol", sorted(CODECS))
def test_an_empty_listing_is_one_too(protocol: str) -> None:
    assert json.loads(CODECS[protocol].list_models([]))
    assert json.loads(CODECS[protocol].one_model(CLAUDE))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Rate limit reached. Please try again in 1.5s.", "Rate limit reached. Please try again in 1.5s."),
        ("Invalid value: 'tell me a secret'.", "Invalid value: “…”."),
        ('Bad "quoted \n text" here', "Bad “…” here"),
        ("Incorrect API key provided: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789", "Incorrect API key provided: …"),
        ("a\x00b\nc", "a b c"),
    ],
)
def test_error_texts_lose_what_the_caller_may_have_sent(text: str, clean: str) -> None:
    assert clean_error(text) == clean
    assert len(clean_error("word " * 500)) == MAX_ERROR_TEXT
