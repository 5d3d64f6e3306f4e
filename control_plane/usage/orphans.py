"""Rows of attempts of which only the counter store knows, and what becomes of them when the truth comes. Pure, but for
the one statement that notes it.

The estimate is what admission expected the attempt to cost; no tokens are known. It is the least sure kind there is, so
whatever else is ever said of the attempt takes its place: the amounts are replaced, never summed. None is made, or it
is taken back, where the disk of the run that held it has spoken since (`never_sent`).
Source: docs/decisions/0151-orphans.md, 0178-nothing-was-sent.md
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from control_plane.usage import decisions, entries, ulid
from control_plane.usage.entries import CERTAINTY, ORPHAN_ESTIMATED, REVERSAL, LedgerRow
from control_plane.usage.judgement import HIGHEST_ATTEMPT, HIGHEST_COST_NANO_USD
from switchyard_contract.holds import Hold, read_hold, read_member
from switchyard_contract.v1 import usage_pb2

POD_LOST: Final = "pod_lost"
"""What stands in place of the provider's word."""

_SETTLE = """
UPDATE usage_orphan AS orphan SET settled_at = %s
FROM unnest(%s::text[], %s::integer[]) AS known (exchange_id, attempt)
WHERE orphan.exchange_id = known.exchange_id AND orphan.attempt = known.attempt AND orphan.settled_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whom a key's usage is charged to."""

    principal_id: UUID | None
    principal_kind: str
    team_id: UUID | None


NOBODY = KeyOwner(None, "", None)


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that a pod had admitted and that no pod runs."""

    exchange_id: str
    attempt: int
    hold: Hold


def read_lost(member: str, text: bytes) -> Lost:
    """Read what the store kept of an attempt. Raises ValueError when it cannot be one."""
    exchange_id, attempt = read_member(member)
    ulid.day_of(exchange_id)
    hold = read_hold(text)
    if not 0 < attempt <= HIGHEST_ATTEMPT or not 0 <= hold.expected_nano_usd <= HIGHEST_COST_NANO_USD:
        raise ValueError("a number that cannot be")
    event = _event_of(hold)
    if fault := decisions.fault_of(event):
        raise ValueError(fault)
    return Lost(exchange_id, attempt, hold)


def orphan_row(lost: Lost, organization_id: UUID, owners: Mapping[str, KeyOwner]) -> LedgerRow:
    """Write the estimate of an attempt. owners: by key id; a key that is gone leaves the row without a person."""
    hold = lost.hold
    owner = owners.get(hold.key_id, NOBODY)
    started_at = datetime.fromtimestamp(ulid.time_ms(lost.exchange_id) / 1000, UTC)
    known: dict[str, Any] = {
        "day": ulid.day_of(lost.exchange_id),
        "exchange_id": lost.exchange_id,
        "attempt": lost.attempt,
        "kind": ORPHAN_ESTIMATED,
        "outcome": entries.FAILED,
        "error_type": POD_LOST,
        "organization_id": organization_id,
        "key_id": hold.key_id[:200],
        "principal_id": owner.principal_id,
        "principal_kind": owner.principal_kind,
        "team_id": owner.team_id,
        "requested_model": hold.model[:200].replace("\x00", "\ufffd"),
        "model": hold.model[:200].replace("\x00", "\ufffd"),
        "pod_id": hold.pod_id[:200].replace("\x00", "\ufffd"),
        "started_at": started_at,
        "counted_at": started_at,
        "cost_nano_usd": hold.expected_nano_usd,
        "decision": decisions.pack(_event_of(hold)),
    }
    return LedgerRow(**{**entries.BLANK, **known})


def orphans_settle(written: Iterable[LedgerRow], *, at: datetime) -> int:
    """Note the orphans whose estimates these rows took back: the truth has come. In the transaction of the booking."""
    rows = list(written)
    taken_back = {
        (row.exchange_id, row.attempt)
        for row in rows
        if row.kind == REVERSAL and row.revision % 4 == CERTAINTY[ORPHAN_ESTIMATED]
    }
    if not taken_back:
        return 0
    # An estimate that took the place of an estimate, at another price, is none.
    told = {(row.exchange_id, row.attempt) for row in rows if row.kind not in (REVERSAL, ORPHAN_ESTIMATED)}
    settled = sorted(taken_back & told)
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE, [at, [one[0] for one in settled], [one[1] for one in settled]])
        return cursor.rowcount


def _event_of(hold: Hold) -> usage_pb2.UsageEvent:
    """What is known of the decision: the counters that the cost counts in, and the store's answer."""
    return usage_pb2.UsageEvent(
        charges=[
            usage_pb2.Charge(budget_id=one.budget_id, counter=one.counter, period=one.period) for one in hold.budgets
        ],
        counters_answer=hold.answer_text,
    )
