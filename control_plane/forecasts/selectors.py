"""Reads of forecasts, their score and unusual spend, for pages, the REST API and other apps."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from control_plane.budgets.models import Budget
from control_plane.budgets.stages import loaded_stages
from control_plane.forecasts.burn_down import BurnDown, Curve, Line
from control_plane.forecasts.models import Forecast, UnusualMute, UnusualSpend
from control_plane.forecasts.subjects import Subject

SCORED_FORECASTS = 40
"""So many of the newest scored forecasts a score is made of."""
LOOKED_AHEAD = timedelta(days=3)
ENDLESS_SHOWN = timedelta(days=90)
"""So far ahead a budget that never begins anew is looked at."""


@dataclass(frozen=True, slots=True)
class Score:
    """How past forecasts did. inside: periods that ended inside the band; error_percent: the median of |P50 - end|,
    in per cent of the end."""

    forecasts: int
    inside: int
    error_percent: int

    @property
    def inside_percent(self) -> int:
        return round(100 * self.inside / self.forecasts) if self.forecasts else 0


def forecasts_in_force(organization_id: UUID, *, now: datetime | None = None) -> QuerySet[Forecast]:
    """The newest forecast of each subject whose period is not over."""
    now = now or timezone.now()
    rows = Forecast.objects.filter(Q(ends_at__gt=now) | Q(ends_at__isnull=True), organization_id=organization_id)
    newest = rows.order_by("subject_id", "-as_of").distinct("subject_id").values("id")
    return Forecast.objects.filter(id__in=newest)


def made_since(since: datetime) -> QuerySet[Forecast, UUID]:
    """The organizations that were forecast since an instant."""
    return Forecast.objects.filter(as_of__gte=since).values_list("organization_id", flat=True)


def organization_forecast(organization_id: UUID, *, now: datetime | None = None) -> Forecast | None:
    """Where the organization's month is heading; None: nothing was forecast yet."""
    return forecasts_in_force(organization_id, now=now).filter(budget_id__isnull=True).first()


def budget_forecasts(
    organization_id: UUID, budget_ids: Collection[UUID], *, now: datetime | None = None
) -> QuerySet[Forecast]:
    """Those of the counters of these budgets, those in most danger first."""
    rows = forecasts_in_force(organization_id, now=now).filter(budget_id__in=budget_ids)
    return rows.order_by(F("over_percent").desc(nulls_last=True), "-spent_nano_usd", "id")


def counter_forecasts(
    organization_id: UUID, budget_id: UUID, counters: Iterable[str], *, now: datetime | None = None
) -> dict[str, Forecast]:
    """The forecast in force of each counter that has one."""
    wanted = [Subject(organization_id, budget_id, counter).id for counter in counters]
    return {row.counter: row for row in forecasts_in_force(organization_id, now=now).filter(subject_id__in=wanted)}


def burn_downs_of(forecasts: Sequence[Forecast]) -> dict[UUID, BurnDown]:
    """The picture of each forecast that still has its curve, by the forecast's id; one query, for the stages."""
    ids = {row.budget_id for row in forecasts if row.budget_id}
    organization_ids = {row.organization_id for row in forecasts}
    budgets = {row.id: row for row in Budget.objects.filter(id__in=ids, organization_id__in=organization_ids)}
    return {row.id: burn_down(row, budgets.get(row.budget_id)) for row in forecasts if row.curve}  # type: ignore[arg-type]  # None finds none


def burn_down(row: Forecast, budget: Budget | None) -> BurnDown:
    """The picture of a forecast that still has its curve; budget: its own, for the stages."""
    limit = row.limit_nano_usd
    curve = Curve.from_json(row.curve)
    starts_at = datetime.fromtimestamp(row.period_ms / 1000, UTC)
    if row.ends_at is None and curve.spent:
        starts_at = curve.spent[0].at
    lines: tuple[Line, ...] = ()
    if budget is not None and limit is not None:
        lines = tuple(
            Line(stage.at_percent, stage.action, limit * stage.at_percent // 100)
            for stage in loaded_stages(budget.stages)
        )
    return BurnDown(
        starts_at=starts_at,
        ends_at=row.ends_at or (curve.heading[-1].at if curve.heading else row.as_of + ENDLESS_SHOWN),
        zone=row.timezone,
        as_of=row.as_of,
        curve=curve,
        limit_nano_usd=limit,
        lines=lines,
    )


def history_of(organization_id: UUID, subject_id: UUID) -> QuerySet[Forecast]:
    """All forecasts of one subject, the newest first."""
    return Forecast.objects.filter(organization_id=organization_id, subject_id=subject_id).order_by("-as_of", "id")


def scored_forecasts(organization_id: UUID, *, subject_id: UUID | None = None) -> QuerySet[Forecast]:
    """Forecasts with a band whose period is over, the newest first.

    Of all subjects together only those that looked ahead: what is said hours before the end is easily right.
    """
    rows = Forecast.objects.filter(
        organization_id=organization_id, actual_nano_usd__isnull=False, p50_nano_usd__isnull=False
    ).order_by("-as_of", "id")
    if subject_id is not None:
        return rows.filter(subject_id=subject_id)
    return rows.filter(ends_at__gte=F("as_of") + LOOKED_AHEAD)


def score_of(rows: QuerySet[Forecast]) -> Score:
    """The score of the newest of these."""
    newest = list(rows[:SCORED_FORECASTS])
    errors = sorted(
        round(100 * abs((row.p50_nano_usd or 0) - (row.actual_nano_usd or 0)) / row.actual_nano_usd)
        for row in newest
        if row.actual_nano_usd
    )
    middle = errors[len(errors) // 2] if errors else 0
    return Score(len(newest), sum(bool(row.is_inside) for row in newest), middle)


def unusual_of(organization_id: UUID) -> QuerySet[UnusualSpend]:
    """Findings of an organization, the newest day first."""
    return UnusualSpend.objects.filter(organization_id=organization_id)


def mutes_in_force(organization_id: UUID, *, now: datetime | None = None) -> QuerySet[UnusualMute]:
    """Whose unusual days are told to nobody at present, the one that ends first first."""
    today = (now or timezone.now()).astimezone(UTC).date()
    return UnusualMute.objects.filter(organization_id=organization_id, last_day__gte=today).order_by("last_day", "id")
