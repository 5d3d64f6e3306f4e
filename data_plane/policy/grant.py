"""What the counters are asked for one exchange, and what they say. Pure values; `claims.py` has what is lasting."""

from enum import Enum

import msgspec

from data_plane.policy.claims import Amounts, BudgetClaim, Claims, RateClaim
from switchyard_contract.counters import CountersAnswer
from switchyard_contract.quantity import NanoUsd

_decode = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Ask(msgspec.Struct, frozen=True, gc=False):
    """One attempt that wants in."""

    exchange_id: str
    attempt: int
    first: Amounts
    second: Amounts | None = None
    """Given: a downgrade may be taken, and would come to this."""
    session_id: str = ""
    """Where a claim counts by session."""
    request_digest: bytes = b""
    """Where a claim counts how often the same request comes; `counter_for` puts both into a counter's text."""
    is_tool_loop: bool = False
    """Goes on with a tool loop that ran before: a budget's grace holds for it."""
    is_further: bool = False
    """A retry or fallback: limits of requests have counted the exchange; everything else counts each attempt."""


class Grant(msgspec.Struct, frozen=True, gc=False):
    """The exchange may run. It is settled exactly once, whatever becomes of it."""

    ask: Ask
    claims: Claims
    candidate: int
    """FIRST or SECOND of claims.py."""
    answer: bytes
    """For the event, as it came; `switchyard_contract.counters.read_answer` reads it."""
    counted: int = 0
    """Of the answer, like the next two: which claims count the exchange (bits: rates, then budgets)."""
    fullest: int = -1
    """Into rates and then budgets: the budget that is fullest; -1: none is told."""
    posted: int = 0
    """To that budget, before this exchange; micro-USD."""
    degraded: str = ""
    """Which rule of an outage decided: bounded, allow, local_rates; "": the counters themselves."""
    member: str = ""
    """What the counters know the attempt by."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The whole answer, decoded each time it is asked for; `answer_of` names them."""
        return _decode(self.answer)

    @property
    def amounts(self) -> Amounts:
        """What was reserved at admission."""
        second = self.ask.second
        return second if self.candidate == 2 and second is not None else self.ask.first


class Refused(Enum):
    """What a denial is about."""

    RATE = "rate"
    CONCURRENCY = "concurrency"
    BUDGET = "budget"
    REVOKED = "revoked"
    UNAVAILABLE = "unavailable"
    """The counters are away, and the rule says no then, or this pod has nothing left to spend of it."""


class Denial(msgspec.Struct, frozen=True):
    """The exchange may not run; nothing was counted."""

    refused: Refused
    claim: RateClaim | BudgetClaim | None
    """None: it is about none of them (a revoked key)."""
    retry_after_ms: int | None
    """None: waiting does not help, or nobody knows. Of a period: until it ends."""
    answer: bytes
    """For the event."""
    numbers: CountersAnswer
    degraded: str = ""


class Restart(msgspec.Struct, frozen=True):
    """The claims are of another period than the store's clock: work them out for this time and ask again, once."""

    now_ms: int


class Spent(msgspec.Struct, frozen=True, gc=False):
    """What an attempt really came to; nothing at all for one that never reached a provider."""

    cost: NanoUsd = NanoUsd(0)
    input_tokens: int = 0
    output_tokens: int = 0


NOTHING_SPENT = Spent()
