"""Paths: those that are not there, those that people mean, probes and listings."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from switchyard_contract.virtual_key import KeyToken
from tests.gateway.asks import ANTHROPIC, CHAT, GEMINI, RESPONSES, Dialect
from tests.gateway.conftest import Fleet
from tests.gateway.test_refusals import sentence_of


@pytest.mark.parametrize(
    ("method", "path", "dialect", "right"),
    [
        ("POST", "/v1/mesages", ANTHROPIC, "POST /v1/messages"),
        ("POST", "/v1/message", ANTHROPIC, "POST /v1/messages"),
        ("POST", "/v2/messages", ANTHROPIC, "POST /v1/messages"),
        ("POST", "/v1/messages/count-tokens", ANTHROPIC, "POST /v1/messages/count_tokens"),
        ("POST", "/v1/messages/batches", ANTHROPIC, "POST /v1/messages"),
        ("GET", "/v1/messages", ANTHROPIC, "POST /v1/messages"),
        ("POST", "/v1/chat/completion", CHAT, "POST /v1/chat/completions"),
        ("POST", "/v1/completions", CHAT, "POST /v1/chat/completions"),
        ("POST", "/chat", CHAT, "POST /v1/chat/completions"),
        ("PUT", "/v1/chat/completions", CHAT, "POST /v1/chat/completions"),
        ("POST", "/v1/response", RESPONSES, "POST /v1/responses"),
        ("GET", "/v1/responses", RESPONSES, "POST /v1/responses"),
        ("POST", "/v1/embedding", CHAT, "POST /v1/embeddings"),
        ("GET", "/v1/model", CHAT, "GET /v1/models"),
        ("POST", "/v1/models", CHAT, "GET /v1/models"),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContnt", GEMINI, "POST /v1beta/models/{model}:generateContent"),
        ("POST", "/v1/nothing/like/it", CHAT, "POST /v1/chat/completions"),
        ("DELETE", "/", CHAT, "POST /v1/chat/completions"),
    ],
)
def test_a_path_that_is_not_there_names_the_one_that_is(
    fleet: Fleet, key: KeyToken, method: str, path: str, dialect: Dialect, right: str
) -> None:
    headers = [(name, value) for name, value in dialect.headers(key) if name != "anthropic-version"]
    answer = fleet.pod.call(method, path, headers, b"{}" if method != "GET" else None)
    assert (answer.status, answer.header("x-should-retry")) == (404, "false")
    assert f"You probably meant {right}." in sentence_of(dialect, answer)


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/messages", ANTHROPIC),
        ("/v1/v1/messages", ANTHROPIC),
        ("/anthropic/v1/messages", ANTHROPIC),
        ("/anthropic/messages/", ANTHROPIC),
        ("//v1//messages", ANTHROPIC),
        ("/chat/completions", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        ("/openai/v1/chat/completions", CHAT),
        ("/v1/openai/v1/chat/completions", CHAT),
        ("/responses", RESPONSES),
        ("/openai/v1/responses", RESPONSES),
        ("/models/gemini-2.5-pro:generateContent", GEMINI),
        ("/v1/models/gemini-2.5-pro:generateContent", GEMINI),
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", GEMINI),
        ("/v1beta/v1beta/models/gemini-2.5-pro:generateContent", GEMINI),
        ("/v1beta1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent", GEMINI),
        ("/v1beta/models/gemini-2.5-pro%3AgenerateContent", GEMINI),
        ("/v1beta/models/gemini-main%2Fgemini-2.5-pro:generateContent", GEMINI),
    ],
)
def test_wrong_joins_that_people_make_work(fleet: Fleet, key: KeyToken, path: str, dialect: Dialect) -> None:
    answer = fleet.pod.call("POST", path, dialect.headers(key), dialect.body(dialect.model, streams=False))
    assert answer.status == 200, answer.text


def test_a_websocket_is_told_to_upgrade_to_http(fleet: Fleet, key: KeyToken) -> None:
    upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
    upgrade += [("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")]
    for path in ("/v1/responses", "/responses", "/openai/v1/responses"):
        answer = fleet.pod.call("GET", path, [*RESPONSES.headers(key), *upgrade])
        assert answer.status == 426
        assert "POST /v1/responses" in answer.json["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_a_probe_of_a_tool_needs_no_key(fleet: Fleet, path: str) -> None:
    assert fleet.pod.call("HEAD", path).status == 200


def test_the_root_says_what_this_is_and_where_tools_and_people_go(fleet: Fleet) -> None:
    said = fleet.pod.call("GET", "/")
    assert said.status == 200
    assert (said.header("content-type") or "").startswith("text/plain")
    assert b"This is Switchyard" in said.body
    assert b"GET /switchyard/v1/me" in said.body
    page = fleet.pod.call("GET", "/", [("accept", "application/json")]).json
    assert page["base_urls"].keys() == {"anthropic", "openai", "gemini"}
    assert page["base_urls"]["openai"].endswith("/v1")
    assert page.keys() == {"service", "says", "base_urls", "console", "me"}
    # Tools ask for the head, and for a path of their own; they are told nothing.
    assert fleet.pod.call("GET", "/api/hello").body == b""


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/startupz"])
def test_probes_are_answered_on_both_ports(fleet: Fleet, path: str) -> None:
    on_admin = fleet.pod.probe(path)
    assert on_admin is not None
    assert (fleet.pod.call("GET", path).status, on_admin.status) == (200, 200)


def test_a_trace_is_continued_also_on_a_401(fleet: Fleet) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = fleet.pod.call("POST", "/v1/messages", [("traceparent", f"00-{trace}-b7ad6b7169203331-00")], b"{}")
    assert answer.status == 401
    assert re.fullmatch(rf"00-{trace}-(?!b7ad6b7169203331)[0-9a-f]{{16}}-00", answer.header("traceparent") or "")


# Listings.


@pytest.mark.parametrize(
    ("path", "headers", "read"),
    [
        ("/v1/models", [], lambda value: [model["id"] for model in value["data"]]),
        ("/models", [], lambda value: [model["id"] for model in value["data"]]),
        ("/v1/models", [("anthropic-version", "2026-10-21")], lambda value: [model["id"] for model in value["data"]]),
        ("/anthropic/v1/models", [], lambda value: [model["id"] for model in value["data"]]),
        ("/v1beta/models", [], lambda value: [model["name"][7:] for model in value["models"]]),
        ("/v1/models", [("x-goog-api-client", "x")], lambda value: [model["name"][7:] for model in value["models"]]),
    ],
)
def test_models_are_listed_in_the_caller_s_shape(
    fleet: Fleet, key: KeyToken, path: str, headers: list[tuple[str, str]], read: Callable[[Any], list[str]]
) -> None:
    answer = fleet.pod.call("GET", path, [("authorization", f"Bearer {key.text}"), *headers])
    assert answer.status == 200
    names = read(answer.json)
    assert names == sorted(names)
    assert {"house-model", "claude-sonnet-4-6", "gpt-5.2", "meta-llama/llama-4.1-70b"} <= set(names)


def test_a_key_may_ask_who_it_is(fleet: Fleet) -> None:
    key = fleet.control.mint(name="my laptop", models=["house-*"], tags={"project": "x"})
    answer = fleet.pod.call("GET", "/switchyard/v1/me", [("authorization", f"Bearer {key.text}")])
    value = answer.json
    assert value["key"] == {"id": key.id, "name": "my laptop", "prefix": key.prefix}
    assert (value["user"]["name"], value["team"]["name"]) == ("ada@example.com", "platform")
    assert value["models"] == ["house-gemini", "house-model"]
    assert value["tags"] == {"project": "x", "cost": "c-1", "from": "team"}
    assert key.text not in answer.text
    assert fleet.pod.call("GET", "/switchyard/v1/me").status == 401
