"""From a method and path to protocol and operation; tolerant of how people join base URLs."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import unquote

from data_plane.protocols.codec import RawHeaders
from switchyard_contract.routes import (
    ANTHROPIC_MESSAGES,
    GEMINI_CONTENT,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
)

SWITCHYARD = "switchyard"
"""Paths of the gateway itself: operations `hello` and `me`."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a path means."""

    protocol: str
    operation: str
    """generate, count_tokens, embed, compact, list_models, one_model, websocket, hello, me"""
    path_model: str | None
    """The model as the path names it, percent-decoded; for one_model the one asked for."""
    canonical_path: str
    """The path as the protocol writes it; a model in it is written `{model}`. What goes upstream is made from this."""
    streamed: bool = False
    """The path itself asks for a stream (Gemini)."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No such path, or another method is wanted. protocol: in whose words to say so."""

    protocol: str
    right_path: str
    """Method and path that were probably meant."""


_FIXED: dict[str, dict[str, tuple[str, str, str]]] = {
    "messages": {"POST": (ANTHROPIC_MESSAGES, "generate", "/v1/messages")},
    "messages/count_tokens": {"POST": (ANTHROPIC_MESSAGES, "count_tokens", "/v1/messages/count_tokens")},
    "chat/completions": {"POST": (OPENAI_CHAT, "generate", "/v1/chat/completions")},
    "responses": {
        "POST": (OPENAI_RESPONSES, "generate", "/v1/responses"),
        "GET": (OPENAI_RESPONSES, "websocket", "/v1/responses"),
    },
    "responses/input_tokens": {"POST": (OPENAI_RESPONSES, "count_tokens", "/v1/responses/input_tokens")},
    "responses/compact": {"POST": (OPENAI_RESPONSES, "compact", "/v1/responses/compact")},
    "embeddings": {"POST": (OPENAI_EMBEDDINGS, "embed", "/v1/embeddings")},
}
_GEMINI_METHODS = {
    "generateContent": ("generate", False),
    "streamGenerateContent": ("generate", True),
    "countTokens": ("count_tokens", False),
}
# Gateways that people come from mount vendors below a prefix; base URLs are pasted with and without a version.
_PREFIX = re.compile(r"/(?:(?:openai|anthropic|gemini|google|genai)(?=/|$)/?)?")
_VERSION = re.compile(r"(?:v1|v1beta|v1beta1|v1alpha)(?:/|$)")
_VERTEX = re.compile(r"projects/[^/]+/locations/[^/]+/(?:publishers/[^/]+/)?(?=models/)|publishers/[^/]+/(?=models/)")
_SLASHES = re.compile(r"/{2,}")

_KNOWN_PATHS: dict[str, tuple[str, str]] = {
    **{rest: (methods["POST"][0], f"POST {methods['POST'][2]}") for rest, methods in _FIXED.items()},
    "models": ("", "GET /v1/models"),
    "completions": (OPENAI_CHAT, "POST /v1/chat/completions"),
}
"""What a mistyped path is compared with. Protocol empty: whose words a listing of models would be in."""
_LONGEST_GUESS = 40

_EXACT = {
    (method, canonical_path): Route(protocol, operation, None, canonical_path)
    for methods in _FIXED.values()
    for method, (protocol, operation, canonical_path) in methods.items()
}


def route(method: str, path: str, headers: RawHeaders = (), query: str = "") -> Route | Unknown:
    """Say what a request asks for.

    Headers and query decide only whose words a listing of models is in. Gemini models may hold slashes, dots and
    percent-encoding: the model is what stands between `models/` and the last colon.
    """
    exact = _EXACT.get((method, path))
    if exact is not None:
        return exact
    if path in ("/", "/api/hello") and method in ("HEAD", "GET"):
        return Route(SWITCHYARD, "hello", None, path)
    if path.rstrip("/") == "/switchyard/v1/me":
        return Route(SWITCHYARD, "me", None, path) if method == "GET" else Unknown(OPENAI_CHAT, "GET /switchyard/v1/me")
    prefix, version, rest = _strip(path)
    fixed = _FIXED.get(rest.rstrip("/"))
    if fixed is not None:
        found = fixed.get(method)
        if found is not None:
            protocol, operation, canonical_path = found
            return Route(protocol, operation, None, canonical_path)
        protocol, _, canonical_path = fixed["POST"]
        return Unknown(protocol, f"POST {canonical_path}")
    listing = _listing_protocol(prefix, version, headers, query)
    if rest.rstrip("/") == "models":
        right_path = "/v1beta/models" if listing == GEMINI_CONTENT else "/v1/models"
        return (
            Route(listing, "list_models", None, right_path) if method == "GET" else Unknown(listing, "GET /v1/models")
        )
    if rest.startswith("models/"):
        return _about_a_model(method, version, rest.removeprefix("models/"), listing)
    return _nearest(rest, listing)


def _strip(path: str) -> tuple[str, str, str]:
    """Split into vendor prefix, the version nearest to the operation (or nothing), and the rest without both."""
    path = _SLASHES.sub("/", path if path.startswith("/") else f"/{path}")
    match = _PREFIX.match(path)
    end = match.end() if match is not None else 0
    prefix = path[:end].strip("/")
    rest = path[end:]
    version = ""
    while (match := _VERSION.match(rest)) is not None:
        version = match.group().rstrip("/")
        rest = rest[match.end() :]
        # /v1/openai/v1/... is what a base URL with both parts makes of it.
        if (inner := _PREFIX.match(f"/{rest}")) is not None and inner.end() > 1:
            prefix = rest[: inner.end() - 1].strip("/")
            rest = rest[inner.end() - 1 :]
    return prefix, version, _VERTEX.sub("", rest, count=1)


def _about_a_model(method: str, version: str, rest: str, listing: str) -> Route | Unknown:
    decoded_colon = rest.replace("%3A", ":").replace("%3a", ":")
    model, colon, verb = decoded_colon.rpartition(":")
    if colon and verb in _GEMINI_METHODS and model:
        if method != "POST":
            return Unknown(GEMINI_CONTENT, f"POST /v1beta/models/{model}:{verb}")
        operation, streamed = _GEMINI_METHODS[verb]
        canonical_path = f"/{version or 'v1beta'}/models/{{model}}:{verb}"
        return Route(GEMINI_CONTENT, operation, unquote(model), canonical_path, streamed)
    if method == "GET" and rest:
        base = "/v1beta/models" if listing == GEMINI_CONTENT else "/v1/models"
        return Route(listing, "one_model", unquote(rest), f"{base}/{{model}}")
    return Unknown(GEMINI_CONTENT, "POST /v1beta/models/{model}:generateContent")


def _listing_protocol(prefix: str, version: str, headers: RawHeaders, query: str) -> str:
    names = {name for name, _ in headers}
    if b"anthropic-version" in names or prefix == "anthropic":
        return ANTHROPIC_MESSAGES
    if version.startswith("v1beta") or version == "v1alpha" or prefix in ("gemini", "google", "genai"):
        return GEMINI_CONTENT
    if b"x-goog-api-key" in names or b"x-goog-api-client" in names:
        return GEMINI_CONTENT
    if any(part.startswith("key=") for part in query.split("&")):
        return GEMINI_CONTENT
    return OPENAI_CHAT


def _nearest(rest: str, listing: str) -> Unknown:
    """Guess what was meant: the known path that looks most alike, else by words in it, else by who asks."""
    rest = rest.strip("/").lower()
    alike = get_close_matches(rest[-_LONGEST_GUESS:], _KNOWN_PATHS, n=1, cutoff=0.7)
    if alike:
        protocol, right_path = _KNOWN_PATHS[alike[0]]
        return Unknown(protocol or listing, right_path)
    if "message" in rest or rest == "complete":
        return Unknown(ANTHROPIC_MESSAGES, "POST /v1/messages")
    if "generatecontent" in rest or "counttokens" in rest or "embedcontent" in rest:
        return Unknown(GEMINI_CONTENT, "POST /v1beta/models/{model}:generateContent")
    if "response" in rest:
        return Unknown(OPENAI_RESPONSES, "POST /v1/responses")
    if "embedding" in rest:
        return Unknown(OPENAI_EMBEDDINGS, "POST /v1/embeddings")
    if listing == ANTHROPIC_MESSAGES:
        return Unknown(ANTHROPIC_MESSAGES, "POST /v1/messages")
    if listing == GEMINI_CONTENT:
        return Unknown(GEMINI_CONTENT, "POST /v1beta/models/{model}:generateContent")
    return Unknown(OPENAI_CHAT, "POST /v1/chat/completions")
