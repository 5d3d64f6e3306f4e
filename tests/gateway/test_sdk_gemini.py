"""The official google-genai SDK through a pod, under /v1 and /v1beta."""

from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.conftest import KEEP_ALIVE_S, Fleet

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
MODEL = "gemini-2.5-pro"
BOTH = pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])


@pytest.fixture(params=["v1", "v1beta"])
def client(fleet: Fleet, key: KeyToken, marker: str, request: pytest.FixtureRequest) -> genai.Client:
    headers = {"x-sim-marker": marker}
    options = types.HttpOptions(base_url=fleet.url, api_version=request.param, headers=headers)
    return genai.Client(api_key=key.text, http_options=options)


def ask(client: genai.Client, *, streams: bool, model: str = MODEL, contents: Any = "hi", **config: Any) -> Any:
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


@BOTH
def test_text_arrives(client: genai.Client, fleet: Fleet, key: KeyToken, marker: str, streams: bool) -> None:
    parts, finish, usage = ask(client, streams=streams)
    assert "".join(part.text or "" for part in parts).endswith("é, 漢字 and 🌍.")
    assert finish == types.FinishReason.STOP
    row = fleet.control.rows_of(key)[0]
    assert usage.candidates_token_count == fleet.provider.record(marker)["usage"]["output"] == row.tokens.output


@BOTH
def test_a_tool_is_called_with_a_signature_and_its_result_is_answered(client: genai.Client, streams: bool) -> None:
    parts, _, _ = ask(client, streams=streams, contents=TASK, tools=[WRITE])
    (part,) = [part for part in parts if part.function_call]
    assert part.function_call is not None
    assert part.function_call.args == {"path": "/tmp/work/hello.txt", "content": "hi\n"}
    assert part.thought_signature
    history = [
        types.Content(role="user", parts=[types.Part(text=TASK)]),
        types.Content(role="model", parts=[part]),
        types.Content(
            role="user",
            parts=[types.Part.from_function_response(name="write_file", response={"output": "ok"})],
        ),
    ]
    again, finish, _ = ask(client, streams=streams, contents=history, tools=[WRITE])
    assert [part.function_call for part in again if part.function_call] == []
    assert finish == types.FinishReason.STOP


@BOTH
def test_thoughts_are_parts_with_signatures(client: genai.Client, streams: bool) -> None:
    parts, _, usage = ask(client, streams=streams, model=f"{MODEL}-think")
    assert "".join(part.text or "" for part in parts if part.thought).startswith("**Plan**")
    assert any(part.thought_signature for part in parts)
    assert usage.thoughts_token_count > 0


@BOTH
@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_an_error_of_the_provider_reaches_the_sdk_as_it_is(client: genai.Client, status: int, streams: bool) -> None:
    with pytest.raises(errors.APIError) as failure:
        ask(client, streams=streams, model=f"{MODEL}-fault-{status}")
    assert failure.value.code == status


def test_the_provider_s_401_is_the_gateway_s_502(client: genai.Client) -> None:
    with pytest.raises(errors.ServerError) as failure:
        ask(client, streams=True, model=f"{MODEL}-fault-401")
    assert failure.value.code == 502
    assert "refused the gateway's credential" in str(failure.value)


@pytest.mark.parametrize("fault", ["cut3", "cut1", "noend", "errmid3"])
def test_a_stream_that_breaks_never_ends_well(client: genai.Client, fault: str) -> None:
    with pytest.raises((errors.APIError, httpx2.HTTPError)):
        ask(client, streams=True, model=f"{MODEL}-{fault}")


def test_silence_is_filled_with_signs_that_the_sdk_tolerates(client: genai.Client) -> None:
    parts, finish, _ = ask(client, streams=True, model=f"{MODEL}-late{KEEP_ALIVE_S * 2500}")
    assert parts
    assert finish == types.FinishReason.STOP


def test_tokens_are_counted_and_models_listed(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents="x" * 400)
    assert (counted.total_tokens or 0) >= 100
    names = {model.name for model in client.models.list()}
    assert {f"models/{MODEL}", "models/house-gemini"} <= names
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        ("house-gemini", MODEL),
        ("gemini-main/gemini-2.5-pro", MODEL),
        ("tuned/house.2-x", "tuned/house.2-x"),
        ("models/gemini-2.5-pro", MODEL),
    ],
)
@BOTH
def test_names_in_the_path_may_hold_slashes_and_dots(
    client: genai.Client, fleet: Fleet, marker: str, asked: str, answers: str, streams: bool
) -> None:
    ask(client, streams=streams, model=asked)
    assert fleet.provider.record(marker)["model"] == answers
