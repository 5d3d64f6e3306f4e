"""What the overview says beside today: the month and where it is heading, budgets near their line, what to look at.

Everything here is narrowed to what the reader may see: all, their teams, their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, FloatField, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.budgets.models import Budget
from control_plane.budgets.selectors import budgets_of
from control_plane.forecasts.models import FindingState, Forecast
from control_plane.forecasts.reach import forecasts_seen_by, unusual_seen_by
from control_plane.forecasts.selectors import (
    budget_forecasts,
    burn_down,
    forecasts_in_force,
    organization_forecast,
    unusual_of,
)
from control_plane.forecasts.subjects import Subject
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission, Reach, Standing, can, may_at_all, reach_of
from control_plane.rules.models import Mode
from control_plane.sessions.selectors.listing import SessionQuery, summaries_matching
from control_plane.sessions.selectors.settings import settings_of
from control_plane.usage.models import BudgetSpend
from control_plane.usage.rollups import Measures
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import usage_total
from control_plane.usage.selectors.unpriced import models_without_price
from control_plane.web import numbers
from control_plane.web.band_chart import BandChart, band_chart
from control_plane.web.budget_reach import Mine, budgets_within, counters_within, led_ids, mine_of, my_counters
from control_plane.web.budget_view import KINDS, Gauge, Present, counter_name, present_of, spent_rows
from control_plane.web.forecast_view import ForecastRow, forecast_rows, picture_of
from control_plane.web.names import Names
from control_plane.web.ranges import TimeRange
from control_plane.web.usage_view import Totals
from switchyard_contract.counters import values_of

MOST_BUDGETS = 4
MOST_LOOKED_AT = 200
"""So many budgets are searched for their fullest counters; those heading over their line are found among all."""
MOST_CANDIDATES = 12
SESSIONS_RANGE = "7d"
SESSIONS_SPAN = timedelta(days=7)
MONEY = ("requests", "cost_nano_usd", "saved_cache_nano_usd", "saved_downgrade_nano_usd")


@dataclass(frozen=True, slots=True)
class Month:
    """The reader's month so far, and as far as they see the whole organization, where its month is heading."""

    totals: Totals
    heading: ForecastRow | None
    picture: BandChart | None

    @property
    def now(self) -> Measures:
        return self.totals.now

    @property
    def said(self) -> str:
        """Where the organization's month is heading; empty where the picture itself says why it cannot be known."""
        return self.heading.sentence if self.heading is not None and self.heading.forecast.has_band else ""


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One counter of a budget: how full it is, and where it is heading."""

    present: Present
    counter: str
    whose: str
    gauge: Gauge
    forecast: Forecast | None

    @property
    def name(self) -> str:
        return self.present.budget.name

    @property
    def address(self) -> str:
        return reverse("web:budget", args=[self.present.budget.id])

    @property
    def rank(self) -> float:
        """How near the line it is or will be: the larger of what is spent and what is expected, as a share."""
        ahead = self.forecast.p50_nano_usd if self.forecast and self.forecast.p50_nano_usd else 0
        return max(self.gauge.spent_nano_usd, ahead) / self.gauge.limit_nano_usd

    @property
    def row(self) -> ForecastRow | None:
        return ForecastRow(self.forecast, self.name, self.whose) if self.forecast else None

    @property
    def picture(self) -> BandChart | None:
        """What was spent of it so far, its stages, and the band it is heading into."""
        if self.forecast is None or not self.forecast.has_band or not self.forecast.curve:
            return None
        return band_chart(burn_down(self.forecast, self.present.budget), subject=self.name)

    @property
    def tone(self) -> str:
        """Of what is spent; where that is well, of where it is heading."""
        if self.gauge.tone == "fine" and self.row is not None and self.row.word in ("passes its limit", "may pass"):
            return "look"
        return self.gauge.state_tone

    @property
    def word(self) -> str:
        if self.gauge.tone == "fine" and self.row is not None and self.row.word in ("passes its limit", "may pass"):
            return self.row.word
        return self.gauge.word

    @property
    def heading_text(self) -> str:
        """`Heading for $1,240.00 of $1,000.00 (P50); passes its limit around Tuesday the 24th.`"""
        row = self.row
        if self.gauge.percent >= 100:
            return (
                f"Spent. It begins anew {self.present.resets_text}." if self.present.resets_at else "Spent, for good."
            )
        if row is None:
            return "No forecast of it yet."
        if self.forecast is None or self.forecast.p50_nano_usd is None:
            if row.passes_text and not row.is_spent:
                return f"At this pace it is spent {row.passes_text}."
            return f"{row.none_text}." if row.none_text else ""
        ahead, limit = numbers.money(self.forecast.p50_nano_usd), numbers.money(self.gauge.limit_nano_usd)
        passes = f"; its limit is reached {row.passes_text}" if row.passes_text and not row.is_spent else ""
        return f"Heading for {ahead} of {limit} (P50){passes}."


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that somebody ought to look at, in a line with a link."""

    text: str
    follows: str
    address: str
    action: str


def month_so_far(standing: Standing, organization: Organization, scope: Scope, span: TimeRange) -> Month:
    """At most five queries. span: this month, in the reader's zone."""
    totals = Totals(
        usage_total(scope, since=span.since, until=span.until, measures=MONEY),
        usage_total(scope, since=span.before_since, until=span.before_until, measures=MONEY),
    )
    if reach_of(standing, Permission.USAGE_READ) is not Reach.ALL:
        return Month(totals, None, None)
    found = organization_forecast(organization.id)
    if found is None:
        return Month(totals, None, None)
    (row,) = forecast_rows(organization.id, [found])
    return Month(totals, row, picture_of(found, subject=organization.name))


def nearest_budgets(
    standing: Standing, user: User, organization: Organization, role: str, names: Names, now: datetime
) -> list[BudgetLine]:
    """The budgets nearest to their line, or heading over it: each by its worst counter that the reader may see."""
    if reach_of(standing, Permission.BUDGETS_READ) <= Reach.OWN:
        return _own_budgets(user, organization, role)
    found = [*_heading_over(standing, organization, names, now)]
    seen = {(line.present.budget.id, line.counter) for line in found}
    sees_all = reach_of(standing, Permission.BUDGETS_READ) is Reach.ALL
    mine = None if sees_all else mine_of(user, organization, role)
    fullest = _fullest(standing, organization, mine, names, now)
    ahead = _forecasts(organization.id, [each for each in fullest if (each[0].budget.id, each[1]) not in seen])
    for present, counter, spent in fullest:
        if (present.budget.id, counter) not in seen:
            found.append(_line(present, counter, spent, ahead.get((present.budget.id, counter)), names))
    return _worst_of_each(found)


def looks(standing: Standing, organization: Organization, scope: Scope, now: datetime) -> list[Look]:
    """Unusual spend that nobody has looked at, money at other models' prices, and sessions whose cache is hardly read;
    at most four queries."""
    found: list[Look] = []
    open_days = unusual_of(organization.id).filter(unusual_seen_by(standing), state=FindingState.OPEN)
    unusual = open_days.filter(muted_at=None).count()
    if unusual:
        # Whoever sees nobody else's has no page of findings; their exchanges are where it is seen.
        sees_list = reach_of(standing, Permission.USAGE_READ) >= Reach.TEAM
        found.append(
            Look(
                f"{unusual:,} day{'' if unusual == 1 else 's'} of unusual spend",
                "far above what the same people spend on such days",
                reverse("web:unusual-spend" if sees_list else "web:my-usage"),
                "See whose" if sees_list else "My usage",
            )
        )
    if can(standing, Permission.PRICES_MANAGE):
        unpriced = [one for one in models_without_price(organization.id, now - SESSIONS_SPAN) if one.cost_nano_usd]
        if number := len(unpriced):
            billed = numbers.money(sum(one.cost_nano_usd for one in unpriced))
            found.append(
                Look(
                    f"{number:,} model{' has' if number == 1 else 's have'} no price",
                    f"{billed} of 7 days were billed at the dearest one that is known",
                    reverse("web:unknown-models"),
                    "Set the price" if number == 1 else "Set prices",
                )
            )
    least = settings_of(organization.id).least_cache_share_per_mille
    flagged = summaries_matching(
        SessionQuery(scope, since=now - SESSIONS_SPAN, is_flagged=True, least_cache_share_per_mille=least)
    )
    sums = flagged.aggregate(count=Count("pk"), avoidable=Sum("avoidable_nano_usd", default=0))
    if count := sums["count"]:
        avoidable = numbers.money(sums["avoidable"])
        found.append(
            Look(
                f"{count:,} session{'' if count == 1 else 's'} in 7 days read less than {least / 10:g} % from cache",
                f"{avoidable} of their cost could have been avoided",
                f"{reverse('web:sessions')}?range={SESSIONS_RANGE}&flagged=yes&sort=-avoidable",
                "See which",
            )
        )
    return found


def sees_budgets(standing: Standing) -> bool:
    return may_at_all(standing, Permission.BUDGETS_READ)


def _own_budgets(user: User, organization: Organization, role: str) -> list[BudgetLine]:
    """What holds the reader themselves; also before anything was spent of it."""
    mine = my_counters(user, organization, role)[:MOST_CANDIDATES]
    ahead = _forecasts(organization.id, [(present, row.counter, 0) for present, row in mine])
    return _worst_of_each(
        BudgetLine(present, row.counter, row.name, row.gauge, ahead.get((present.budget.id, row.counter)))
        for present, row in mine
    )


def _heading_over(standing: Standing, organization: Organization, names: Names, now: datetime) -> Iterable[BudgetLine]:
    """Counters of which most courses end above the line, of all budgets that are enforced or tried out."""
    rows = list(
        forecasts_in_force(organization.id, now=now)
        .filter(forecasts_seen_by(standing), budget_id__isnull=False, over_percent__gt=0)
        .order_by("-over_percent", "-spent_nano_usd", "id")[:MOST_CANDIDATES]
    )
    budgets = Budget.objects.filter(organization=organization, id__in={row.budget_id for row in rows})
    presents = {each.budget.id: each for each in present_of(budgets.exclude(mode=Mode.OFF), now)}
    current = [row for row in rows if row.budget_id in presents]
    posted = (
        {
            (row.budget_id, row.counter): row.posted_nano_usd
            for row in spent_rows(list(presents.values())).filter(counter__in={row.counter for row in current})
        }
        if current
        else {}
    )
    _learn(((presents[row.budget_id], row.counter) for row in current if row.budget_id), names)
    for row in current:
        assert row.budget_id is not None
        spent = posted.get((row.budget_id, row.counter), 0)
        yield _line(presents[row.budget_id], row.counter, spent, row, names)


def _fullest(
    standing: Standing, organization: Organization, mine: Mine | None, names: Names, now: datetime
) -> list[tuple[Present, str, int]]:
    """(budget, counter, spent) of those that are spent furthest. mine: None for whoever sees all."""
    seen_budgets = budgets_of(organization) if mine is None else budgets_within(standing, organization, mine)
    budgets = seen_budgets.exclude(mode=Mode.OFF).order_by("name", "id")
    presents = {each.budget.id: each for each in present_of(budgets[:MOST_LOOKED_AT], now)}
    if not presents:
        return []
    rows = spent_rows(list(presents.values()))
    if mine is not None:
        led, seen = led_ids(standing, organization), Q(pk__in=[])
        for each in presents.values():
            own = counters_within(each, standing, organization, mine, led=led)
            seen |= Q(budget_id=each.budget.id) if own is None else Q(budget_id=each.budget.id) & own
        rows = rows.filter(seen)
    limit = Subquery(Budget.objects.filter(id=OuterRef("budget_id")).values("limit_nano_usd")[:1])
    share = Cast("posted_nano_usd", FloatField()) / Cast(limit, FloatField())
    found: list[BudgetSpend] = list(rows.order_by(share.desc(), "id")[:MOST_CANDIDATES])
    _learn(((presents[row.budget_id], row.counter) for row in found), names)
    return [(presents[row.budget_id], row.counter, row.posted_nano_usd) for row in found]


def _forecasts(
    organization_id: UUID, counters: Sequence[tuple[Present, str, int]]
) -> Mapping[tuple[UUID, str], Forecast]:
    if not counters:
        return {}
    ids = {Subject(organization_id, present.budget.id, counter).id for present, counter, _ in counters}
    budget_ids = {present.budget.id for present, _, _ in counters}
    rows = budget_forecasts(organization_id, budget_ids).filter(subject_id__in=ids)
    return {(row.budget_id, row.counter): row for row in rows if row.budget_id}


def _line(present: Present, counter: str, spent: int, forecast: Forecast | None, names: Names) -> BudgetLine:
    name = counter_name(present.budget.per, counter, names)
    return BudgetLine(present, counter, name, present.gauge(counter, spent, None), forecast)


def _learn(counters: Iterable[tuple[Present, str]], names: Names) -> None:
    """One query for each kind of name, over all budgets."""
    wanted: dict[str, set[str]] = {}
    for present, counter in counters:
        for kind, value in zip(present.budget.per, values_of(counter), strict=False):
            if kind in KINDS:
                wanted.setdefault(KINDS[kind], set()).add(value)
    for kind, values in wanted.items():
        names.learn(kind, values)


def _worst_of_each(lines: Iterable[BudgetLine]) -> list[BudgetLine]:
    """One line per budget, those in most danger first; what is only tried out stops nobody, so it comes last."""
    worst: dict[UUID, BudgetLine] = {}
    for line in sorted(lines, key=lambda one: (one.present.budget.mode != Mode.ENFORCE, -one.rank)):
        worst.setdefault(line.present.budget.id, line)
    return list(worst.values())[:MOST_BUDGETS]
