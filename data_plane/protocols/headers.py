"""The header rule: lists are open, what is dropped is named (interface: everything unknown passes both ways)."""

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache

from data_plane.protocols.codec import RawHeaders, RequestHead
from switchyard_contract.virtual_key import KEY_PATTERN

KEY_HEADERS = (
    b"x-switchyard-key",
    b"x-tfy-api-key",
    b"x-portkey-api-key",
    b"x-litellm-api-key",
    b"helicone-auth",
)
METADATA_HEADERS = (b"x-switchyard-metadata", b"x-tfy-metadata", b"x-portkey-metadata", b"x-langwatch-metadata")
METADATA_PREFIX = b"helicone-property-"
SESSION_HEADERS = (b"x-switchyard-session", b"helicone-session-id", b"x-portkey-trace-id")
BETA_HEADERS = (b"x-switchyard-anthropic-beta", b"x-tfy-anthropic-beta")
LOG_HEADERS = (b"x-switchyard-log", b"x-tfy-logging-config")
CALLER_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key"})
"""What may carry a virtual key, or with pass-through the caller's own credential."""

TOOL_SESSION_HEADERS = (
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"x-session-id",
    b"x-session-affinity",
)
"""What tools call their session, in the order they are believed."""
GOOSE_SESSION_HEADER = b"agent-session-id"
_ANY_SESSION = frozenset({*SESSION_HEADERS, *TOOL_SESSION_HEADERS, GOOSE_SESSION_HEADER})

_OURS = frozenset({*KEY_HEADERS, *METADATA_HEADERS, *SESSION_HEADERS, *BETA_HEADERS, *LOG_HEADERS})
_OUR_PREFIXES = (b"x-switchyard-", METADATA_PREFIX)
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
_FORWARDED = frozenset(
    {b"forwarded", b"x-real-ip", b"x-original-forwarded-for", b"true-client-ip", b"cf-connecting-ip"}
)
_FORWARDED_PREFIX = b"x-forwarded-"
# The body arrives upstream decoded, under our own framing; its answer has to be readable, so identity is asked for.
_REFRAMED = frozenset({b"host", b"content-length", b"content-encoding", b"expect", b"accept-encoding"})
_NEVER_UPSTREAM = _HOP_BY_HOP | _FORWARDED | _REFRAMED | _OURS | {b"cookie", b"cookie2"}
# Names of the provider's account, and what would bind the browser or client to the provider's host instead of ours.
_NEVER_TO_CLIENT = _HOP_BY_HOP | {
    b"content-length",
    b"set-cookie",
    b"set-cookie2",
    b"alt-svc",
    b"strict-transport-security",
    b"nel",
    b"report-to",
    b"anthropic-organization-id",
    b"anthropic-workspace-id",
    b"openai-organization",
    b"openai-project",
}
_NONE: frozenset[bytes] = frozenset()
_CONNECTION = b"connection"
_IDENTITY = (b"accept-encoding", b"identity")


class _Fate(Enum):
    """What becomes of a request's header, by its name."""

    PASSES = 0
    STAYS_HERE = 1
    IS_CALLERS_CREDENTIAL = 2
    ADDS_BETAS = 3


def upstream_headers(head: RequestHead, *, passes_caller: bool, credential: RawHeaders = ()) -> RawHeaders:
    """The headers for the provider, without Host and framing, which belong to the connection.

    passes_caller: the caller's own credential travels on (subscription pass-through, to an account that wants it);
    otherwise `credential` is the account's. A virtual key never leaves, wherever the client put it.
    """
    named = _named_by_connection(head.headers)
    betas: list[bytes] = []
    kept: list[tuple[bytes, bytes]] = []
    for header in head.headers:
        name = header[0]
        fate = _fate_of(name)
        if fate is _Fate.PASSES:
            if name not in named and not (b"_" in header[1] and _is_ours(header[1])):
                kept.append(header)
        elif fate is _Fate.ADDS_BETAS:
            betas.append(header[1])
        elif fate is _Fate.IS_CALLERS_CREDENTIAL and passes_caller and name in _PASSED and not _is_ours(header[1]):
            kept.append(header)
    if betas:
        kept = _with_betas(kept, betas)
    kept.append(_IDENTITY)
    kept.extend(credential)
    return tuple(kept)


def client_headers(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The provider's headers for the client, without framing, which belongs to the connection. Any case of names."""
    kept: list[tuple[bytes, bytes]] = []
    said_of_connection: list[bytes] = []
    for name, value in headers:
        lowered = _client_name(name)
        if lowered is _CONNECTION:
            said_of_connection.append(value)
        elif lowered is not None:
            kept.append((lowered, value))
    if said_of_connection:
        named = frozenset(_tokens(said_of_connection)) - _HOP_BY_HOP
        kept = [header for header in kept if header[0] not in named]
    return tuple(kept)


def names_a_session(head: RequestHead) -> bool:
    """Whether a header tells the conversation session, so that none has to be worked out from the body."""
    return not _ANY_SESSION.isdisjoint(head.names)


# Requests bring the same few names again and again; the bound is for those who make names up.
@lru_cache(maxsize=1024)
def _fate_of(name: bytes) -> _Fate:
    if name in BETA_HEADERS:
        return _Fate.ADDS_BETAS
    if name in CALLER_CREDENTIALS:
        return _Fate.IS_CALLERS_CREDENTIAL
    if name in _NEVER_UPSTREAM or name.startswith((*_OUR_PREFIXES, _FORWARDED_PREFIX)):
        return _Fate.STAYS_HERE
    if b"_" in name and _fate_of(name.replace(b"_", b"-")) is not _Fate.PASSES:
        # Some servers take content_length for Content-Length (CGI naming): a dropped name must not slip by with `_`.
        return _Fate.STAYS_HERE
    return _Fate.PASSES


@lru_cache(maxsize=1024)
def _client_name(name: bytes) -> bytes | None:
    """What a header is called on its way to the client; None: it does not go there. `_CONNECTION` is told apart."""
    lowered = name.lower()
    if lowered == _CONNECTION:
        return _CONNECTION
    return None if lowered in _NEVER_TO_CLIENT or lowered.startswith(b"x-switchyard-") else lowered


_PASSED = frozenset({b"authorization", b"x-api-key"})


def _is_ours(value: bytes) -> bool:
    return KEY_PATTERN.search(value.decode("latin-1")) is not None


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    return frozenset(_tokens(values)) - _HOP_BY_HOP if values else _NONE


def _tokens(values: Iterable[bytes]) -> Iterator[bytes]:
    for value in values:
        for token in value.split(b","):
            stripped = token.strip()
            if stripped:
                yield stripped.lower()


def _with_betas(headers: list[tuple[bytes, bytes]], extra: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Append the betas that are missing to anthropic-beta; what the client sent stays in front as it was."""
    present = set(_tokens(value for name, value in headers if name == b"anthropic-beta"))
    missing: list[bytes] = []
    for value in extra:
        for token in value.split(b","):
            stripped = token.strip()
            if stripped and stripped.lower() not in present:
                present.add(stripped.lower())
                missing.append(stripped)
    if not missing:
        return headers
    for position, (name, value) in enumerate(headers):
        if name == b"anthropic-beta":
            headers[position] = (name, b",".join([value, *missing]) if value.strip() else b",".join(missing))
            return headers
    return [*headers, (b"anthropic-beta", b",".join(missing))]
