import json
from typing import Any

import pytest

from data_plane.policy.request_size import RequestSize
from data_plane.protocols.catalog import CODECS
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.sizing import SEARCHES_UNSAID, read_size

HEAD = RequestHead("POST", "/", "", ())
CHAT, MESSAGES, RESPONSES, GEMINI = "openai_chat", "anthropic_messages", "openai_responses", "gemini_content"
SAID = r'an "image" of {"type":"image"} and "type":"url" with "fileData":'


def size(protocol: str, more: dict[str, Any], *, operation: str = "generate", indent: int | None = None) -> RequestSize:
    base: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": SAID}]}
    if protocol == RESPONSES:
        base = {"model": "m", "input": SAID}
    if protocol == GEMINI:
        base = {"contents": [{"parts": [{"text": SAID}]}]}
    body = json.dumps(base | more, indent=indent).encode()
    facts = CODECS[protocol].read_request(HEAD, operation, "m" if protocol == GEMINI else None, body)
    return read_size(facts, body)


@pytest.mark.parametrize("protocol", [CHAT, MESSAGES, RESPONSES, GEMINI])
@pytest.mark.parametrize("indent", [None, 1])
def test_words_are_only_words(protocol: str, indent: int | None) -> None:
    found = size(protocol, {}, indent=indent)
    assert (found.images, found.is_unbounded, found.max_web_searches, found.service_tier) == (0, False, 0, "")
    assert found.is_billable
    assert found.answers_with_text


def content(protocol: str, part: dict[str, Any]) -> dict[str, Any]:
    match protocol:
        case "openai_responses":
            return {"input": [{"role": "user", "content": [part]}]}
        case "gemini_content":
            return {"contents": [{"parts": [part]}]}
        case _:
            return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("protocol", "part", "images", "is_unbounded"),
    [
        (MESSAGES, {"type": "image", "source": {"type": "base64", "data": "AA=="}}, 1, False),
        (MESSAGES, {"type": "image", "source": {"type": "url", "url": "https://x"}}, 1, True),
        (MESSAGES, {"type": "document", "source": {"type": "base64", "data": "AA=="}}, 0, True),
        (CHAT, {"type": "image_url", "image_url": {"url": "https://x"}}, 1, False),
        (CHAT, {"type": "file", "file": {"file_id": "f"}}, 0, True),
        (RESPONSES, {"type": "input_image", "image_url": "data:"}, 1, False),
        (RESPONSES, {"type": "input_file", "file_id": "f"}, 0, True),
        (GEMINI, {"inlineData": {"data": "AA=="}}, 1, False),
        (GEMINI, {"file_data": {"fileUri": "gs://x"}}, 0, True),
    ],
)
def test_what_is_more_than_its_bytes_is_found(
    protocol: str, part: dict[str, Any], images: int, is_unbounded: bool, indent: int | None
) -> None:
    found = size(protocol, content(protocol, part), indent=indent)
    assert (found.images, found.is_unbounded) == (images, is_unbounded)


@pytest.mark.parametrize(
    ("protocol", "more", "searches"),
    [
        (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]}, 5),
        (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, SEARCHES_UNSAID),
        (MESSAGES, {"mcp_servers": [{"url": "https://x"}]}, 0),
        (CHAT, {"web_search_options": {"user_location": None}}, SEARCHES_UNSAID),
        (RESPONSES, {"tools": [{"type": "web_search"}]}, SEARCHES_UNSAID),
        (RESPONSES, {"tools": [{"type": "code_interpreter"}]}, 0),
        (RESPONSES, {"previous_response_id": "resp_1"}, 0),
        (GEMINI, {"tools": [{"googleSearch": {}}]}, SEARCHES_UNSAID),
        (GEMINI, {"cachedContent": "cachedContents/1"}, 0),
    ],
)
def test_what_the_provider_keeps_or_runs_has_no_bound_here(protocol: str, more: dict[str, Any], searches: int) -> None:
    found = size(protocol, more)
    assert found.is_unbounded
    assert found.max_web_searches == searches


def test_a_tool_of_the_client_is_bounded_by_its_bytes() -> None:
    tools = [{"name": "WebFetch", "input_schema": {"properties": {"url": {"type": "string", "format": "uri"}}}}]
    assert not size(MESSAGES, {"tools": tools}).is_unbounded
    assert not size(RESPONSES, {"previous_response_id": None}).is_unbounded


def test_limits_and_tiers_are_taken_over() -> None:
    found = size(CHAT, {"max_tokens": 77, "n": 2, "service_tier": "priority"})
    assert (found.max_output_tokens, found.answers, found.service_tier) == (77, 2, "priority")
    assert size(MESSAGES, {"speed": "fast"}).service_tier == "fast"
    assert size(CHAT, {"service_tier": None}).service_tier == ""


def test_a_count_of_tokens_is_free() -> None:
    found = size(MESSAGES, {}, operation="count_tokens")
    assert not found.is_billable
