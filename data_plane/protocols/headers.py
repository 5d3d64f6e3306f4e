"""The header rule: lists are open, what is dropped is named (interface: everything unknown passes both ways)."""

from collections.abc import Iterable, Iterator

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
_IDENTITY = (b"accept-encoding", b"identity")


def upstream_headers(head: RequestHead, *, passes_caller: bool, credential: RawHeaders = ()) -> RawHeaders:
    """The headers for the provider, without Host and framing, which belong to the connection.

    passes_caller: the caller's own credential travels on (subscription pass-through, to an account that wants it);
    otherwise `credential` is the account's. A virtual key never leaves, wherever the client put it.
    """
    named = _named_by_connection(head.headers)
    betas = [value for name, value in head.headers if name in BETA_HEADERS]
    kept: list[tuple[bytes, bytes]] = []
    for name, value in head.headers:
        if name in _NEVER_UPSTREAM or name in named or name.startswith(_OUR_PREFIXES):
            continue
        if name.startswith(_FORWARDED_PREFIX) or (b"_" in name and _reads_like_a_dropped_name(name)):
            continue
        if name in CALLER_CREDENTIALS and (not passes_caller or name not in _PASSED or _is_ours(value)):
            continue
        kept.append((name, value))
    if betas:
        kept = _with_betas(kept, betas)
    kept.append(_IDENTITY)
    kept.extend(credential)
    return tuple(kept)


def client_headers(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The provider's headers for the client, without framing, which belongs to the connection. Any case of names."""
    lowered = tuple((name.lower(), value) for name, value in headers)
    named = _named_by_connection(lowered)
    return tuple(
        (name, value)
        for name, value in lowered
        if name not in _NEVER_TO_CLIENT and name not in named and not name.startswith(b"x-switchyard-")
    )


_PASSED = frozenset({b"authorization", b"x-api-key"})


def names_a_session(headers: RawHeaders) -> bool:
    """Whether a header tells the conversation session, so that none has to be worked out from the body."""
    return any(name in _ANY_SESSION for name, _ in headers)


def _is_ours(value: bytes) -> bool:
    return KEY_PATTERN.search(value.decode("latin-1")) is not None


def _reads_like_a_dropped_name(name: bytes) -> bool:
    # Some servers take content_length for Content-Length (CGI naming), so a dropped name must not slip by with `_`.
    dashed = name.replace(b"_", b"-")
    return (
        dashed in _NEVER_UPSTREAM
        or dashed in CALLER_CREDENTIALS
        or dashed.startswith((*_OUR_PREFIXES, _FORWARDED_PREFIX))
    )


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    return frozenset(_tokens(value for name, value in headers if name == b"connection"))


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
