"""What an exchange asks of the counters: which of them, by which limits, and how much. Pure values.

The rules that apply are worked out once for a caller, tool and model and kept until something may change
(`Claims.valid_until_ms`); what differs from one exchange to the next are the amounts and, where a rule counts by
session, the session. Money is nano-USD here; the counters keep micro-USD, rounded up.
"""

from enum import IntEnum
from hashlib import sha256
from typing import Literal
from urllib.parse import quote

import msgspec

from switchyard_contract.quantity import NanoUsd
from switchyard_contract.reason import Reason

Outage = Literal["deny", "bounded", "allow"]
FIRST, SECOND = 1, 2
"""Candidates as bits: the model asked for, and the one that a downgrade would take."""
SESSION, REQUEST = "{session}", "{request}"
"""What a counter's text holds where the session's id and the request's digest are still to be put. Values are
percent-encoded in a counter, so that none can look like these."""
LONGEST_SESSION = 256
"""More than what is ever taken from a client (protocols/client.py)."""


class RateKind(IntEnum):
    """How a rate is counted."""

    SLIDING = 1
    """GCRA: `limit` in `window_us`, `burst` of them at once."""
    PERIOD = 2
    """A counter that starts anew with its period."""
    CONCURRENT = 3
    """Slots that are held while a request runs."""


RateUnit = Literal["requests", "tokens", "input_tokens", "output_tokens"]
RateSource = Literal["rate", "cap", "provider_limit"]


class RateClaim(msgspec.Struct, frozen=True):
    """One counter of a rate limit, or of a provider account's own limits."""

    rule_id: str
    rule_name: str
    counter: str
    kind: RateKind
    unit: RateUnit
    limit: int
    burst: int
    window_us: int
    """SLIDING: the window; else 0."""
    period: str
    """PERIOD: its id; else ""."""
    period_end_ms: int
    """PERIOD: when it ends; 0: never, or no period."""
    candidates: int
    is_shadow: bool
    contact: str = ""
    counts_session: bool = False
    """The counter's text still holds SESSION, and REQUEST perhaps: `counter_for` makes it whole."""
    reason: Reason = Reason.RATE_LIMITED
    """What a refusal is told as: rate_limited, concurrency_limited, session_cap or retry_cap."""
    source: RateSource = "rate"
    """provider_limit: rule_id and rule_name are the provider account's."""
    noun: str = "requests"
    """What people are told is counted: requests, tokens, ..., turns, retries."""
    span: str = ""
    """minute, hour, day, session; for people."""
    timezone: str = "UTC"
    counts: str = ""
    """Whose counter it is, for people; empty: of all whom the rule is about."""
    idle_ms: int = 0
    """A counter without an end is forgotten so long after it was last used; 0: never."""


class BudgetClaim(msgspec.Struct, frozen=True):
    """One counter of a budget in its present period."""

    budget_id: str
    budget_name: str
    counter: str
    period: str
    period_end_ms: int
    """0: never."""
    limit: NanoUsd
    """Raises included."""
    soft: NanoUsd
    """posted + expected stays within: the limit where there is no tolerance, else `hard`."""
    hard: NanoUsd
    """posted + worst (or calibrated) stays within. A budget that only warns has no line: -1."""
    downgrade_at: NanoUsd
    """posted + expected from which the second candidate is taken; -1: no such stage."""
    grace: NanoUsd
    """What a tool loop that was running may spend beyond `hard`."""
    is_strict: bool
    outage: Outage
    allowance: NanoUsd
    """For all pods together while the counters are away."""
    candidates: int
    is_shadow: bool
    timezone: str = "UTC"
    contact: str = ""
    counts_session: bool = False
    """The counter's text still holds SESSION: `counter_for` makes it whole."""
    reason: Reason = Reason.BUDGET_EXCEEDED
    """What a refusal is told as: budget_exceeded, or session_cap."""
    is_cap: bool = False
    """The cost of a session's cap: budget_id and budget_name are the cap's, and the books keep no sum of it, so its
    exchanges carry no charge for it."""
    span: str = ""
    """minute, hour, day, week, month, quarter, lifetime, session; for people."""
    counts: str = ""
    """Whose counter it is, for people; empty: of all whom the rule is about."""
    stages: tuple["StageLine", ...] = ()
    """Ascending; what is in force from which posted amount on (`stage_at`)."""
    idle_ms: int = 0
    """A counter without an end is forgotten so long after it was last used; 0: never."""


class StageLine(msgspec.Struct, frozen=True):
    """A stage of a budget in nano-USD."""

    at: NanoUsd
    action: Literal["alert", "downgrade", "block"]
    told: tuple[str, ...] = ()
    """Who is alerted, once so much is posted."""


class Claims(msgspec.Struct, frozen=True):
    """All counters of an exchange."""

    organization_id: str
    key_id: str
    generation: int
    """Of the counter store's contents, as the policy says."""
    rates: tuple[RateClaim, ...]
    budgets: tuple[BudgetClaim, ...]
    rules_seen: bytes
    """A part of the usage event: UsageEvent(rules=…), written once."""
    valid_until_ms: int
    """When a period, a span of hours or a raise begins or ends next."""
    model: str = ""
    """The one asked for: kept with what is reserved, for the case that nothing but that is left of an exchange."""


class Amounts(msgspec.Struct, frozen=True, gc=False):
    """What one candidate may come to."""

    expected: NanoUsd
    calibrated: NanoUsd
    worst: NanoUsd
    """expected <= calibrated <= worst."""
    input_tokens: int
    output_tokens: int
    """Expected; rates of tokens are charged so much at admission and corrected at settlement."""


def counter_for(counter: str, session_id: str, request_digest: bytes = b"") -> str:
    """Make whole the counter of a claim that counts by session: with this exchange's session and request.

    A session's id is the client's word and may be long; a long one is known by its SHA-256.
    """
    if len(session_id) > LONGEST_SESSION:
        session_id = sha256(session_id.encode(errors="surrogatepass")).hexdigest()
    whole = counter.replace(SESSION, quote(session_id, safe="", errors="replace"))
    return whole.replace(REQUEST, request_digest.hex()) if REQUEST in whole else whole


def stage_at(claim: BudgetClaim, posted: NanoUsd) -> Literal["", "alert", "downgrade", "block"]:
    """The stage of a budget that is in force once so much is posted."""
    action: Literal["", "alert", "downgrade", "block"] = ""
    for stage in claim.stages:
        if posted < stage.at:
            break
        action = stage.action
    return action


def percent_of(claim: BudgetClaim, posted: NanoUsd) -> int:
    """How much of a budget is spent, rounded down; of nothing at all everything is."""
    return posted * 100 // claim.limit if claim.limit > 0 else 100
