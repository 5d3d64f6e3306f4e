"""What the books say was posted to counters, for pods to raise theirs to. Blocking reads.

A counter's sum is that of events which were reported; the store's is that of all that were settled. Both only grow, and
the books never know more than the store did. So a floor is always safe, and after a loss it brings back all but what
is still on its way. Only present periods are told: what is over decides nothing any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.budgets.models import Budget
from control_plane.rules.models import Mode
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.usage.models import BudgetSpend
from switchyard_contract.v1 import usage_pb2

OVERLAP = timedelta(seconds=30)
"""A booking may commit so much later than its rows say."""
REACH = timedelta(hours=1)
"""How far back a look goes that makes up for what somebody may have lost."""
MOST_CHANGED = 20_000
"""Floors of one look, the newest; a counter that moves so often is told again."""
PAGE = 500
"""As many as a receipt carries."""


@dataclass(frozen=True, slots=True)
class FloorPage:
    """Floors, and where the next page begins; None: this was the last one."""

    floors: tuple[usage_pb2.Floor, ...]
    after: UUID | None


def floors_changed(since: datetime | None) -> tuple[datetime, tuple[usage_pb2.Floor, ...]]:
    """The floors of counters that moved since the last look; gives the instant to hand in at the next one.

    since None: those of the last hour; what is older was told by a look before.
    """
    now = timezone.now()
    since = now - REACH if since is None else since - OVERLAP
    rows = BudgetSpend.objects.filter(changed_at__gt=since).order_by("-changed_at")[:MOST_CHANGED]
    return now, _floors(rows, now)


def floors_of_organization(organization_id: UUID, after: UUID | None) -> FloorPage:
    """A page of all floors of an organization."""
    rows = _of_organization(organization_id).order_by("id")
    found = list((rows if after is None else rows.filter(id__gt=after))[:PAGE])
    return FloorPage(tuple(map(_floor, found)), found[-1].id if len(found) == PAGE else None)


def floors_count(organization_id: UUID) -> int:
    """How many floors an organization has now."""
    return _of_organization(organization_id).count()


def _of_organization(organization_id: UUID) -> QuerySet[BudgetSpend]:
    now = timezone.now()
    periods = Q()
    for budget in _counting().filter(organization_id=organization_id):
        periods |= Q(budget_id=budget.id, period_ms=_period_ms(budget, now))
    rows = BudgetSpend.objects.filter(organization_id=organization_id)
    return rows.filter(periods) if periods else rows.none()


def _floors(rows: Iterable[BudgetSpend], now: datetime) -> tuple[usage_pb2.Floor, ...]:
    found: Sequence[BudgetSpend] = list(rows)
    budgets = {budget.id: budget for budget in _counting().filter(id__in={row.budget_id for row in found})}
    periods = {budget.id: _period_ms(budget, now) for budget in budgets.values()}
    return tuple(
        _floor(row)
        for row in found
        if row.budget_id in budgets
        and budgets[row.budget_id].organization_id == row.organization_id
        and periods[row.budget_id] == row.period_ms
    )


def _counting() -> QuerySet[Budget]:
    """Budgets that pods count for: shadows too."""
    return Budget.objects.exclude(mode=Mode.OFF)


def _period_ms(budget: Budget, now: datetime) -> int:
    return int(period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), now.astimezone(UTC)).id)


def _floor(row: BudgetSpend) -> usage_pb2.Floor:
    return usage_pb2.Floor(
        organization_id=row.organization_id.hex,
        budget_id=row.budget_id.hex,
        counter=row.counter,
        period=str(row.period_ms),
        posted_nano_usd=max(0, row.posted_nano_usd),
    )
