"""Where counters of budgets stand: spent from the books, reserved from the counter store."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.budgets.stages import Stage, loaded_stages
from control_plane.dashboards.reserved import CounterName, Reserved, reserved_of
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.selectors import counter_forecasts
from control_plane.keys.models import VirtualKey
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of
from control_plane.rules.periods import PeriodRule, Span, period_at
from control_plane.usage.models import BudgetSpend
from control_plane.usage.selectors.counter_words import counter_words

OF_SOMEBODY = frozenset({"principal", "user", "service_account", "key", "team"})
"""What a counter may be of that tells whose it is."""
MOST_KEYS = 300


@dataclass(frozen=True, slots=True)
class CounterStanding:
    """One counter in the present period. Money is nano-USD; limit: raises included."""

    counter: str
    counter_text: str
    spent: int
    limit: int
    reserved: Reserved | None
    """None: the counter store is out of reach."""
    stage: Stage | None
    """The last one that is reached."""
    count: int
    last_at: datetime | None
    forecast: Forecast | None = None
    """The newest one of this period; None: none was made yet."""

    @property
    def percent(self) -> int:
        return self.spent * 100 // self.limit


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """A page of a budget's counters, the fullest first. after: hand it in to get the next; empty: the last one."""

    period: Span
    counters: tuple[CounterStanding, ...]
    after: str


def standing_of_budget(
    budget: Budget, *, now: datetime, within: Q | None = None, after: str = "", limit: int = 50
) -> BudgetStanding:
    """Where a budget's counters stand. within: those that may be seen; None: all. Raises ValueError for `after`.

    A budget that counts all together is shown before anything was spent; others have no counters then.
    """
    period = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), now)
    rows = BudgetSpend.objects.filter(
        organization_id=budget.organization_id, budget_id=budget.id, period_ms=int(period.id)
    )
    if within is not None:
        rows = rows.filter(within)
    found = _page(rows, after, limit + 1)
    shown = found[:limit]
    raises = list(BudgetRaise.objects.filter(budget=budget, from_at__lte=now, until_at__gt=now))
    standings = _standings(budget, period, shown, raises)
    if not budget.per and not standings and not after:
        standings = _standings(budget, period, [_nothing(budget, period)], raises)
    return BudgetStanding(period, standings, _cursor(shown[-1]) if len(found) > limit else "")


def counters_seen_by(standing: Standing, budget: Budget) -> Q | None:
    """Which counters of a budget a person may see: theirs, their led teams'; None: all."""
    reach = reach_of(standing, Permission.BUDGETS_READ)
    if reach is Reach.ALL or (reach is Reach.TEAM and budget.team_id in standing.led_team_ids):
        return None
    if not OF_SOMEBODY.intersection(budget.per):
        # It says nothing of anybody: what all spend together, as every refusal tells it.
        return None
    keys = VirtualKey.objects.filter(organization_id=standing.organization_id, user_id=standing.user_id)
    values = [standing.user_id.hex, *keys.values_list("key_id", flat=True)[:MOST_KEYS]]
    if reach is Reach.TEAM:
        values += [team_id.hex for team_id in standing.led_team_ids]
    own = Q(pk__in=[])
    for value in values:
        own |= Q(counter__contains=value)
    return own


def _standings(
    budget: Budget, period: Span, rows: Sequence[BudgetSpend], raises: Sequence[BudgetRaise]
) -> tuple[CounterStanding, ...]:
    per = tuple(budget.per)
    words = counter_words(budget.organization_id, [(per, row.counter) for row in rows])
    held = reserved_of(budget.organization_id, [CounterName(budget.id, int(period.id), row.counter) for row in rows])
    stages = loaded_stages(budget.stages)
    forecasts = counter_forecasts(budget.organization_id, budget.id, [row.counter for row in rows])
    standings = []
    for row in rows:
        limit = budget.limit_nano_usd + sum(
            more.amount_nano_usd for more in raises if more.counter in ("", row.counter)
        )
        reached = [stage for stage in stages if row.posted_nano_usd * 100 >= limit * stage.at_percent]
        name = CounterName(budget.id, int(period.id), row.counter)
        standings.append(
            CounterStanding(
                counter=row.counter,
                counter_text=words[per, row.counter],
                spent=row.posted_nano_usd,
                limit=limit,
                reserved=None if held is None else held.get(name, Reserved(0, 0)),
                stage=reached[-1] if reached else None,
                count=row.count,
                last_at=row.last_at if row.count else None,
                forecast=forecasts.get(row.counter),
            )
        )
    return tuple(standings)


def _nothing(budget: Budget, period: Span) -> BudgetSpend:
    return BudgetSpend(
        organization_id=budget.organization_id,
        budget_id=budget.id,
        counter="",
        period_ms=int(period.id),
        posted_nano_usd=0,
        count=0,
    )


def _page(rows: QuerySet[BudgetSpend], after: str, limit: int) -> list[BudgetSpend]:
    if after:
        posted, row_id = _read_cursor(after)
        rows = rows.filter(Q(posted_nano_usd__lt=posted) | Q(posted_nano_usd=posted, id__gt=row_id))
    return list(rows.order_by("-posted_nano_usd", "id")[:limit])


def _cursor(row: BudgetSpend) -> str:
    return base64.urlsafe_b64encode(f"{row.posted_nano_usd}:{row.id.hex}".encode()).decode()


def _read_cursor(text: str) -> tuple[int, UUID]:
    try:
        posted, _, row_id = base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode().partition(":")
        return int(posted), UUID(row_id)
    except (binascii.Error, ValueError, UnicodeError) as failure:
        raise ValueError("no cursor of a standing") from failure
