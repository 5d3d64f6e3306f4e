"""Raise a budget for a while."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.budgets.counters import wrong_with_counter
from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.budgets.services.delegated import room_for_raise
from control_plane.organizations.roles import Permission, Standing, can
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.rules.problems import Problems
from control_plane.rules.reading import HIGHEST_USD, LEAST_NANO_USD, usd
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd

LONGEST = timedelta(days=366)
ORDINARY = timedelta(days=7)
"""So long a raise of a budget for ever lasts where nobody says."""
MOST_RAISES = 1000
"""That are in force or to come, of one budget: pods hold them all."""


@transaction.atomic
def budget_raise_add(
    *,
    budget: Budget,
    amount: NanoUsd,
    actor: Actor,
    standing: Standing | None = None,
    counter: str = "",
    from_at: datetime | None = None,
    until_at: datetime | None = None,
    reason: str = "",
) -> BudgetRaise:
    """Add to the limit of one counter ("": of all) for a while. Raises ValidationError.

    until_at None: the end of the present period. standing: of whoever does it; a lead's right ends at the team's own
    budget. None: bounded by nothing.
    """
    budget = Budget.objects.select_for_update(of=("self",)).select_related("organization", "team").get(id=budget.id)
    now = timezone.now()
    from_at = from_at or now
    until_at = until_at or ordinary_end(budget, max(now, from_at))
    problems = Problems()
    if not LEAST_NANO_USD <= amount <= HIGHEST_USD * NANO_PER_USD:
        problems.add("amount_usd", f"{usd(amount)} is no amount to raise by. Right: above 0, at most {HIGHEST_USD:,}.")
    if until_at <= max(now, from_at):
        problems.add("until", "It would be over before it begins. Right: a time to come.")
    elif until_at > max(now, from_at) + LONGEST:
        problems.add("until", "A raise lasts at most a year. For longer, change the budget's limit.")
    if why := wrong_with_counter(budget.per, counter):
        problems.add("counter", why)
    if budget.raises.filter(until_at__gt=now).count() >= MOST_RAISES:
        problems.add("amount_usd", f"The budget has {MOST_RAISES:,} raises already. Change its limit instead.")
    _check_right(budget, amount, standing, now, problems)
    problems.raise_any()
    made = BudgetRaise.objects.create(
        organization=budget.organization,
        budget=budget,
        counter=counter,
        amount_nano_usd=amount,
        from_at=from_at,
        until_at=until_at,
        reason=reason.strip()[:500],
        made_by=actor.name[:254],
    )
    _record(made, actor, "budget.raised", before=None, after=raise_facts(made), reason=reason)
    return made


@transaction.atomic
def budget_raise_end(*, budget_raise: BudgetRaise, actor: Actor, reason: str = "") -> None:
    """Take a raise back; what was spent under it stays spent."""
    _record(budget_raise, actor, "budget.raise_ended", before=raise_facts(budget_raise), after=None, reason=reason)
    budget_raise.delete()


def ordinary_end(budget: Budget, at: datetime) -> datetime:
    """When a raise ends where nobody says: with the period."""
    end = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), at).end
    return at + ORDINARY if end is None else end


def raise_facts(budget_raise: BudgetRaise) -> dict[str, Any]:
    """A raise as the audit keeps it."""
    return {
        "counter": budget_raise.counter,
        "amount_usd": usd(NanoUsd(budget_raise.amount_nano_usd)),
        "from": budget_raise.from_at.isoformat(),
        "until": budget_raise.until_at.isoformat(),
        "reason": budget_raise.reason,
    }


def _check_right(budget: Budget, amount: NanoUsd, standing: Standing | None, now: datetime, problems: Problems) -> None:
    if standing is None or can(standing, Permission.BUDGETS_MANAGE):
        return
    if budget.team_id is None or not can(standing, Permission.BUDGETS_MANAGE, team_ids=(budget.team_id,)):
        raise ValidationError({"budget": "You may not raise this budget."})
    room = room_for_raise(budget, budget.raises.filter(until_at__gt=now), now)
    if room is not None and amount > room:
        problems.add(
            "amount_usd",
            f"The team's own budget leaves {usd(room)} for raises of this one. Whoever manages budgets can do more.",
        )


def _record(
    budget_raise: BudgetRaise,
    actor: Actor,
    action: str,
    *,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
) -> None:
    record_change(
        organization_id=budget_raise.organization_id,
        actor=actor,
        action=action,
        subject=Subject("budget_raise", budget_raise.id.hex, budget_raise.budget.name),
        before=before,
        after=after,
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
