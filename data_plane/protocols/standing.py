"""What a tool says in its headers with every request: read once, remembered.

A coding tool sends a dozen headers that stay the same for a whole session, and a few that do not. The ones that stay
are read into a `Standing` the first time they are seen. Credentials and what tells one request from the next are no
part of it, so they are neither kept nor compared.
"""

from dataclasses import dataclass
from functools import lru_cache

from data_plane.protocols.client import Tool, read_tool
from data_plane.protocols.codec import RawHeaders, RequestHead
from data_plane.protocols.headers import CALLER_CREDENTIALS, KEY_HEADERS, upstream_headers
from data_plane.protocols.metadata import read_metadata

_PASSED_VARYING = frozenset({b"traceparent", b"tracestate"})
_VARYING = (
    CALLER_CREDENTIALS
    | frozenset(KEY_HEADERS)
    | _PASSED_VARYING
    | {b"content-length", b"cookie", b"cookie2", b"proxy-authorization"}
)
REMEMBERED = 512
"""So many tools at a time; each is held with at most one head of a request."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What headers mean for the gateway, as far as they stay the same."""

    tool: Tool
    tags: dict[str, str]
    """Not to be changed."""
    upstream: RawHeaders
    """What goes to a provider, without a credential and without what varies."""
    passes_trace: bool
    """The trace context goes on to the provider, as it does unless Connection names it."""


def standing_of(head: RequestHead) -> Standing:
    """Say what the headers mean; raises InvalidRequest for tags that cannot be read."""
    return read_standing(lasting_headers(head))


def lasting_headers(head: RequestHead) -> RawHeaders:
    """The headers that stay the same from one request of a tool to its next."""
    return tuple([header for header in head.headers if header[0] not in _VARYING])


def carries_trace(head: RequestHead) -> bool:
    """Whether the request brings a trace context, which goes on to the provider and differs each time."""
    return not _PASSED_VARYING.isdisjoint(head.names)


def provider_headers(head: RequestHead, standing: Standing, credential: RawHeaders) -> RawHeaders:
    """`upstream_headers` for a request that goes on with the account's credential."""
    if standing.passes_trace:
        trace = [header for header in head.headers if header[0] in _PASSED_VARYING]
        return (*standing.upstream, *trace, *credential)
    return upstream_headers(head, passes_caller=False, credential=credential)


@lru_cache(maxsize=REMEMBERED)
def read_standing(headers: RawHeaders) -> Standing:
    """`standing_of`, from the headers that last."""
    head = RequestHead("POST", "", "", headers)
    named = b",".join(value for name, value in headers if name == b"connection").lower()
    return Standing(
        tool=read_tool(head),
        tags=read_metadata(headers),
        upstream=upstream_headers(head, passes_caller=False),
        passes_trace=b"trace" not in named,
    )
