"""What is forgotten, and when: each kind of record has its own time (docs/operations/retention.md)."""

from datetime import UTC, datetime, timedelta

from django.db.models import Exists, Model, OuterRef

from control_plane.budgets.models import Budget
from control_plane.usage.models import (
    BudgetSpend,
    FailedAuthenticationMinute,
    LatencyMinute,
    QuarantinedEvent,
    RuleDay,
    RulesSeen,
    TeamMinute,
)

ROWS_AT_ONCE = 5_000
LONGEST_PERIOD = timedelta(days=100)
"""Longer than a quarter: a counter that moved so lately may be of a present period."""


def decisions_forget(*, now: datetime, ledger_days: int) -> int:
    """Delete what is older than the ledger; says how many rows.

    A counter for ever stays while its budget does: its sum is all that is left of what was spent long ago.
    """
    oldest = now.astimezone(UTC).date() - timedelta(days=ledger_days - 1)
    rules, _ = RulesSeen.objects.filter(last_day__lt=oldest).delete()
    days, _ = RuleDay.objects.filter(day__lt=oldest).delete()
    idle = BudgetSpend.objects.filter(last_at__lt=now - max(timedelta(days=ledger_days), LONGEST_PERIOD))
    has_budget = Exists(Budget.objects.filter(id=OuterRef("budget_id"), organization_id=OuterRef("organization_id")))
    spends, _ = idle.exclude(has_budget, period_ms=0).delete()
    return rules + days + spends


def minutes_forget(*, now: datetime, minutes_days: int) -> int:
    """Delete sums by the minute that are older; says how many rows. Hours and days are kept for ever."""
    oldest = now - timedelta(days=minutes_days)
    return sum(_delete_in_parts(model, minute__lt=oldest) for model in (TeamMinute, LatencyMinute))


def odd_forget(*, now: datetime, quarantine_days: int, failed_authentication_days: int) -> int:
    """Delete events that were not believed and counts of failed authentications that are older; says how many rows."""
    return _delete_in_parts(QuarantinedEvent, quarantined_at__lt=now - timedelta(days=quarantine_days)) + (
        _delete_in_parts(FailedAuthenticationMinute, minute__lt=now - timedelta(days=failed_authentication_days))
    )


def _delete_in_parts(model: type[Model], **older: datetime) -> int:
    """Delete rows some thousands at a time, so that nobody waits for long."""
    total = 0
    while True:
        part = model._default_manager.filter(**older).values("pk")[:ROWS_AT_ONCE]
        count, _ = model._default_manager.filter(pk__in=part).delete()
        total += count
        if count < ROWS_AT_ONCE:
            return total
