"""The official OpenAI SDK, in strict validation, against the simulated provider: chat, responses, embeddings."""

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.deploy.simulated_provider.conftest import Running

PARAMETERS: Any = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path", "content"],
}
TASK = "Create a file named hello.txt with content 'hi' . workdir=/tmp/work"
EXACT = "sim-usage-in1200-read300-w30m100-w12h50-out80-think20"
ARGUMENTS = {"path": "/tmp/work/hello.txt", "content": "hi\n"}


@pytest.fixture
def client(provider: Running, marker: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{provider.url}/v1",
        api_key=marker,
        max_retries=0,
        default_headers={"x-sim-marker": marker},
        _strict_response_validation=True,
    )


def chat(client: openai.OpenAI, *, streams: bool, **wishes: Any) -> dict[str, Any]:
    """Ask for a completion and bring both kinds of answer into one form."""
    fields: dict[str, Any] = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "hi"}]} | wishes
    if not streams:
        whole: Any = client.chat.completions.create(**fields)
        message = whole.choices[0].message
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
        thought = (message.model_extra or {}).get("reasoning_content", "")
        return {
            "text": message.content,
            "thought": thought,
            "calls": calls,
            "stop": whole.choices[0].finish_reason,
            "usage": whole.usage,
        }
    text = thought = ""
    pieces: dict[int, list[str]] = {}
    stop = usage = None
    stream = client.chat.completions.create(**fields, stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thought += (choice.delta.model_extra or {}).get("reasoning_content") or ""
            stop = choice.finish_reason or stop
            for call in choice.delta.tool_calls or []:
                piece = pieces.setdefault(call.index, ["", "", ""])
                assert call.function is not None
                for place, part in enumerate((call.id, call.function.name, call.function.arguments)):
                    piece[place] += part or ""
    calls = [(found[0], found[1], found[2]) for found in pieces.values()]
    return {"text": text, "thought": thought, "calls": calls, "stop": stop, "usage": usage}


def respond(client: openai.OpenAI, *, streams: bool, **wishes: Any) -> Response:
    fields: dict[str, Any] = {"model": "gpt-5.2", "input": "hi", "store": False} | wishes
    if not streams:
        whole: Response = client.responses.create(**fields)
        return whole
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    with client.responses.stream(**fields) as stream:
        for number, event in enumerate(stream):
            assert event.sequence_number == number
            adapter.validate_python(event.model_dump(warnings=False))
            if event.type == "response.incomplete":
                return event.response
        return stream.get_final_response()


@pytest.mark.parametrize("streams", [True, False])
def test_chat_text_arrives_with_the_usage_that_the_ledger_bills(
    client: openai.OpenAI, provider: Running, marker: str, streams: bool
) -> None:
    answer = chat(client, streams=streams)
    assert answer["text"].endswith("é, 漢字 and 🌍.")
    assert answer["stop"] == "stop"
    usage = provider.record(marker)["usage"]
    assert answer["usage"].prompt_tokens == usage["input_fresh"] + usage["cache_read"]
    assert answer["usage"].completion_tokens == usage["output"]


def test_chat_without_the_wish_has_no_usage_chunk(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="gpt-5.2", messages=[{"role": "user", "content": "hi"}], stream=True)
    chunks = list(stream)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("streams", [True, False])
def test_chat_calls_a_tool_and_answers_its_result(client: openai.OpenAI, streams: bool) -> None:
    tools = [{"type": "function", "function": {"name": "write_file", "parameters": PARAMETERS}}]
    messages: list[Any] = [{"role": "user", "content": TASK}]
    first = chat(client, streams=streams, messages=messages, tools=tools)
    ((call_id, name, arguments),) = first["calls"]
    assert (name, json.loads(arguments), first["stop"]) == ("write_file", ARGUMENTS, "tool_calls")
    function = {"name": name, "arguments": arguments}
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "content": "ok"},
    ]
    second = chat(client, streams=streams, messages=messages, tools=tools)
    assert (second["calls"], second["stop"]) == ([], "stop")


@pytest.mark.parametrize("streams", [True, False])
def test_chat_thinks_aloud_where_the_name_says_so(client: openai.OpenAI, streams: bool) -> None:
    answer = chat(client, streams=streams, model="qwen3-coder-think")
    assert answer["thought"].startswith("**Plan**")
    assert answer["usage"].completion_tokens_details.reasoning_tokens > 0


def test_chat_reasoning_effort_is_counted_but_not_shown(client: openai.OpenAI) -> None:
    answer = chat(client, streams=True, reasoning_effort="high")
    assert answer["thought"] == ""
    assert answer["usage"].completion_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("streams", [True, False])
def test_chat_tells_and_bills_exact_usage(client: openai.OpenAI, provider: Running, marker: str, streams: bool) -> None:
    usage = chat(client, streams=streams, model=EXACT)["usage"]
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1650, 100, 1750)
    assert (usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens_details.cache_write_tokens) == (300, 150)
    assert usage.completion_tokens_details.reasoning_tokens == 20
    billed = {name: count for name, count in provider.record(marker)["usage"].items() if count}
    assert billed == {
        "input_fresh": 1200,
        "cache_read": 300,
        "cache_write_30m": 100,
        "cache_write_12h": 50,
        "output": 80,
        "reasoning": 20,
    }


def test_chat_answers_a_schema_with_json_that_fits(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    wish = {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}}
    assert json.loads(chat(client, streams=True, response_format=wish)["text"]) == {"title": "simulated"}
    assert json.loads(chat(client, streams=False, response_format={"type": "json_object"})["text"]) == {
        "simulated": True
    }


def test_chat_error_in_the_middle_of_the_stream_is_raised(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError) as failure:
        chat(client, streams=True, model="gpt-5.2-errmid3")
    assert failure.value.type == "server_error"


@pytest.mark.parametrize("streams", [True, False])
def test_responses_text_arrives_with_the_usage_that_the_ledger_bills(
    client: openai.OpenAI, provider: Running, marker: str, streams: bool
) -> None:
    response = respond(client, streams=streams)
    assert response.output_text.endswith("é, 漢字 and 🌍.")
    assert response.status == "completed"
    usage = provider.record(marker)["usage"]
    assert response.usage is not None
    assert response.usage.input_tokens == usage["input_fresh"] + usage["cache_read"]
    assert response.usage.output_tokens == usage["output"]


@pytest.mark.parametrize("streams", [True, False])
def test_responses_call_a_tool_and_answer_its_result(client: openai.OpenAI, streams: bool) -> None:
    tools = [{"type": "function", "name": "write_file", "parameters": PARAMETERS, "strict": False}]
    given: list[Any] = [{"role": "user", "content": TASK}]
    first = respond(client, streams=streams, input=given, tools=tools)
    call = first.output[-1]
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("write_file", ARGUMENTS)
    given += [item.model_dump(exclude_none=True) for item in first.output]
    given.append({"type": "function_call_output", "call_id": call.call_id, "output": "ok"})
    second = respond(client, streams=streams, input=given, tools=tools)
    assert [item.type for item in second.output] == ["message"]


@pytest.mark.parametrize("streams", [True, False])
def test_responses_call_a_free_form_tool(client: openai.OpenAI, streams: bool) -> None:
    tools = [{"type": "custom", "name": "apply_patch"}]
    call = respond(client, streams=streams, input=TASK, tools=tools).output[-1]
    assert call.type == "custom_tool_call"
    assert call.input == "*** Begin Patch\n*** Add File: hello.txt\n+hi\n*** End Patch\n"


@pytest.mark.parametrize("streams", [True, False])
def test_responses_reasoning_is_encrypted_and_summed_up(client: openai.OpenAI, streams: bool) -> None:
    response = respond(client, streams=streams, reasoning={"effort": "high", "summary": "auto"})
    thought = response.output[0]
    assert thought.type == "reasoning"
    assert thought.summary[0].text.startswith("**Plan**")
    assert len(thought.encrypted_content or "") == 128
    assert response.usage is not None
    assert response.usage.output_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("streams", [True, False])
def test_responses_tell_and_bill_exact_usage(
    client: openai.OpenAI, provider: Running, marker: str, streams: bool
) -> None:
    usage = respond(client, streams=streams, model=EXACT).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.output_tokens_details.reasoning_tokens) == (1650, 100, 20)
    details = usage.input_tokens_details.cache_write_tokens_details
    assert details is not None
    assert (details.ttl_30m_tokens, details.ttl_12h_tokens) == (100, 50)
    billed = provider.record(marker)["usage"]
    assert (billed["cache_write_30m"], billed["cache_write_12h"], billed["output"]) == (100, 50, 80)


def test_responses_stop_at_the_output_limit(client: openai.OpenAI) -> None:
    response = respond(client, streams=True, max_output_tokens=4)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_responses_fail_in_the_middle_of_the_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5.2-errmid6", input="hi", stream=True))
    assert events[-1].type == "response.failed"
    assert [event.sequence_number for event in events] == list(range(7))


def test_responses_tokens_are_counted_and_conversations_compacted(client: openai.OpenAI) -> None:
    assert client.responses.input_tokens.count(model="gpt-5.2", input="x" * 400).input_tokens >= 100
    compacted = client.responses.compact(model="gpt-5.2", input="x" * 400)
    assert [item.type for item in compacted.output] == ["compaction"]
    assert compacted.usage.input_tokens >= 100


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
def test_a_fault_is_an_error_of_the_sdk(client: openai.OpenAI, status: int, error: type[openai.APIStatusError]) -> None:
    for ask in (chat, respond):
        with pytest.raises(error):
            ask(client, streams=True, model=f"gpt-5.2-fault-{status}")


def test_embeddings_are_the_same_in_both_codings(provider: Running, marker: str) -> None:
    # Strict validation refuses base64 before the SDK decodes it.
    headers = {"x-sim-marker": marker}
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key=marker, max_retries=0, default_headers=headers)
    wishes: Any = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 16}
    # Without a wish the SDK asks for base64 and decodes it.
    packed = client.embeddings.create(**wishes)
    record = provider.record(marker)
    assert (record["kind"], record["usage"]["input_fresh"]) == ("embed", packed.usage.prompt_tokens)
    plain = client.embeddings.create(**wishes, encoding_format="float")
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert len(plain.data[0].embedding) == 16
    assert plain.data[0].embedding != plain.data[1].embedding


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert "gpt-5.2" in [model.id for model in client.models.list()]
    assert client.models.retrieve("any-name").id == "any-name"
