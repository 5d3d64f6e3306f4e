"""A row of the ledger as a value, and the row that takes one back."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from switchyard_contract.usage import KINDS as TOKEN_KINDS
from switchyard_contract.usage import TokenCounts

FINAL = "final"
COUNTED = "counted"
ESTIMATED = "estimated"
ORPHAN_ESTIMATED = "orphan_estimated"
"""Nothing but what the counter store held for it is known: its pod and the pod's disk are gone."""
REVERSAL = "reversal"
ADJUSTMENT = "adjustment"
"""A correction by people, of money alone: no exchange stands behind it."""

CERTAINTY: dict[str, int] = {ORPHAN_ESTIMATED: 0, ESTIMATED: 1, COUNTED: 2, FINAL: 3, ADJUSTMENT: 3}
"""How sure the usage of a row is: a surer row takes the place of a less sure one."""

SERVED = "served"
REFUSED = "refused"
FAILED = "failed"
CANCELLED = "cancelled"
INTERNAL = "internal"
OUTCOMES = (SERVED, REFUSED, FAILED, CANCELLED, INTERNAL)

MAIN = "main"
SUBAGENT = "subagent"

EPOCH = datetime.fromtimestamp(0, UTC)

USER = "user"
SERVICE_ACCOUNT = "service_account"


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """Names one row of the ledger, in the order of its primary key."""

    day: date
    exchange_id: str
    attempt: int
    kind: str
    revision: int


# Not frozen: that would make it five times as slow to build, and one is built for every event. Nobody changes one.
@dataclass(slots=True, unsafe_hash=True)
class LedgerRow:
    """One attempt of an exchange (attempt 0: refused before any), or the reversal of such a row.

    Durations are microseconds. Token counters are disjoint. In a reversal all amounts are negative.
    """

    day: date
    exchange_id: str
    attempt: int
    kind: str
    revision: int
    outcome: str
    reason: str
    organization_id: UUID
    key_id: str
    principal_id: UUID | None
    principal_kind: str
    team_id: UUID | None
    tags: str
    """JSON object of what key, principal and team set; these win over request_tags."""
    request_tags: str
    protocol: str
    operation: str
    requested_model: str
    model: str
    provider_id: UUID | None
    provider_name: str
    vendor: str
    account: str
    host: str
    region: str
    client: str
    client_version: str
    session_id: str
    agent_id: str
    parent_session_id: str
    session_is_derived: bool
    started_at: datetime
    gateway_us: int
    first_byte_us: int
    first_token_us: int
    duration_us: int
    streamed: bool
    client_status: int
    upstream_status: int
    request_bytes: int
    response_bytes: int
    stop_reason: str
    error_type: str
    error_text: str
    upstream_request_id: str
    chunks: int
    input_fresh: int
    input_tool: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    cache_write_30m: int
    cache_write_12h: int
    cache_write_other: int
    output: int
    reasoning: int
    web_searches: int
    service_tier: str
    inference_geo: str
    cost_nano_usd: int
    price_version: str
    usage_is_inconsistent: bool
    is_subscription: bool
    policy_epoch: int
    policy_version: int
    pod_id: str
    path: str
    traceparent: str
    decision: bytes | None = None
    """What was decided, packed (`control_plane.usage.decisions`); None: the pod said nothing of it."""
    rules_digest: UUID | None = None
    """Names the rules that were looked at."""
    counted_at: datetime = EPOCH
    """The instant whose roll-ups, periods of reports and statements the row counts in: when it started, unless that
    month was closed before the row came."""
    stage: str = ""
    """Of the tightest budget at admission: alert, downgrade, block."""
    agent: str = ""
    """main, subagent; empty: no session."""
    saved_cache_nano_usd: int = 0
    """What the same tokens would have cost more without a cache; negative: writes that nobody read."""
    saved_downgrade_nano_usd: int = 0
    """What the turn was expected to cost more on the model asked for."""
    extras: str = "{}"
    """JSON object: `units` billed besides tokens by kind, `parts` of other models. As the event had them."""
    facts: bytes | None = None
    """A serialised TurnFacts."""
    price_note: str = ""
    """dearest: the model has no price, the dearest known one was taken."""

    @property
    def key(self) -> LedgerKey:
        return LedgerKey(self.day, self.exchange_id, self.attempt, self.kind, self.revision)

    @property
    def tokens(self) -> TokenCounts:
        """The counters as one value; raises ValueError on a reversal, whose counters are negative."""
        return TokenCounts(**{kind: getattr(self, kind) for kind in TOKEN_KINDS})

    @property
    def rank(self) -> tuple[int, int]:
        """Orders rows of one attempt: the highest stands. A reversal has no rank."""
        return (CERTAINTY[self.kind], self.revision)

    @property
    def sign(self) -> int:
        """1 for a row that adds, -1 for one that takes back."""
        return -1 if self.kind == REVERSAL else 1


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(LedgerRow))
BLANK: dict[str, Any] = {
    **{field.name: field.type() for field in fields(LedgerRow) if field.type in (str, int, bool)},
    **dict.fromkeys(("tags", "request_tags", "extras"), "{}"),
    **dict.fromkeys(("principal_id", "team_id", "provider_id")),
}
"""What a row says of itself that no pod reported: nothing. Its identity and its times are still to be given."""
JSON_COLUMNS = frozenset({"tags", "request_tags", "extras"})
"""Rows hold these as text."""
AMOUNTS: tuple[str, ...] = (
    *TOKEN_KINDS,
    "web_searches",
    "cost_nano_usd",
    "saved_cache_nano_usd",
    "saved_downgrade_nano_usd",
    "request_bytes",
    "response_bytes",
    "chunks",
)
"""What a reversal takes back."""


values_of: Callable[[LedgerRow], tuple[Any, ...]] = attrgetter(*COLUMNS)
"""Gives a row's values in the order of COLUMNS, for COPY."""


def reversal_revision(kind: str, revision: int) -> int:
    """Number the reversal of a row.

    A function of what is reversed: two workers that take back the same row write the same key, and the second one's
    is ignored.
    """
    return revision * 4 + CERTAINTY[kind]


def reversal_of(row: LedgerRow) -> LedgerRow:
    """The row that takes another back: the same in everything but the sign of its amounts."""
    return replace(
        row,
        kind=REVERSAL,
        revision=reversal_revision(row.kind, row.revision),
        **{name: -getattr(row, name) for name in AMOUNTS},
    )
