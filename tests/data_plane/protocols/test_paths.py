"""Paths as the protocols write them, and as people join them."""

import pytest

from data_plane.protocols.paths import Route, Unknown, route

CANONICAL = [
    ("/v1/messages", "anthropic_messages", "generate"),
    ("/v1/messages/count_tokens", "anthropic_messages", "count_tokens"),
    ("/v1/chat/completions", "openai_chat", "generate"),
    ("/v1/responses", "openai_responses", "generate"),
    ("/v1/responses/input_tokens", "openai_responses", "count_tokens"),
    ("/v1/responses/compact", "openai_responses", "compact"),
    ("/v1/embeddings", "openai_embeddings", "embed"),
]


@pytest.mark.parametrize(("path", "protocol", "operation"), CANONICAL)
@pytest.mark.parametrize(
    "join",
    [
        "{}",
        "{}/",
        "/v1{}",
        "/openai{}",
        "/anthropic{}",
        "/gemini{}",
        "/v1/openai{}",
        "/openai/v1{}",
        "/{}",
    ],
)
def test_wrong_joins_mean_the_same(path: str, protocol: str, operation: str, join: str) -> None:
    assert route("POST", join.format(path)) == Route(protocol, operation, None, path)
    unversioned = path.removeprefix("/v1")
    assert route("POST", join.format(unversioned)) == Route(protocol, operation, None, path)


@pytest.mark.parametrize(
    ("path", "model", "canonical"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", "/v1beta/models/{model}:generateContent"),
        ("/v1/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", "/v1/models/{model}:generateContent"),
        ("/models/gemini-2.5-pro:countTokens", "gemini-2.5-pro", "/v1beta/models/{model}:countTokens"),
        ("/gemini/v1beta/models/m:generateContent", "m", "/v1beta/models/{model}:generateContent"),
        ("/v1beta/v1beta/models/m:generateContent", "m", "/v1beta/models/{model}:generateContent"),
        (
            "/v1beta/models/google/gemini-2.5:generateContent",
            "google/gemini-2.5",
            "/v1beta/models/{model}:generateContent",
        ),
        ("/v1beta/models/google%2Fg-2.5:generateContent", "google/g-2.5", "/v1beta/models/{model}:generateContent"),
        ("/v1beta/models/a%20b%3Afree%3AcountTokens", "a b:free", "/v1beta/models/{model}:countTokens"),
        ("/v1beta/models/x:free:generateContent", "x:free", "/v1beta/models/{model}:generateContent"),
        ("/v1beta/models/models/m:generateContent", "models/m", "/v1beta/models/{model}:generateContent"),
        (
            "/v1beta1/projects/p/locations/global/publishers/google/models/g-3:streamGenerateContent",
            "g-3",
            "/v1beta1/models/{model}:streamGenerateContent",
        ),
        ("/v1/publishers/google/models/g-3:countTokens", "g-3", "/v1/models/{model}:countTokens"),
    ],
)
def test_the_model_of_a_gemini_path_is_found(path: str, model: str, canonical: str) -> None:
    found = route("POST", path)

    assert isinstance(found, Route)
    assert (found.protocol, found.path_model, found.canonical_path) == ("gemini_content", model, canonical)
    assert found.operation == ("count_tokens" if canonical.endswith("countTokens") else "generate")
    assert found.streamed == canonical.endswith("streamGenerateContent")


@pytest.mark.parametrize(
    ("path", "headers", "query", "protocol"),
    [
        ("/v1/models", (), "", "openai_chat"),
        ("/models", (), "", "openai_chat"),
        ("/openai/v1/models", (), "", "openai_chat"),
        ("/v1/models", ((b"anthropic-version", b"2026-10-21"),), "limit=1000", "anthropic_messages"),
        ("/anthropic/v1/models", (), "", "anthropic_messages"),
        ("/v1/models", ((b"x-goog-api-key", b"k"),), "", "gemini_content"),
        ("/v1/models", ((b"x-goog-api-client", b"google-genai-sdk/3.4.0"),), "", "gemini_content"),
        ("/v1/models", (), "key=k", "gemini_content"),
        ("/v1beta/models", (), "", "gemini_content"),
        ("/gemini/models", (), "", "gemini_content"),
    ],
)
def test_a_listing_is_in_the_words_the_headers_ask_for(
    path: str, headers: tuple[tuple[bytes, bytes], ...], query: str, protocol: str
) -> None:
    listing = route("GET", path, headers, query)
    one = route("GET", f"{path}/pub/model.1%2F2", headers, query)

    assert isinstance(listing, Route)
    assert isinstance(one, Route)
    assert (listing.protocol, listing.operation) == (protocol, "list_models")
    assert (one.protocol, one.operation, one.path_model) == (protocol, "one_model", "pub/model.1/2")


def test_a_websocket_is_recognised_by_its_method() -> None:
    found = route("GET", "/v1/responses")

    assert isinstance(found, Route)
    assert found.operation == "websocket"


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_probes_of_tools_are_answered(path: str) -> None:
    found = route("HEAD", path)

    assert isinstance(found, Route)
    assert (found.protocol, found.operation) == ("switchyard", "hello")


def test_who_am_i_is_a_path_of_our_own() -> None:
    found = route("GET", "/switchyard/v1/me")

    assert isinstance(found, Route)
    assert (found.protocol, found.operation) == ("switchyard", "me")


@pytest.mark.parametrize(
    ("method", "path", "protocol", "right_path"),
    [
        ("GET", "/v1/messages", "anthropic_messages", "POST /v1/messages"),
        ("POST", "/v1/message", "anthropic_messages", "POST /v1/messages"),
        ("POST", "/v1/messages/batches", "anthropic_messages", "POST /v1/messages"),
        ("POST", "/v1/chat/completion", "openai_chat", "POST /v1/chat/completions"),
        ("POST", "/v1/completions", "openai_chat", "POST /v1/chat/completions"),
        ("DELETE", "/v1/responses/resp_1", "openai_responses", "POST /v1/responses"),
        ("POST", "/v1/embedding", "openai_embeddings", "POST /v1/embeddings"),
        ("POST", "/v1beta/models/m:embedContent", "gemini_content", "POST /v1beta/models/{model}:generateContent"),
        ("GET", "/v1beta/models/m:generateContent", "gemini_content", "POST /v1beta/models/m:generateContent"),
        ("POST", "/v1/models", "openai_chat", "GET /v1/models"),
        ("POST", "/", "openai_chat", "POST /v1/chat/completions"),
        ("GET", "/favicon.ico", "openai_chat", "POST /v1/chat/completions"),
    ],
)
def test_an_unknown_path_is_answered_with_the_right_one(method: str, path: str, protocol: str, right_path: str) -> None:
    assert route(method, path) == Unknown(protocol, right_path)
