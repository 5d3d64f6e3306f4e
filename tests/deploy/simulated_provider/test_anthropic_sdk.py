"""The official Anthropic SDK, in strict validation, against the simulated provider."""

import json
from typing import Any

import anthropic
import pytest
from anthropic.types import Message

from tests.deploy.simulated_provider.conftest import Running

WRITE: Any = {
    "name": "write_file",
    "description": "Write a file.",
    "input_schema": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["path", "content"],
    },
}
TASK = "Create a file named hello.txt with content 'hi' . workdir=/tmp/work"


@pytest.fixture
def client(provider: Running, marker: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=provider.url,
        api_key=marker,
        max_retries=0,
        default_headers={"x-sim-marker": marker},
        _strict_response_validation=True,
    )


def ask(client: anthropic.Anthropic, *, streams: bool, **wishes: Any) -> Message:
    fields: Any = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "hi"}],
    } | wishes
    if not streams:
        whole: Message = client.messages.create(**fields)
        return whole
    with client.messages.stream(**fields) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize("streams", [True, False])
def test_text_arrives_with_the_usage_that_the_ledger_bills(
    client: anthropic.Anthropic, provider: Running, marker: str, streams: bool
) -> None:
    message = ask(client, streams=streams)
    assert message.content[0].type == "text"
    assert message.content[0].text.endswith("é, 漢字 and 🌍.")
    assert message.stop_reason == "end_turn"
    record = provider.record(marker)
    assert record["usage"]["input_fresh"] == message.usage.input_tokens == record["body_bytes"] // 4
    assert record["usage"]["output"] == message.usage.output_tokens > 0
    assert (record["completed"], record["status"], record["streamed"]) == (True, 200, streams)


@pytest.mark.parametrize("streams", [True, False])
def test_a_tool_is_called_and_its_result_is_answered(client: anthropic.Anthropic, streams: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": TASK}]
    first = ask(client, streams=streams, messages=messages, tools=[WRITE])
    call = first.content[-1]
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("write_file", {"path": "/tmp/work/hello.txt", "content": "hi\n"})
    assert first.stop_reason == "tool_use"
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "ok"}]},
    ]
    second = ask(client, streams=streams, messages=messages, tools=[WRITE])
    assert [block.type for block in second.content] == ["text"]
    assert second.stop_reason == "end_turn"


@pytest.mark.parametrize("streams", [True, False])
def test_several_tools_are_called_at_once(client: anthropic.Anthropic, streams: bool) -> None:
    other = WRITE | {"name": "other"}
    message = ask(client, streams=streams, model="sim-tools-2", tools=[WRITE, other])
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["write_file", "other"]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize("streams", [True, False])
def test_thinking_carries_a_signature(
    client: anthropic.Anthropic, provider: Running, marker: str, streams: bool
) -> None:
    message = ask(client, streams=streams, model="claude-opus-5-5-think")
    thought = message.content[0]
    assert thought.type == "thinking"
    assert thought.thinking.startswith("**Plan**")
    assert len(thought.signature) == 128
    details = message.usage.output_tokens_details
    usage = provider.record(marker)["usage"]
    assert details is not None
    assert details.thinking_tokens == usage["reasoning"] > 0
    assert message.usage.output_tokens == usage["output"] + usage["reasoning"]


@pytest.mark.parametrize("streams", [True, False])
def test_thinking_may_be_asked_for_without_its_text(client: anthropic.Anthropic, streams: bool) -> None:
    message = ask(client, streams=streams, thinking={"type": "adaptive", "display": "omitted"})
    thought = message.content[0]
    assert thought.type == "thinking"
    assert (thought.thinking, len(thought.signature)) == ("", 128)


@pytest.mark.parametrize("streams", [True, False])
def test_exact_usage_is_told_and_billed(
    client: anthropic.Anthropic, provider: Running, marker: str, streams: bool
) -> None:
    usage = ask(client, streams=streams, model="sim-usage-in1200-read300-w5m100-w1h50-out80-think20").usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (1200, 300, 150)
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_5m_input_tokens == 100
    assert usage.cache_creation.ephemeral_1h_input_tokens == 50
    assert usage.output_tokens == 100
    billed = {name: count for name, count in provider.record(marker)["usage"].items() if count}
    assert billed == {
        "input_fresh": 1200,
        "cache_read": 300,
        "cache_write_5m": 100,
        "cache_write_1h": 50,
        "output": 80,
        "reasoning": 20,
    }


def test_a_second_turn_reads_what_the_first_wrote(client: anthropic.Anthropic) -> None:
    marked = {"type": "text", "text": "x" * 4000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    first = ask(client, streams=True, system=[marked], messages=messages).usage
    messages += [{"role": "assistant", "content": "y" * 400}, {"role": "user", "content": "more"}]
    second = ask(client, streams=True, system=[marked], messages=messages).usage
    assert first.cache_read_input_tokens == 0
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_1h_input_tokens == first.cache_creation_input_tokens
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert 100 <= (second.cache_creation_input_tokens or 0) <= 130


@pytest.mark.parametrize("streams", [True, False])
def test_a_schema_is_answered_with_json_that_fits(client: anthropic.Anthropic, streams: bool) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    message = ask(client, streams=streams, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert message.content[0].type == "text"
    assert json.loads(message.content[0].text) == {"title": "simulated"}


def test_an_output_limit_shortens_the_answer(client: anthropic.Anthropic) -> None:
    message = ask(client, streams=True, max_tokens=4)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (402, anthropic.APIStatusError),
        (403, anthropic.PermissionDeniedError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_a_fault_is_an_error_of_the_sdk(
    client: anthropic.Anthropic, status: int, error: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(error) as failure:
        ask(client, streams=True, model=f"claude-sonnet-4-6-fault-{status}-after7")
    assert failure.value.status_code == status
    assert failure.value.response.headers.get("retry-after") == ("7" if status in (429, 529) else None)


def test_a_fault_marked_once_is_over_at_the_retry(provider: Running, marker: str) -> None:
    client = anthropic.Anthropic(base_url=provider.url, api_key=marker, max_retries=1)
    message = ask(client, streams=True, model="claude-sonnet-4-6-fault-529-after0-once")
    assert message.stop_reason == "end_turn"


def test_an_error_in_the_middle_of_the_stream_is_raised(
    client: anthropic.Anthropic, provider: Running, marker: str
) -> None:
    with pytest.raises(anthropic.APIStatusError) as failure:
        ask(client, streams=True, model="claude-sonnet-4-6-errmid5")
    assert failure.value.type == "overloaded_error"
    record = provider.record(marker)
    assert (record["completed"], record["fault"], record["output_chunks"]) == (False, "error-midstream", 6)
    assert 0 < record["usage"]["output"] < 10


def test_tokens_are_counted_and_models_listed(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="claude-sonnet-4-6", messages=[{"role": "user", "content": "x" * 400}])
    assert 100 <= counted.input_tokens <= 130
    assert "claude-sonnet-4-6" in [model.id for model in client.models.list()]
    assert client.models.retrieve("any-name").id == "any-name"
