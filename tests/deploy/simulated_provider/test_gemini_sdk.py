"""The official google-genai SDK against the simulated provider, under /v1 and /v1beta."""

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.deploy.simulated_provider.conftest import Running

TASK = "Create a file named hello.txt with content 'hi' . workdir=/tmp/work"
WRITE = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="write_file",
            parameters_json_schema={
                "type": "object",
                "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            },
        )
    ]
)


@pytest.fixture(params=["v1", "v1beta"])
def client(provider: Running, marker: str, request: pytest.FixtureRequest) -> genai.Client:
    headers = {"x-sim-marker": marker}
    options = types.HttpOptions(base_url=provider.url, api_version=request.param, headers=headers)
    return genai.Client(api_key=marker, http_options=options)


def ask(
    client: genai.Client, *, streams: bool, model: str = "gemini-2.5-pro", contents: Any = "hi", **config: Any
) -> Any:
    """Return all parts, the finish reason and the usage of an answer."""
    settings = types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
    )
    call: Any = client.models.generate_content_stream if streams else client.models.generate_content
    answers = call(model=model, contents=contents, config=settings)
    parts: list[types.Part] = []
    finish = usage = None
    for answer in answers if streams else [answers]:
        usage = answer.usage_metadata or usage
        for candidate in answer.candidates or []:
            finish = candidate.finish_reason or finish
            parts += (candidate.content.parts if candidate.content else None) or []
    return parts, finish, usage


def text_of(parts: list[types.Part]) -> str:
    return "".join(part.text or "" for part in parts if not part.thought)


@pytest.mark.parametrize("streams", [True, False])
def test_text_arrives_with_the_usage_that_the_ledger_bills(
    client: genai.Client, provider: Running, marker: str, streams: bool
) -> None:
    parts, finish, usage = ask(client, streams=streams)
    assert text_of(parts).endswith("é, 漢字 and 🌍.")
    assert finish == types.FinishReason.STOP
    billed = provider.record(marker)["usage"]
    assert usage.prompt_token_count == billed["input_fresh"]
    assert usage.candidates_token_count == billed["output"]


@pytest.mark.parametrize("streams", [True, False])
def test_a_tool_is_called_with_a_signature_and_its_result_is_answered(client: genai.Client, streams: bool) -> None:
    parts, finish, _ = ask(client, streams=streams, contents=TASK, tools=[WRITE])
    (part,) = [part for part in parts if part.function_call]
    assert part.function_call is not None
    assert part.function_call.args == {"path": "/tmp/work/hello.txt", "content": "hi\n"}
    assert part.thought_signature
    assert finish == types.FinishReason.STOP
    result = types.Part.from_function_response(name="write_file", response={"output": "ok"})
    history = [
        types.Content(role="user", parts=[types.Part(text=TASK)]),
        types.Content(role="model", parts=[part]),
        types.Content(role="user", parts=[result]),
    ]
    again, _, usage = ask(client, streams=streams, contents=history, tools=[WRITE])
    assert [part.function_call for part in again if part.function_call] == []
    assert usage.cached_content_token_count > 0


@pytest.mark.parametrize("streams", [True, False])
def test_thoughts_are_parts_and_are_counted(client: genai.Client, streams: bool) -> None:
    for wishes in ({"model": "gemini-2.5-pro-think"}, {"thinking_config": types.ThinkingConfig(include_thoughts=True)}):
        parts, _, usage = ask(client, streams=streams, **wishes)
        assert "".join(part.text or "" for part in parts if part.thought).startswith("**Plan**")
        assert any(part.thought_signature for part in parts)
        assert usage.thoughts_token_count > 0
        assert usage.total_token_count == (
            usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count
        )


@pytest.mark.parametrize("streams", [True, False])
def test_exact_usage_is_told_and_billed(client: genai.Client, provider: Running, marker: str, streams: bool) -> None:
    _, _, usage = ask(client, streams=streams, model="sim-usage-in1200-read300-tool30-out80-think20")
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (1500, 300)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.tool_use_prompt_token_count) == (80, 20, 30)
    billed = {name: count for name, count in provider.record(marker)["usage"].items() if count}
    assert billed == {"input_fresh": 1200, "input_tool": 30, "cache_read": 300, "output": 80, "reasoning": 20}


def test_a_schema_is_answered_with_json_that_fits(client: genai.Client) -> None:
    schema = {"type": "OBJECT", "properties": {"title": {"type": "STRING"}}}
    parts, _, _ = ask(client, streams=True, response_mime_type="application/json", response_schema=schema)
    assert json.loads(text_of(parts)) == {"title": "simulated"}


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_a_fault_is_an_error_of_the_sdk(client: genai.Client, status: int) -> None:
    with pytest.raises(errors.APIError) as failure:
        ask(client, streams=True, model=f"gemini-2.5-pro-fault-{status}")
    assert failure.value.code == status


def test_an_error_in_the_middle_of_the_stream_is_raised(client: genai.Client) -> None:
    with pytest.raises(errors.APIError) as failure:
        ask(client, streams=True, model="gemini-2.5-pro-errmid2")
    assert failure.value.status == "UNAVAILABLE"


def test_tokens_are_counted_and_models_listed(client: genai.Client) -> None:
    assert (client.models.count_tokens(model="gemini-2.5-pro", contents="x" * 400).total_tokens or 0) >= 100
    assert "models/gemini-2.5-pro" in [model.name for model in client.models.list()]
