"""What goes with the ledger's partitions: rules that no row names any more, what rules did, counters of old periods."""

from datetime import UTC, datetime, timedelta

from django.db.models import Exists, OuterRef

from control_plane.budgets.models import Budget
from control_plane.usage.models import BudgetSpend, RuleDay, RulesSeen

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
