"""Finds crossings that no booking finds: a limit was lowered, a raise has ended, a budget came into force."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from control_plane.alerts.crossings import Standing, crossings_note
from control_plane.budgets.models import Budget
from control_plane.rules.models import Mode
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.usage.models import BudgetSpend

LOOK_BACK = timedelta(minutes=15)
"""Sweeps come every minute: one that fails is made up for by those after it."""
MOST_BUDGETS = 1000
CHUNK = 2000


def crossings_sweep(*, now: datetime | None = None) -> int:
    """Note what is above its lines in the present period of budgets that changed lately; says how much is new."""
    now = now or timezone.now()
    since = now - LOOK_BACK
    changed = Q(updated_at__gte=since) | Q(raises__until_at__gte=since, raises__until_at__lte=now)
    budgets = Budget.objects.filter(changed, mode=Mode.ENFORCE).distinct().order_by("id")[:MOST_BUDGETS]
    return sum(_of_budget(budget, now) for budget in budgets)


def _of_budget(budget: Budget, now: datetime) -> int:
    period = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), now)
    spends = BudgetSpend.objects.filter(
        organization_id=budget.organization_id, budget_id=budget.id, period_ms=int(period.id)
    )
    found, waiting = 0, list[Standing]()
    for spend in spends.order_by("id").iterator(chunk_size=CHUNK):
        waiting.append(
            Standing(
                spend.id,
                budget.organization_id,
                budget.id,
                spend.counter,
                spend.period_ms,
                spend.posted_nano_usd,
            )
        )
        if len(waiting) == CHUNK:
            found += _note(waiting, now)
            waiting = []
    return found + _note(waiting, now)


def _note(standings: list[Standing], now: datetime) -> int:
    with transaction.atomic():
        return crossings_note(standings, now=now)
