"""A month as the roll-ups and the ledger have it now, made into accounts and lines.

Roll-ups count each row where it counts (`LedgerEntry.counted_at`), so a month's sum holds corrections too. These are
read apart, from the few rows that count elsewhere than where they began, and taken out of the usage.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, F, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Trunc, TruncDate

from control_plane.organizations.models import Organization, Team
from control_plane.statements.accounts import BY_HAND, LATE, CorrectionLine, Lines, TeamAccount, UsageLine
from control_plane.usage.adjustments import LABEL
from control_plane.usage.closing import month_after, month_of, start_of
from control_plane.usage.models import Adjustment, LedgerEntry, TeamDay, UsageDay
from control_plane.usage.selectors.names import names_of

_PROMPT = (
    "input_fresh",
    "input_tool",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "cache_write_other",
)
WHO = ("team_id", "principal_id", "principal_kind", "provider_name", "model")
Teams = Collection[UUID | None] | None
"""Which teams are wanted; None: all, and what is charged to none."""


@dataclass(frozen=True, slots=True)
class Window:
    """Days of an organization that are read: first (inclusive) to last (exclusive), UTC."""

    organization_id: UUID
    first: date
    last: date

    @classmethod
    def of_month(cls, organization_id: UUID, month: date) -> "Window":
        return cls(organization_id, month, month_after(month))

    def days(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of roll-ups by day."""
        return rows.filter(organization_id=self.organization_id, day__gte=self.first, day__lt=self.last)

    def counted(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Rows that say when they count."""
        return rows.filter(
            organization_id=self.organization_id,
            counted_at__gte=datetime.combine(self.first, time(), UTC),
            counted_at__lt=datetime.combine(self.last, time(), UTC),
        )


@dataclass(slots=True)
class Sums:
    """What usage came to; money in nano-USD."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    paid: int = 0
    shadow: int = 0

    def take_away(self, other: "Sums") -> None:
        for name in Sums.__slots__:
            setattr(self, name, getattr(self, name) - getattr(other, name))


def read_accounts(organization: Organization, month: date, opening: Mapping[UUID | None, int]) -> list[TeamAccount]:
    """What each team's account came to. opening: by team, what the year came to before."""
    window = Window.of_month(organization.id, month)
    counted: dict[UUID | None, Sums] = {}
    for row in window.days(TeamDay.objects.all()).values("team_id").annotate(**_rollup_sums()):
        counted[row["team_id"]] = _sums_in(row)
    late = {row["team_id"]: _sums_in(row) for row in _late_rows(window).values("team_id").annotate(**_row_sums())}
    made = {
        row["team_id"]: row["amount"]
        for row in window.counted(Adjustment.objects.all()).values("team_id").annotate(amount=Sum("cost_nano_usd"))
    }
    teams = {team.id: team for team in Team.objects.filter(organization=organization)}
    accounts = []
    for team_id in {*counted, *late, *made, *opening}:
        sums, behind = counted.get(team_id, Sums()), late.get(team_id, Sums())
        corrected = behind.paid + made.get(team_id, 0)
        accounts.append(
            TeamAccount(
                team_id=team_id,
                team=teams[team_id].name if team_id in teams else "",
                cost_centre=teams[team_id].cost_centre if team_id in teams else "",
                opening_nano_usd=opening.get(team_id, 0),
                used_nano_usd=sums.paid - corrected,
                corrected_nano_usd=corrected,
                shadow_nano_usd=sums.shadow - behind.shadow,
                requests=sums.requests - behind.requests,
            )
        )
    return accounts


def read_opening(organization_id: UUID, month: date) -> dict[UUID | None, int]:
    """By team, what the calendar year came to before a month, corrections included."""
    days = TeamDay.objects.filter(organization_id=organization_id, day__gte=date(month.year, 1, 1), day__lt=month)
    rows = days.values("team_id").annotate(paid=_sum(F("cost_nano_usd") - F("subscription_cost_nano_usd")))
    return {row["team_id"]: row["paid"] for row in rows}


def read_lines(organization: Organization, window: Window, teams: Teams = None) -> Lines:
    """What stands behind the accounts of some teams: usage dearest first, corrections by date."""
    usage = read_usage(window, WHO, teams)
    names = names_of(organization.id, principal_ids={key[1] for key in usage})
    lines = [
        UsageLine(
            team_id=key[0],
            principal_id=key[1],
            principal_kind=key[2],
            principal=names.principal(key[1]) or "",
            provider=key[3],
            model=key[4],
            requests=sums.requests,
            tokens_in=sums.tokens_in,
            tokens_out=sums.tokens_out,
            paid_nano_usd=sums.paid,
            shadow_nano_usd=sums.shadow,
        )
        for key, sums in usage.items()
    ]
    lines.sort(key=lambda line: (-line.paid_nano_usd, -line.shadow_nano_usd, line.principal, line.model))
    return Lines(tuple(lines), read_corrections(organization, window, teams))


def read_corrections(organization: Organization, window: Window, teams: Teams = None) -> tuple[CorrectionLine, ...]:
    """The dated lines of some teams, by date; one for each day, month it is about, person and model."""
    late = list(
        _of_teams(_late_rows(window), teams)
        .values(*WHO, on=TruncDate("counted_at", tzinfo=UTC), about=Trunc("started_at", "month", tzinfo=UTC))
        .annotate(**_row_sums(), rows=Count("exchange_id"))
        .order_by("on", "about")
    )
    made = list(_of_teams(window.counted(Adjustment.objects.all()), teams).order_by("counted_at", "id"))
    names = names_of(
        organization.id,
        principal_ids={*(row["principal_id"] for row in late), *(each.principal_id for each in made)},
    )
    found = [
        *(_late_line(row, names.principal(row["principal_id"]) or "") for row in late),
        *(_made_line(each, names.principal(each.principal_id) or "") for each in made),
    ]
    found.sort(key=lambda line: (line.counted_on, line.about_month or date.min, line.principal, line.model))
    return tuple(found)


def read_usage(window: Window, keys: Sequence[str], teams: Teams = None) -> dict[tuple[Any, ...], Sums]:
    """Usage that began and counts in a window, by columns that days and the ledger share."""
    days = _of_teams(window.days(UsageDay.objects.all()), teams).exclude(model=LABEL)
    usage = {tuple(row[key] for key in keys): _sums_in(row) for row in days.values(*keys).annotate(**_rollup_sums())}
    for row in _of_teams(_late_rows(window), teams).values(*keys).annotate(**_row_sums()):
        usage.setdefault(tuple(row[key] for key in keys), Sums()).take_away(_sums_in(row))
    return {key: sums for key, sums in usage.items() if sums != Sums()}


def _sums_in(row: Mapping[str, Any]) -> Sums:
    return Sums(**{name: row[name] for name in Sums.__slots__})


def _late_line(row: Mapping[str, Any], principal: str) -> CorrectionLine:
    about: datetime = row["about"]
    return CorrectionLine(
        team_id=row["team_id"],
        counted_on=row["on"],
        about_month=about.date(),
        kind=LATE,
        note=f"Booked or corrected after {about:%B %Y} was closed",
        principal_id=row["principal_id"],
        principal=principal,
        model=row["model"],
        rows=row["rows"],
        amount_nano_usd=row["paid"],
    )


def _made_line(made: Adjustment, principal: str) -> CorrectionLine:
    return CorrectionLine(
        team_id=made.team_id,
        counted_on=made.counted_at.astimezone(UTC).date(),
        about_month=None,
        kind=BY_HAND,
        note=made.note,
        principal_id=made.principal_id,
        principal=principal,
        model="",
        rows=1,
        amount_nano_usd=made.cost_nano_usd,
    )


def _late_rows(window: Window) -> QuerySet[LedgerEntry]:
    """Rows that count here and began in a month that was closed by then.

    That was a month before the one they count in, so partitions of this month are not looked at.
    """
    before = month_of(window.last - timedelta(days=1))
    rows = window.counted(LedgerEntry.objects.all()).exclude(counted_at=F("started_at"))
    # The partition's day is that of admission, minutes off at most; a day of slack is free.
    return rows.filter(started_at__lt=start_of(before), day__lte=before)


def _of_teams(rows: QuerySet[Any], teams: Teams) -> QuerySet[Any]:
    if teams is None:
        return rows
    found = rows.filter(team_id__in=[team for team in teams if team is not None])
    return found | rows.filter(team_id__isnull=True) if None in teams else found


def _sum(expression: Any) -> Any:
    return Coalesce(Sum(expression), Value(0))


def _rollup_sums() -> dict[str, Any]:
    return {
        "requests": _sum(F("requests")),
        "tokens_in": _sum(_added(_PROMPT)),
        "tokens_out": _sum(F("output") + F("reasoning")),
        "paid": _sum(F("cost_nano_usd") - F("subscription_cost_nano_usd")),
        "shadow": _sum(F("subscription_cost_nano_usd")),
    }


def _row_sums() -> dict[str, Any]:
    """The same of rows of the ledger, whose amounts carry their sign; requests are counted by their first attempt."""
    sign = Case(When(kind="reversal", then=Value(-1)), default=Value(1))
    return {
        "requests": _sum(Case(When(attempt__lte=1, then=sign), default=Value(0))),
        "tokens_in": _sum(_added(_PROMPT)),
        "tokens_out": _sum(F("output") + F("reasoning")),
        "paid": _sum(Case(When(is_subscription=False, then=F("cost_nano_usd")), default=Value(0))),
        "shadow": _sum(Case(When(is_subscription=True, then=F("cost_nano_usd")), default=Value(0))),
    }


def _added(names: Iterable[str]) -> Any:
    first, *rest = (F(name) for name in names)
    total: Any = first
    for each in rest:
        total = total + each
    return total
