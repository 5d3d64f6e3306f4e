"""Where a virtual key may be in a request, and what the caller's own credential is."""

from collections.abc import Iterator
from urllib.parse import unquote_plus

import msgspec

from data_plane.protocols.codec import RequestHead
from data_plane.protocols.fields import InvalidRequest
from data_plane.protocols.headers import CALLER_CREDENTIALS, KEY_HEADERS

_OURS = frozenset(KEY_HEADERS)
CARRIERS = _OURS | CALLER_CREDENTIALS
"""All headers that may carry a key."""


class Presented(msgspec.Struct, frozen=True):
    """The key that came with a request; None: none did. Its text never shows in a repr."""

    key: str | None
    passes_caller: bool
    """The key came in a header of ours, so Authorization and x-api-key, if there, belong to the provider."""

    def __repr__(self) -> str:
        return f"Presented({'a key' if self.key else 'no key'}, passes_caller={self.passes_caller})"


def presented_key(head: RequestHead, *, takes_query_key: bool | None = None) -> Presented:
    """Find the virtual key.

    The same key twice is fine; two different ones raise InvalidRequest. A header of ours beats Authorization and
    x-api-key, which then belong to the provider (subscription pass-through).
    takes_query_key: whether `?key=` counts (Gemini routes); None: decided by the path.
    """
    ours: set[str] = set()
    keys: set[str] = set()
    has_own = False
    for name, value in head.headers:
        if name in _OURS:
            ours.add(_bearer(value))
        elif name in CALLER_CREDENTIALS:
            has_own = has_own or name in (b"authorization", b"x-api-key")
            keys.add(_bearer(value) if name == b"authorization" else _text(value))
    ours.discard("")
    if len(ours) > 1:
        raise InvalidRequest("x-switchyard-key", "came twice with different keys")
    if ours:
        return Presented(ours.pop(), passes_caller=has_own)
    if takes_query_key or (takes_query_key is None and head.query and _is_gemini_path(head.path)):
        keys.update(_query_keys(head.query))
    keys.discard("")
    if len(keys) > 1:
        raise InvalidRequest("authorization", "two different keys came with this request; send one of them")
    return Presented(keys.pop() if keys else None, passes_caller=False)


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()


def _bearer(value: bytes) -> str:
    text = _text(value)
    scheme, space, rest = text.partition(" ")
    # A key without its scheme is a common slip; another scheme (Basic) carries no key.
    if not space:
        return "" if scheme.lower() in ("bearer", "basic") else text
    return rest.strip() if scheme.lower() == "bearer" else ""


def _is_gemini_path(path: str) -> bool:
    return "/models" in path


def _query_keys(query: str) -> Iterator[str]:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) == "key":
            yield unquote_plus(value).strip()
