"""What rows really added to the ledger add to the counters of budgets. Pure.

An event says itself which counters its cost counts in, and in which period; nothing here looks at a clock, a rule or a
calendar, so an event that comes late counts where it belongs. A reversal carries the charges of the row that it takes
back. So the sum of a counter is the sum of the ledger's rows that name it, at every commit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from control_plane.usage.decisions import Charge, charges_in
from control_plane.usage.entries import LedgerRow
from switchyard_contract.v1 import usage_pb2


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one budget in one period."""

    organization_id: UUID
    budget_id: UUID
    counter: str
    period_ms: int
    """Its start; 0: for ever."""

    @classmethod
    def of(cls, organization_id: UUID, charge: Charge) -> "Counter":
        return cls(organization_id, charge.budget_id, charge.counter, charge.period_ms)

    @property
    def id(self) -> UUID:
        """The row of the counter: a counter's text may be longer than an index takes."""
        text = "\x00".join((self.organization_id.hex, self.budget_id.hex, self.counter, str(self.period_ms)))
        return UUID(bytes=blake2b(text.encode(), digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Spent:
    """What rows add to a counter. count: rows that stand in it."""

    counter: Counter
    nano_usd: int
    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a counter stands after rows were added, as seen by the transaction that added them."""

    counter: Counter
    posted_nano_usd: int
    added_nano_usd: int


def fold_spending(decided: Iterable[tuple[LedgerRow, usage_pb2.UsageEvent]]) -> tuple[Spent, ...]:
    """Sum rows by counter, sorted by the counter's id: workers then wait for one another in one direction only.

    decided: rows with what was decided about them.
    """
    # A UUID hashes slowly; its number does not.
    counters: dict[tuple[int, int, str, int], tuple[UUID, Charge]] = {}
    sums: dict[tuple[int, int, str, int], tuple[int, int, datetime]] = {}
    for row, event in decided:
        for charge in charges_in(event):
            key = (row.organization_id.int, charge.budget_id.int, charge.counter, charge.period_ms)
            known = sums.get(key)
            if known is None:
                counters[key] = (row.organization_id, charge)
                known = (0, 0, row.started_at)
            nano_usd, count, last_at = known
            sums[key] = (nano_usd + row.cost_nano_usd, count + row.sign, max(last_at, row.started_at))
    spent = [Spent(Counter.of(*counters[key]), *found) for key, found in sums.items()]
    return tuple(sorted(spent, key=lambda one: one.counter.id))
