"""The official Anthropic SDK through a pod."""

from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.conftest import KEEP_ALIVE_S, Fleet

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
MODEL = "claude-sonnet-4-6"
BOTH = pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])


@pytest.fixture
def client(fleet: Fleet, key: KeyToken, marker: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=fleet.url,
        api_key=key.text,
        max_retries=0,
        default_headers={"x-sim-marker": marker},
        _strict_response_validation=True,
    )


def ask(client: anthropic.Anthropic, *, streams: bool, **wishes: Any) -> Message:
    fields: Any = {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": "hi"}]} | wishes
    if not streams:
        whole: Message = client.messages.create(**fields)
        return whole
    with client.messages.stream(**fields) as stream:
        return stream.get_final_message()


@BOTH
def test_text_arrives_with_the_provider_s_usage(
    client: anthropic.Anthropic, fleet: Fleet, marker: str, streams: bool
) -> None:
    message = ask(client, streams=streams)
    assert message.content[0].type == "text"
    assert message.content[0].text.endswith("é, 漢字 and 🌍.")
    assert message.stop_reason == "end_turn"
    assert fleet.provider.record(marker)["usage"]["output"] == message.usage.output_tokens > 0


@BOTH
def test_a_tool_is_called_and_its_result_is_answered(client: anthropic.Anthropic, streams: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": TASK}]
    first = ask(client, streams=streams, messages=messages, tools=[WRITE])
    call = first.content[-1]
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("write_file", {"path": "/tmp/work/hello.txt", "content": "hi\n"})
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "ok"}]},
    ]
    second = ask(client, streams=streams, messages=messages, tools=[WRITE])
    assert ([block.type for block in second.content], second.stop_reason) == (["text"], "end_turn")


@BOTH
def test_several_tools_are_called_at_once(client: anthropic.Anthropic, streams: bool) -> None:
    message = ask(client, streams=streams, model="sim-tools-2", tools=[WRITE, WRITE | {"name": "other"}])
    assert [block.name for block in message.content if block.type == "tool_use"] == ["write_file", "other"]


@BOTH
def test_thinking_keeps_its_signature(client: anthropic.Anthropic, streams: bool) -> None:
    message = ask(client, streams=streams, model="claude-opus-5-5-think")
    thought = message.content[0]
    assert thought.type == "thinking"
    assert (thought.thinking[:8], len(thought.signature)) == ("**Plan**", 128)
    # Played back, the block goes upstream as it came.
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
        {"role": "user", "content": "go on"},
    ]
    assert ask(client, streams=streams, model="claude-opus-5-5", messages=history).stop_reason == "end_turn"


@BOTH
@pytest.mark.parametrize(
    ("status", "error", "retry_after"),
    [
        (400, anthropic.BadRequestError, None),
        (429, anthropic.RateLimitError, "7"),
        (500, anthropic.InternalServerError, None),
        (529, anthropic.APIStatusError, "7"),
    ],
)
def test_an_error_of_the_provider_reaches_the_sdk_as_it_is(
    client: anthropic.Anthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    retry_after: str | None,
    streams: bool,
) -> None:
    with pytest.raises(error) as failure:
        ask(client, streams=streams, model=f"{MODEL}-fault-{status}-after7")
    assert failure.value.status_code == status
    assert failure.value.response.headers.get("retry-after") == retry_after
    assert failure.value.response.headers["x-switchyard-error-source"] == "upstream"


@BOTH
def test_the_provider_s_401_is_the_gateway_s_502(client: anthropic.Anthropic, streams: bool) -> None:
    with pytest.raises(anthropic.InternalServerError) as failure:
        ask(client, streams=streams, model=f"{MODEL}-fault-401")
    assert failure.value.status_code == 502
    assert "refused the gateway's credential" in failure.value.message
    assert failure.value.response.headers["x-switchyard-error-source"] == "gateway"


@pytest.mark.parametrize("fault", ["cut5", "cut1", "noend", "noterminal", "errmid5"])
def test_a_stream_that_breaks_never_ends_well(client: anthropic.Anthropic, fault: str) -> None:
    with pytest.raises((anthropic.APIStatusError, anthropic.APIConnectionError, httpx2.RemoteProtocolError)):
        ask(client, streams=True, model=f"{MODEL}-{fault}")


def test_a_whole_answer_that_is_cut_is_an_error(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.InternalServerError) as failure:
        ask(client, streams=False, model=f"{MODEL}-cut3")
    assert failure.value.status_code == 502


def test_the_sdk_retries_what_is_over_at_the_second_try(fleet: Fleet, key: KeyToken) -> None:
    client = anthropic.Anthropic(base_url=fleet.url, api_key=key.text, max_retries=1)
    assert ask(client, streams=True, model=f"{MODEL}-fault-529-after0-once").stop_reason == "end_turn"
    assert len(fleet.control.rows_of(key, 2)) == 2


def test_silence_is_filled_with_signs_that_the_sdk_tolerates(client: anthropic.Anthropic, fleet: Fleet) -> None:
    message = ask(client, streams=True, model=f"{MODEL}-late{KEEP_ALIVE_S * 2500}")
    assert message.stop_reason == "end_turn"


def test_tokens_are_counted_and_models_listed(client: anthropic.Anthropic, fleet: Fleet, key: KeyToken) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "x" * 400}])
    assert 100 <= counted.input_tokens <= 130
    row = fleet.control.rows_of(key)[0]
    assert (row.operation, row.cost_nano_usd, row.tokens.input_fresh) == ("count_tokens", 0, 0)
    listed = [model.id for model in client.models.list()]
    assert {MODEL, "house-model", "gpt-5.2"} <= set(listed)
    assert client.models.retrieve("house/gpt.5").id == "house/gpt.5"


def test_a_bearer_is_a_key_too(fleet: Fleet, key: KeyToken) -> None:
    client = anthropic.Anthropic(base_url=fleet.url, auth_token=key.text, api_key=None, max_retries=0)
    assert ask(client, streams=False).stop_reason == "end_turn"


@pytest.mark.parametrize("model", ["house-model", "anthropic-main/claude-sonnet-4-6"])
@BOTH
def test_a_model_has_more_than_one_name(
    client: anthropic.Anthropic, fleet: Fleet, key: KeyToken, marker: str, model: str, streams: bool
) -> None:
    ask(client, streams=streams, model=model)
    assert fleet.provider.record(marker)["model"] == MODEL
    row = fleet.control.rows_of(key)[0]
    assert (row.requested_model, row.model) == (model, MODEL)
