"""Short constructors: spend by the hour, written as roll-ups have it, and what budgets had posted."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps

from control_plane.budgets.models import Budget
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.usage.models import BudgetSpend, LabelHour
from control_plane.usage.spending import Counter
from tests.builders.tenants import Tenant

DOLLAR = 1_000_000_000
NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
"""A Wednesday."""


def spend_at(
    tenant: Tenant,
    hours: Iterable[tuple[datetime, float]],
    *,
    principal: UUID | None = None,
    kind: str = "user",
    team: UUID | None = None,
    key: str = "",
    model: str = "claude-opus-4-8",
    client: str = "claude-code",
    is_subscription: bool = False,
) -> None:
    """Dollars spent in hours of UTC, as the roll-ups of hours have them."""
    given = list(hours)
    common: dict[str, Any] = {
        "organization_id": tenant.organization.id,
        "team_id": team,
        "principal_kind": kind,
        "model": model,
        "provider_name": "anthropic-main",
        "client": client,
        "protocol": "anthropic_messages",
        "outcome": "served",
        "status_class": "2xx",
        "requests": 1,
    }
    whole = {"principal_id": principal, "key_id": key, "requested_model": model}
    for table, more in (("usagehour", whole), ("teamhour", {})):
        rows = apps.get_model("usage", table)._default_manager
        rows.bulk_create(
            rows.model(
                hour=at,
                grain=uuid4(),
                cost_nano_usd=round(dollars * DOLLAR),
                subscription_cost_nano_usd=round(dollars * DOLLAR) if is_subscription else 0,
                **common,
                **more,
            )
            for at, dollars in given
        )


def tag_at(
    tenant: Tenant, key: str, value: str, hours: Iterable[tuple[datetime, float]], *, team: UUID | None = None
) -> None:
    """Dollars of what carried a tag, as the sums by label have them."""
    LabelHour.objects.bulk_create(
        LabelHour(
            hour=at,
            grain=uuid4(),
            organization_id=tenant.organization.id,
            label=f"metadata.{key}",
            value=value,
            team_id=team,
            requests=1,
            cost_nano_usd=round(dollars * DOLLAR),
        )
        for at, dollars in hours
    )


def at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def work_days(first: date, last: date, dollars: float) -> list[tuple[datetime, float]]:
    """So many dollars on each day of work, from the first to the last day, halves at 9 and at 15 o'clock."""
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() < 5:
            # A little unrest by the day's number: days that are all alike would make a band of no width.
            amount = dollars * (0.85 + 0.3 * ((day.toordinal() * 7919) % 11) / 10)
            found += [(at(day, 9), amount / 2), (at(day, 15), amount / 2)]
    return found


def post(budget: Budget, dollars: float, counter: str = "", *, now: datetime = NOW, before: bool = False) -> None:
    """What the books say was posted to a counter in the present period, or in the one before."""
    rule = PeriodRule(budget.period, budget.timezone, budget.anchor)
    span = period_at(rule, now)
    if before:
        span = period_at(rule, span.start - timedelta(seconds=1))
    named = Counter(budget.organization_id, budget.id, counter, int(span.id))
    BudgetSpend.objects.create(
        id=named.id,
        organization_id=budget.organization_id,
        budget_id=budget.id,
        counter=counter,
        period_ms=int(span.id),
        posted_nano_usd=round(dollars * DOLLAR),
        count=1,
        last_at=now,
    )
