"""Forecasts of one organization: its month, and every counter of its budgets that something was posted to.

A forecast of a day replaces the one of an hour before; those of days before stay, to be scored. The roll-ups give each
counter its series by day, the books what was really posted; where they differ the series is scaled.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.forecasts.about import abouts_of
from control_plane.forecasts.drivers import drivers_of
from control_plane.forecasts.grains import Index, by_counter, candidates, indexed
from control_plane.forecasts.history import DaySums, day_sums, span_sums
from control_plane.forecasts.listening import tell_listeners
from control_plane.forecasts.matching import About, Grain
from control_plane.forecasts.models import Forecast
from control_plane.forecasts.series import History
from control_plane.forecasts.standing import Answer, Question, answer
from control_plane.forecasts.subjects import MONTH_OF_UTC, Subject
from control_plane.organizations.models import Organization
from control_plane.rules.models import Mode
from control_plane.rules.periods import CALENDAR, FOR_EVER, PeriodRule, Span, period_at, zone_of
from control_plane.usage.models import BudgetSpend

MOST_COUNTERS = 1000
"""So many of a budget's counters are forecast, the fullest ones."""
LEAST_COMPARED_DAYS = 3
DRIVEN_BY: frozenset[str] = frozenset({"principal_id", "principal_kind", "team_id", "model", "client"})
_REPLACED = [
    field.name
    for field in Forecast._meta.concrete_fields
    if field.name not in ("id", "organization_id", "subject_id", "period_ms", "day", "actual_nano_usd", "scored_at")
]


_Of = tuple[str, str, str]
"""A zone, whose money counts (`budgets.Counts`), and the tag of metadata that is asked about; empty: none."""


@dataclass(slots=True)
class _Making:
    """What is read once for an organization."""

    organization: Organization
    now: datetime
    sums: dict[_Of, DaySums] = field(default_factory=dict)
    index: dict[_Of, Index] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Driven:
    """What was spent in a period and in the one before it, by who and what."""

    sums: Mapping[Grain, tuple[int, ...]]
    index: Index


_NOTHING = _Driven({}, indexed(()))


@dataclass(frozen=True, slots=True)
class _Counted:
    """A budget with its periods and what was posted in them, by counter."""

    budget: Budget
    about: About
    zone: ZoneInfo
    span: Span
    previous: Span | None
    posted: Mapping[str, int]
    posted_before: Mapping[str, int]
    raises: Sequence[BudgetRaise]

    @property
    def of(self) -> _Of:
        return self.zone.key, str(self.budget.counts), self.about.tag

    @property
    def counts_since(self) -> date:
        return self.budget.created_at.astimezone(self.zone).date()

    def limit_of(self, counter: str) -> int:
        more = sum(each.amount_nano_usd for each in self.raises if each.counter in ("", counter))
        return self.budget.limit_nano_usd + more


def forecasts_make(*, organization: Organization, now: datetime | None = None) -> int:
    """Forecast everything of one organization as of now; says how much."""
    making = _Making(organization, now or timezone.now())
    counted = _counted(organization, making.now)
    needs: dict[_Of, set[str]] = defaultdict(set)
    for one in counted:
        if one.about.is_by_day:
            needs[one.of] |= one.about.needs
    for of, fields in needs.items():
        zone, counts, tag = of
        making.sums[of] = day_sums(organization.id, ZoneInfo(zone), fields, now=making.now, counts=counts, label=tag)
        making.index[of] = indexed(making.sums[of].days)
    driven = _driven(making, counted)
    made = _of_organization(making)
    for one in counted:
        made += _of_budget(making, one, driven.get((one.of, one.span), _NOTHING))
    with transaction.atomic():
        _keep(made)
        tell_listeners(made)
    return len(made)


def _counted(organization: Organization, now: datetime) -> list[_Counted]:
    budgets = list(
        Budget.objects.filter(organization=organization, period__in=(*CALENDAR, FOR_EVER))
        .exclude(mode=Mode.OFF)
        .order_by("id")
    )
    # A session is over before its forecast would be of use.
    budgets = [budget for budget in budgets if "session" not in budget.per]
    raises: dict[UUID, list[BudgetRaise]] = defaultdict(list)
    for more in BudgetRaise.objects.filter(organization=organization, from_at__lte=now, until_at__gt=now):
        raises[more.budget_id].append(more)
    abouts = abouts_of(organization, budgets)
    periods = {budget.id: periods for budget in budgets if (periods := _periods(budget, now)) is not None}
    posted = _posted(organization, periods)
    found = []
    for budget in budgets:
        if budget.id not in periods:
            continue
        zone, span, before = periods[budget.id]
        here = dict(posted.get((budget.id, int(span.id)), {}))
        if not budget.per:
            here.setdefault("", 0)
        there = {} if before is None else posted.get((budget.id, int(before.id)), {})
        found.append(_Counted(budget, abouts[budget.id], zone, span, before, here, there, raises.get(budget.id, ())))
    return found


def _periods(budget: Budget, now: datetime) -> tuple[ZoneInfo, Span, Span | None] | None:
    """The budget's zone, its present period and the one before. None: there is no such zone."""
    rule = PeriodRule(budget.period, budget.timezone, budget.anchor)
    zone = zone_of(budget.timezone)
    if zone is None:
        return None
    span = period_at(rule, now)
    return zone, span, None if span.end is None else period_at(rule, span.start - timedelta(milliseconds=1))


def _posted(
    organization: Organization, periods: Mapping[UUID, tuple[ZoneInfo, Span, Span | None]]
) -> dict[tuple[UUID, int], dict[str, int]]:
    """What was posted to counters, by budget and period, the fullest first; one query for all budgets."""
    wanted = {
        (budget_id, int(span.id))
        for budget_id, (_, here, before) in periods.items()
        for span in (here, before)
        if span is not None
    }
    rows = BudgetSpend.objects.filter(
        organization_id=organization.id,
        budget_id__in=periods,
        period_ms__in={period_ms for _, period_ms in wanted},
        posted_nano_usd__gt=0,
    )
    found: dict[tuple[UUID, int], dict[str, int]] = defaultdict(dict)
    columns = ("budget_id", "period_ms", "counter", "posted_nano_usd")
    for budget_id, period_ms, counter, amount in rows.order_by("-posted_nano_usd", "id").values_list(*columns):
        of_one = found[budget_id, period_ms]
        if (budget_id, period_ms) in wanted and len(of_one) < MOST_COUNTERS:
            of_one[counter] = amount
    return found


def _driven(making: _Making, counted: Iterable[_Counted]) -> dict[tuple[_Of, Span], _Driven]:
    """For every period that budgets have now: what was spent in it and in the one before, by who and what."""
    needs: dict[tuple[_Of, Span], set[str]] = defaultdict(set)
    before: dict[tuple[_Of, Span], Span] = {}
    for one in counted:
        # A day is over before anybody asks what drove it; sums by tag do not know who.
        if one.previous is None or not one.about.is_by_day or one.about.tag or one.budget.period == "day":
            continue
        needs[one.of, one.span] |= {*one.about.needs, *DRIVEN_BY}
        before[one.of, one.span] = one.previous
    found = {}
    for key, fields in needs.items():
        spans = ((key[1].start, making.now), (before[key].start, key[1].start))
        sums = span_sums(making.organization.id, fields, spans, counts=key[0][1])
        found[key] = _Driven(sums, indexed(sums))
    return found


def _of_organization(making: _Making) -> list[Forecast]:
    organization_id, now, zone = making.organization.id, making.now, ZoneInfo("UTC")
    span = period_at(MONTH_OF_UTC, now)
    before = period_at(MONTH_OF_UTC, span.start - timedelta(milliseconds=1))
    sums = day_sums(organization_id, zone, (), now=now)
    history = sums.history(sums.days)
    if not history.days and not history.today_nano_usd:
        return []
    spans = ((span.start, now), (before.start, span.start))
    parts = span_sums(organization_id, DRIVEN_BY, spans)
    spent, previous = (sum(each[side] for each in parts.values()) for side in (0, 1))
    said = answer(
        Question(history=history, span=span, zone=zone, now=now, posted=spent, counts_since=span.start.date())
    )
    # The first day of all lies in this month: the month before was not seen whole.
    is_young = len(history.days) < (now.date() - before.start.date()).days and not previous
    row = _row(Subject(organization_id), MONTH_OF_UTC, span, history.today, now, spent, said)
    row.previous_nano_usd = None if is_young else previous
    if said.quantiles is not None:
        row.drivers = [one.as_json() for one in drivers_of(_pairs(parts.items()), heading_for=said.quantiles[1])]
    return [row]


def _of_budget(making: _Making, one: _Counted, driven: _Driven) -> list[Forecast]:
    sums = making.sums.get(one.of)
    grains: Mapping[str, list[Grain]] = {}
    if sums is not None and one.about.is_by_day:
        grains = by_counter(one.about, candidates(one.about, making.index[one.of], sums.days))
    parts = by_counter(one.about, candidates(one.about, driven.index, driven.sums)) if driven.sums else {}
    today = making.now.astimezone(one.zone).date()
    made = []
    for counter, posted in one.posted.items():
        history = sums.history(grains.get(counter, ())) if sums is not None else History(today, ())
        question = Question(
            history=history,
            span=one.span,
            zone=one.zone,
            now=making.now,
            posted=posted,
            counts_since=one.counts_since,
            limit=one.limit_of(counter),
            compared=_compared(one, counter, history),
            # A value beyond the bound, or none, has no sums of its own.
            is_by_day=one.about.is_by_day and (not one.about.tag or counter in grains),
        )
        said = answer(question)
        subject = Subject(making.organization.id, one.budget.id, counter)
        rule = PeriodRule(one.budget.period, one.budget.timezone, one.budget.anchor)
        row = _row(subject, rule, one.span, today, making.now, posted, said)
        row.budget_name, row.per, row.limit_nano_usd = one.budget.name, list(one.budget.per), question.limit
        if one.previous is not None and one.budget.created_at <= one.previous.start:
            row.previous_nano_usd = one.posted_before.get(counter)
        if said.quantiles is not None and counter in parts:
            mine = _pairs((grain, driven.sums[grain]) for grain in parts[counter])
            row.drivers = [each.as_json() for each in drivers_of(mine, heading_for=said.quantiles[1])]
        made.append(row)
    return made


def _compared(one: _Counted, counter: str, history: History) -> tuple[int, int] | None:
    """What was posted and what the series says, over the days that both know of this period and the one before."""
    if one.span.end is None:
        return None
    today = history.today
    starts = [(one.span, one.posted.get(counter, 0))]
    # A budget that was off, or about something else, had nothing posted to it: that compares with nothing.
    if one.previous is not None and (before := one.posted_before.get(counter, 0)):
        starts.append((one.previous, before))
    first = min(span.start for span, _ in starts).astimezone(one.zone).date()
    first = max(first, one.counts_since)
    if (today - first).days < LEAST_COMPARED_DAYS:
        return None
    oldest = today - timedelta(days=len(history.days))
    skipped = max(0, (first - oldest).days)
    series = sum(day.nano_usd for day in history.days[skipped:]) + history.today_nano_usd
    return sum(posted for _, posted in starts), series


def _pairs(items: Iterable[tuple[Grain, tuple[int, ...]]]) -> list[tuple[Grain, tuple[int, int]]]:
    return [(grain, (sums[0], sums[1])) for grain, sums in items]


def _row(
    subject: Subject, rule: PeriodRule, span: Span, today: date, now: datetime, spent: int, said: Answer
) -> Forecast:
    p10, p50, p90 = said.quantiles or (None, None, None)
    return Forecast(
        organization_id=subject.organization_id,
        subject_id=subject.id,
        budget_id=subject.budget_id,
        counter=subject.counter,
        period_unit=rule.unit,
        timezone=rule.timezone,
        anchor=rule.anchor,
        period_ms=int(span.id),
        ends_at=span.end,
        day=today,
        as_of=now,
        spent_nano_usd=spent,
        why_none=said.why_none or "",
        days_needed=said.days_needed,
        p10_nano_usd=p10,
        p50_nano_usd=p50,
        p90_nano_usd=p90,
        over_percent=said.over_percent,
        spent_p10_at=said.spent_at[0],
        spent_p50_at=said.spent_at[1],
        spent_p90_at=said.spent_at[2],
        curve=said.curve.as_json(),
    )


def _keep(made: Sequence[Forecast]) -> None:
    """Write forecasts, each in place of the one of the same day; curves of days before are let go."""
    rows = sorted(made, key=lambda row: row.subject_id)
    Forecast.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["subject_id", "period_ms", "day"],
        update_fields=_REPLACED,
    )
    by_day: dict[date, list[UUID]] = defaultdict(list)
    for row in rows:
        by_day[row.day].append(row.subject_id)
    for day, subject_ids in by_day.items():
        old = Forecast.objects.filter(
            organization_id=rows[0].organization_id, subject_id__in=subject_ids, day__lt=day, curve__isnull=False
        )
        old.update(curve=None)
