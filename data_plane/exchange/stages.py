"""The values handed from stage to stage. Each proves that the stages before it were passed.

Structs and not dataclasses: several are made per request, and to make a frozen dataclass costs twelve times as much.
"""

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import Client, Codec, RequestFacts, RequestHead
from data_plane.protocols.paths import Route
from data_plane.protocols.standing import Standing
from data_plane.upstream.request import Origin

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


class Plan(msgspec.Struct, frozen=True):
    """What goes upstream, and where."""

    admission: Admission
    destination: Destination
    origin: Origin
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: tuple[Buffer, ...]


class Transcript(msgspec.Struct, frozen=True):
    """How an attempt went: what the ledger needs to know of it."""

    tally: Tally
    client_left: bool
    was_cut: bool
    """The upstream's answer ended before its protocol's end, or we ended it."""
    refusal: Refusal | None = None
    """What the caller is told instead: the answer was cut before any of it was sent, and is charged all the same."""
