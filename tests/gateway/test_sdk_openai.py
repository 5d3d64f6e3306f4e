"""The official OpenAI SDK through a pod: chat, responses, embeddings."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.conftest import KEEP_ALIVE_S, Fleet

PARAMETERS: Any = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path", "content"],
}
TASK = "Create a file named hello.txt with content 'hi' . workdir=/tmp/work"
ARGUMENTS = {"path": "/tmp/work/hello.txt", "content": "hi\n"}
MODEL = "gpt-5.2"
BOTH = pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])


@pytest.fixture
def client(fleet: Fleet, key: KeyToken, marker: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{fleet.url}/v1",
        api_key=key.text,
        max_retries=0,
        default_headers={"x-sim-marker": marker},
        _strict_response_validation=True,
    )


def chat(client: openai.OpenAI, *, streams: bool, **wishes: Any) -> dict[str, Any]:
    """Ask for a completion and bring both kinds of answer into one form."""
    fields: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]} | wishes
    if not streams:
        whole: Any = client.chat.completions.create(**fields)
        message = whole.choices[0].message
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
        thought = (message.model_extra or {}).get("reasoning_content", "")
        stop = whole.choices[0].finish_reason
        return {"text": message.content or "", "thought": thought, "calls": calls, "stop": stop}
    text = thought = ""
    pieces: dict[int, list[str]] = {}
    stop = None
    for chunk in client.chat.completions.create(**fields, stream=True):
        assert chunk.choices, "a chunk that was not asked for"
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thought += (choice.delta.model_extra or {}).get("reasoning_content") or ""
            stop = choice.finish_reason or stop
            for call in choice.delta.tool_calls or []:
                piece = pieces.setdefault(call.index, ["", "", ""])
                assert call.function is not None
                for place, part in enumerate((call.id, call.function.name, call.function.arguments)):
                    piece[place] += part or ""
    return {"text": text, "thought": thought, "calls": [tuple(piece) for piece in pieces.values()], "stop": stop}


def respond(client: openai.OpenAI, *, streams: bool, **wishes: Any) -> Response:
    fields: dict[str, Any] = {"model": MODEL, "input": "hi", "store": False} | wishes
    if not streams:
        whole: Response = client.responses.create(**fields)
        return whole
    with client.responses.stream(**fields) as stream:
        for number, event in enumerate(stream):
            assert event.sequence_number == number
        return stream.get_final_response()


@BOTH
def test_chat_text_arrives(client: openai.OpenAI, fleet: Fleet, key: KeyToken, marker: str, streams: bool) -> None:
    answer = chat(client, streams=streams)
    assert answer["text"].endswith("é, 漢字 and 🌍.")
    assert answer["stop"] == "stop"
    assert fleet.control.rows_of(key)[0].tokens.output == fleet.provider.record(marker)["usage"]["output"] > 0


def test_chat_usage_is_handed_out_when_it_was_asked_for(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    *_, last = list(stream)
    assert not last.choices
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


@BOTH
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


@BOTH
def test_chat_thinks_aloud(client: openai.OpenAI, streams: bool) -> None:
    assert chat(client, streams=streams, model="gpt-oss-think")["thought"].startswith("**Plan**")


@BOTH
def test_responses_text_arrives(client: openai.OpenAI, fleet: Fleet, marker: str, streams: bool) -> None:
    response = respond(client, streams=streams)
    assert response.output_text.endswith("é, 漢字 and 🌍.")
    assert response.status == "completed"
    assert response.usage is not None
    assert response.usage.output_tokens == fleet.provider.record(marker)["usage"]["output"]


@BOTH
def test_responses_call_a_tool_and_answer_its_result(client: openai.OpenAI, streams: bool) -> None:
    tools = [{"type": "function", "name": "write_file", "parameters": PARAMETERS, "strict": False}]
    given: list[Any] = [{"role": "user", "content": TASK}]
    first = respond(client, streams=streams, input=given, tools=tools)
    call = first.output[-1]
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("write_file", ARGUMENTS)
    given += [item.model_dump(exclude_none=True) for item in first.output]
    given.append({"type": "function_call_output", "call_id": call.call_id, "output": "ok"})
    assert [item.type for item in respond(client, streams=streams, input=given, tools=tools).output] == ["message"]


@BOTH
def test_responses_keep_encrypted_reasoning(client: openai.OpenAI, streams: bool) -> None:
    response = respond(client, streams=streams, reasoning={"effort": "high", "summary": "auto"})
    thought = response.output[0]
    assert thought.type == "reasoning"
    assert (thought.summary[0].text[:8], len(thought.encrypted_content or "")) == ("**Plan**", 128)


@BOTH
@pytest.mark.parametrize("ask", [chat, respond])
@pytest.mark.parametrize(
    ("status", "error", "retry_after"),
    [
        (400, openai.BadRequestError, None),
        (429, openai.RateLimitError, "7"),
        (500, openai.InternalServerError, None),
        (529, openai.InternalServerError, "7"),
    ],
)
def test_an_error_of_the_provider_reaches_the_sdk_as_it_is(
    client: openai.OpenAI,
    status: int,
    error: type[openai.APIStatusError],
    retry_after: str | None,
    ask: Any,
    streams: bool,
) -> None:
    with pytest.raises(error) as failure:
        ask(client, streams=streams, model=f"{MODEL}-fault-{status}-after7")
    assert failure.value.status_code == status
    assert failure.value.response.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("ask", [chat, respond])
def test_the_provider_s_401_is_the_gateway_s_502(client: openai.OpenAI, ask: Any) -> None:
    with pytest.raises(openai.InternalServerError) as failure:
        ask(client, streams=True, model=f"{MODEL}-fault-401")
    assert failure.value.status_code == 502
    assert "refused the gateway's credential" in failure.value.message


@pytest.mark.parametrize("ask", [chat, respond])
@pytest.mark.parametrize("fault", ["cut5", "cut1", "noend", "noterminal", "errmid5"])
def test_a_stream_that_breaks_never_ends_well(client: openai.OpenAI, ask: Any, fault: str) -> None:
    with pytest.raises((openai.APIError, httpx2.RemoteProtocolError, RuntimeError)):
        ask(client, streams=True, model=f"{MODEL}-{fault}")


def test_a_plain_responses_stream_that_breaks_is_an_error(client: openai.OpenAI) -> None:
    with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
        list(client.responses.create(model=f"{MODEL}-cut4", input="hi", stream=True))


@pytest.mark.parametrize("ask", [chat, respond])
def test_silence_is_filled_with_signs_that_the_sdk_tolerates(client: openai.OpenAI, ask: Any) -> None:
    assert ask(client, streams=True, model=f"{MODEL}-late{KEEP_ALIVE_S * 2500}")


def test_responses_tokens_are_counted_and_conversations_compacted(
    client: openai.OpenAI, fleet: Fleet, key: KeyToken
) -> None:
    assert client.responses.input_tokens.count(model=MODEL, input="x" * 400).input_tokens >= 100
    compacted = client.responses.compact(model=MODEL, input="x" * 400)
    assert [item.type for item in compacted.output] == ["compaction"]
    rows = {row.operation: row for row in fleet.control.rows_of(key, 2)}
    assert rows.keys() == {"count_tokens", "compact"}
    assert rows["compact"].tokens.input_fresh == compacted.usage.input_tokens


def test_embeddings_are_billed(fleet: Fleet, key: KeyToken) -> None:
    # Strict validation refuses base64 before the SDK decodes it.
    client = openai.OpenAI(base_url=f"{fleet.url}/v1", api_key=key.text, max_retries=0)
    made = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=16)
    assert [len(item.embedding) for item in made.data] == [16, 16]
    row = fleet.control.rows_of(key)[0]
    assert (row.operation, row.protocol) == ("embed", "openai_embeddings")
    assert row.tokens.input_fresh == made.usage.prompt_tokens
    assert row.cost_nano_usd == made.usage.prompt_tokens * 20


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {MODEL, "house/gpt.5", "meta-llama/llama-4.1-70b"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("house/gpt.5").id == "house/gpt.5"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.parametrize(
    ("asked", "answers"),
    [("house/gpt.5", MODEL), ("openai-main/gpt-5.2", MODEL), ("meta-llama/llama-4.1-70b", "meta-llama/llama-4.1-70b")],
)
@pytest.mark.parametrize("ask", [chat, respond])
def test_names_may_hold_slashes_and_dots(
    client: openai.OpenAI, fleet: Fleet, marker: str, asked: str, answers: str, ask: Any
) -> None:
    ask(client, streams=True, model=asked)
    assert fleet.provider.record(marker)["model"] == answers
