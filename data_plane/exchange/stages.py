"""The values handed from stage to stage. Each proves that the stages before it were passed.

Structs and not dataclasses: several are made per request, and to make a frozen dataclass costs twelve times as much.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.policy.claims import Claims
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.estimate import Quote
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.policy.weighing import Weighed
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
    lines: str
    """What the heads of its answers say, as far as it is the same each time."""

    def __repr__(self) -> str:
        return f"Way({self.destination.provider_name}/{self.destination.model})"


class Packed(Protocol):
    """Claims, put once into the form in which the store takes them; kept with the claims."""

    @property
    def claims(self) -> Claims: ...


Wish = tuple[str, str, str, bool, bool]
"""Path, query, model asked for, whether a stream is asked for, and whether the request belongs to a session."""
Decided = tuple[bytes, bytes]
"""What is decided the same way each time, for either candidate: the counters that its cost is posted to, and names that
cannot be used. Parts of the usage event."""
Told = tuple[str, bytes]
"""Lines of an answer's head, and the stage that they speak of as a part of the event."""


class Terms(msgspec.Struct, frozen=True):
    """What the rules say of one way, as long as it stays the same."""

    weighed: Weighed
    destination: Destination
    packed: Packed | None
    """What is asked of the counters; None: nothing, and there is no round trip."""
    decided: Decided | None
    """None: they hang on the session."""
    dropped: bytes
    """Names of downgrades' lists that cannot be used: another part of the event."""
    told: dict[tuple[int, int], Told]
    """What answers said last, by the fullest budget and what was posted to it."""
    ways: dict[str, Way]
    """Where its requests went, by the name of the model that they were moved to; "": none."""
    is_free: bool
    """Nothing is asked, of the counters or of the request itself."""
    is_plain: bool
    """The counters are asked about amounts, and nothing else is looked at."""
    has_budgets: bool
    needs_amounts: bool
    needs_signs: bool
    """A rule asks how the session stands, which is read from the whole body."""
    valid_until_ms: int

    def __repr__(self) -> str:
        return f"Terms({len(self.weighed.claims.rates)} rates, {len(self.weighed.claims.budgets)} budgets)"


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A request whose caller is known and whose body was read; the rules have not been asked yet."""

    arrival: Arrival
    policy: PolicySnapshot
    caller: Caller
    client: Client
    codec: Codec
    facts: RequestFacts
    body: Buffer
    tags: Mapping[str, str]
    """As the request's headers say."""
    wish: Wish
    known_terms: dict[Wish, Terms] | None
    """Where terms are remembered; None: nowhere."""
    requested: str
    """The model, by the name that is weighed."""
    moved_to: Destination | None = None
    """Given: the session is at another model than the client asks for, and has to stay there."""


class Passed(msgspec.Struct, frozen=True, gc=False):
    """The rules let the exchange run."""

    terms: Terms
    destination: Destination
    moved_to: str = ""
    max_output: int = 0
    grows: Quote | None = None


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
    terms: Terms
    moved_to: str = ""
    """The name of the model that it was moved to; empty: it goes where it was asked to."""
    max_output: int = 0
    """The answer is limited to so many tokens, so that a budget has room for it; 0: as asked."""
    grows: Quote | None = None
    """What the whole answer may come to, where only the first part of it is reserved (growing.py)."""


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
