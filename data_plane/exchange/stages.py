"""The values handed from stage to stage. Each proves that the stages before it were passed.

Structs and not dataclasses: several are made per request, and to make a frozen dataclass costs twelve times as much.
"""

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import Client, Codec, RawHeaders, RequestFacts, RequestHead
from data_plane.protocols.paths import Route
from data_plane.protocols.standing import Standing
from data_plane.upstream.request import Origin, Timeouts

Buffer = bytes | bytearray | memoryview


class Arrival(msgspec.Struct, frozen=True):
    """A request whose head has been read; its body may still be on the way."""

    exchange_id: str
    route: Route
    head: RequestHead
    source: str
    """Network address of the caller, as trusted."""
    started_at_ms: int
    started_s: float
    """On the monotonic clock that durations are taken from."""
    traceparent: str
    sight: bytes | None = None
    """What its caller is known again by (regulars.py); None: not at all."""


class Way(msgspec.Struct, frozen=True):
    """From one caller to one model: where its requests go, and what all of them have in common."""

    destination: Destination
    origin: Origin
    target: str
    headers: RawHeaders
    """With the account's credential, or the caller's own."""
    opening: bytes
    """The first bytes of a request that adds no header of its own."""
    timeouts: Timeouts
    page: bytes
    """The usage event, as far as it is the same each time."""

    def __repr__(self) -> str:
        return f"Way({self.destination.provider_name}/{self.destination.model})"


class Admission(msgspec.Struct, frozen=True):
    """This caller may make this request of this destination."""

    arrival: Arrival
    policy: PolicySnapshot
    """The one in force at arrival; used to the end of the exchange."""
    caller: Caller
    client: Client
    codec: Codec
    standing: Standing
    facts: RequestFacts
    body: Buffer
    destination: Destination
    passes_caller: bool
    """The caller's own upstream credential travels on (subscription pass-through)."""
    way: Way | None = None
    """The way to the destination, where this caller has gone it before."""
    ways: dict[tuple[str, str, str, bool], Way] | None = None
    """Where to remember it; None: nowhere."""


class Plan(msgspec.Struct, frozen=True):
    """What goes upstream, and where."""

    admission: Admission
    destination: Destination
    way: Way
    headers: RawHeaders
    opening: bytes
    """Empty: this request has headers that its way does not know."""
    body: tuple[Buffer, ...]


class Transcript(msgspec.Struct, frozen=True):
    """How an attempt went: what the ledger needs to know of it."""

    tally: Tally
    client_left: bool
    was_cut: bool
    """The upstream's answer ended before its protocol's end, or we ended it."""
    refusal: Refusal | None = None
    """What the caller is told instead: the answer was cut before any of it was sent, and is charged all the same."""
