"""Whatever comes in, a reply goes out; and the same call gets the same answer."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.simulated_provider.answer import Identity
from deploy.simulated_provider.call import Call
from deploy.simulated_provider.faults import Send
from deploy.simulated_provider.reception import Reception
from deploy.simulated_provider.replies import Reply
from tests.deploy.simulated_provider.conftest import REQUESTS

CLIENTS = sorted(file.stem for file in REQUESTS.glob("*.json"))
LEAVES = st.sampled_from([b"null", b"true", b"-3", b"0.5", b'""', b'"\\u00e9 x"', b"[]", b"{}", b"[{}]", b"[[1]]"])


def call_of(path: str, body: Any, *, behaviour: str = "", name: str = "abc") -> Call:
    target, _, query = path.partition("?")
    headers = {"anthropic-version": "2026-10-21", "x-sim-behaviour": behaviour}
    asked = dict([query.split("=")]) if query else {}
    return Call("POST", target, asked, headers, orjson.dumps(body), "a-credential", Identity(name, 1_795_000_000))


def body_of(reply: Reply) -> bytes:
    return b"".join(step.data for step in reply.steps if isinstance(step, Send))


def places(value: Any, trail: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the ways to every value within a JSON value."""
    found = [trail] if trail else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*trail, key))
    return found


@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_request_breaks_the_provider(client_request: Any, client: str, data: st.DataObject) -> None:
    request = copy.deepcopy(client_request(client))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(request["body"])))
        spot = request["body"]
        for step in way:
            spot = spot[step]
        spot[last] = orjson.loads(data.draw(LEAVES))
    reply = Reception().answer(call_of(request["path"], request["body"], behaviour="think"))
    assert reply.status in (200, 400)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_same_call_gets_the_same_answer(client_request: Any, client: str) -> None:
    request = client_request(client)
    first, second = (Reception().answer(call_of(request["path"], request["body"])) for _ in range(2))
    assert first == second
    assert first.status == 200


@pytest.mark.parametrize("client", CLIENTS)
def test_the_second_turn_of_a_client_reads_the_cache(client_request: Any, client: str) -> None:
    request, reception = client_request(client), Reception()
    first = reception.answer(call_of(request["path"], request["body"], name="1")).prompt
    second = reception.answer(call_of(request["path"], request["body"], name="2")).prompt
    assert first.cache_read == 0
    assert second.cache_read >= first.prompt - 16
    assert second.prompt == first.prompt


def test_a_stream_without_alt_sse_is_one_json_array() -> None:
    contents = {"contents": [{"parts": [{"text": "hi"}]}]}
    reply = Reception().answer(call_of("/v1beta/models/gemini-2.5-pro:streamGenerateContent", contents))
    answers = orjson.loads(body_of(reply))
    assert answers[-1]["candidates"][0]["finishReason"] == "STOP"
    assert reply.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/gemini-2.5-pro:generateContent",
        "/v1beta/models/vendor/some.model:generateContent",
        "/v1beta1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent",
    ],
)
def test_gemini_is_spoken_under_every_path(path: str) -> None:
    reply = Reception().answer(call_of(path, {"contents": [{"parts": [{"text": "hi"}]}]}))
    assert (reply.status, reply.protocol) == (200, "gemini_content")
    assert path.endswith(f"{reply.model}:generateContent")


@pytest.mark.parametrize(
    ("headers", "path", "name"),
    [
        ({"anthropic-version": "2026-10-21"}, "/v1/models", "has_more"),
        ({"x-goog-api-key": "k"}, "/v1/models", "models"),
        ({}, "/v1beta/models", "models"),
        ({}, "/v1/models", "object"),
    ],
)
def test_models_are_listed_in_the_shape_the_headers_ask_for(headers: dict[str, str], path: str, name: str) -> None:
    call = Call("GET", path, {}, headers, b"", "k", Identity("abc", 1))
    assert name in orjson.loads(body_of(Reception().answer(call)))
