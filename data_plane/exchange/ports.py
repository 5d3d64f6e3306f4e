"""What the stages need from outside. The rim satisfies these shapes structurally; `application.py` proves the fit."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from data_plane.exchange.session_memory import SessionMemory
from data_plane.exchange.stages import Buffer, Packed
from data_plane.exchange.yardsticks import Yardsticks
from data_plane.policy.claims import Amounts, Claims
from data_plane.policy.grant import Ask, Denial, Grant, Restart, Spent
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.upstream.connections import UpstreamRequest, UpstreamResponse
from switchyard_contract.v1.snapshot_pb2 import SealedCredential
from switchyard_contract.virtual_key import KeyToken

Headers = tuple[tuple[bytes, bytes], ...]


class ClientGone(Exception):
    """The caller's connection no longer takes bytes."""


class BodyRefused(Exception):
    """The request's body cannot be taken; carries the refusal's reason and sentence."""

    def __init__(self, *, too_large: bool, why: str, http_status: int | None = None) -> None:
        """http_status: where 413 and 400 are too coarse."""
        super().__init__(why)
        self.too_large, self.why, self.http_status = too_large, why, http_status


class ClientStream(Protocol):
    """The way back to the caller. Every write raises ClientGone once the connection is closed."""

    @property
    def is_gone(self) -> bool:
        """The connection is lost or closing."""

    async def read_body(self) -> Buffer:
        """The whole request body, decoded. Raises BodyRefused or ClientGone."""

    async def whole(self, status: int, headers: Headers, body: bytes, lines: bytes = b"") -> None:
        """Send a complete answer at once. lines: more headers, written out and each with its line break."""

    async def start(self, status: int, headers: Headers, length: int | None, lines: bytes = b"") -> None:
        """Send the head of an answer whose body follows; length None: chunked."""

    async def write(self, data: Buffer) -> None:
        """Send bytes, waiting while the caller is slow."""

    def push(self, data: Buffer) -> bool:
        """Send bytes without waiting. False: so much is unsent that `drained` should be awaited before the next."""

    async def drained(self) -> None:
        """Return when the caller has taken most of what was sent."""

    async def end(self) -> None:
        """End the answer cleanly."""

    def when_gone(self, call: Callable[[], None] | None) -> None:
        """Have something called once, when the caller's connection is lost; at once when it is. None: no longer."""

    async def abort(self) -> None:
        """Deliver what was written, then close without a clean end, so that nobody takes it for complete."""


class Upstream(Protocol):
    async def send(self, request: UpstreamRequest) -> UpstreamResponse: ...


class Usage(Protocol):
    """The spool."""

    def can_admit(self) -> bool: ...
    def admitted(self, event: bytes, exchange_id: str, attempt: int) -> int: ...
    def progress(self, event: bytes, exchange_id: str, attempt: int) -> object: ...
    def final(self, event: bytes, exchange_id: str, attempt: int) -> int: ...
    async def synced(self, sequence: int) -> None: ...


class Secrets(Protocol):
    """The deployment's key material, held only in memory."""

    @property
    def revision(self) -> int:
        """Changes whenever the material does."""

    def digest_of(self, token: KeyToken, pepper_version: int) -> bytes | None: ...
    def open_credential(self, sealed: SealedCredential, organization_id: str, provider_id: str) -> str:
        """Raises EnvelopeFailure."""


class Counters(Protocol):
    """Rates and budgets that all pods share. Nothing here raises when the store is away: the rules of an outage
    decide then (`reliability.md` c)."""

    @property
    def now_ms(self) -> int:
        """By the store's clock, as far as it is known: what periods are chosen by."""

    def pack(self, claims: Claims) -> Packed:
        """Prepare claims that will be asked about again and again."""

    def reserve(self, packed: Packed, ask: Ask) -> Awaitable[Grant | Denial | Restart]:
        """Decide about one attempt and count it, all or nothing, in one round trip. A caller that is cancelled while it
        waits calls `withdraw` with what it waits for."""

    def withdraw(self, answer: Awaitable[Grant | Denial | Restart]) -> None:
        """Give back what was reserved for a caller that is gone."""

    async def extend(self, grant: Grant, amounts: Amounts) -> bool:
        """Have a running attempt's reservation be this much from now on. False: there is no room for it, and the
        reservation is as it was."""

    def settle(self, grant: Grant, spent: Spent) -> None:
        """Replace a reservation by the truth and free its slots, once; kept and sent again until the store has it."""


class Meters(Protocol):
    """Counters for the operator; every call is a few dictionary look-ups."""

    def refused(self, reason: str, protocol: str) -> None: ...
    def served(self, protocol: str, provider: str, outcome: str, status: int) -> None: ...
    def observe(self, protocol: str, *, gateway_us: int, first_byte_us: int, duration_us: int) -> None: ...
    def failed_authentication(self, reason: str, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Times and sizes of an exchange that are the pod's, not the policy's."""

    client_gone_s: float
    """An answer is read on for so long after its client left."""
    keep_alive_s: float
    strict_spool: bool
    caller_stalls_s: float = 60.0
    """A caller that takes so little for so long that there is no room for more has left."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All of the outside, in one value made once by `application.py`."""

    policy: Callable[[], PolicySnapshot]
    secrets: Secrets
    is_revoked: Callable[[str], bool]
    beacon_age_ms: Callable[[], int | None]
    usage: Usage
    counters: Counters
    sessions: SessionMemory
    upstream: Upstream
    meters: Meters
    limits: Limits
    now_ms: Callable[[], int]
    clock_s: Callable[[], float]
    pod_id: str
    version: str
    yardsticks: Yardsticks = field(default_factory=Yardsticks)
