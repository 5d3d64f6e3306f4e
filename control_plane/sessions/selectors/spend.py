"""Totals over sessions: what could have been saved, by whom and why; how well caches were used; how turns ended.

All answers add up `SessionDay` rows, which are few: one per session, day, model and target. Days are UTC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Count, QuerySet, Sum
from psycopg import sql

from control_plane.sessions.analysis.findings import Cause
from control_plane.sessions.models import SessionDay, SessionFinding
from control_plane.usage.selectors.scope import Scope, all_of

GROUPS: Mapping[str, str] = {
    "user": "principal_id",
    "team": "team_id",
    "repository": "repository",
    "client": "client",
    "model": "model",
    "session": "session_id",
}
"""What spend can be grouped by, and the column."""
_FINDING_PATHS: Mapping[str, str] = {
    "user": "principal_id",
    "team": "team_id",
    "repository": "session__summary__repository",
    "client": "session__client",
    "session": "session_id",
}
"""The same over findings; a finding has no model of its own."""
MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class Spend:
    """Sums over sessions. Money is nano-USD."""

    sessions: int = 0
    """That began in the range: each counts in one group, the one it began in."""
    turns: int = 0
    prompt_tokens: int = 0
    cache_read_tokens: int = 0
    cost_nano_usd: int = 0
    saved_cache_nano_usd: int = 0
    cold_nano_usd: int = 0
    broken_nano_usd: int = 0
    moved_nano_usd: int = 0
    uncached_nano_usd: int = 0
    loop_nano_usd: int = 0
    avoidable_nano_usd: int = 0
    unavoidable_nano_usd: int = 0

    @property
    def lost_cache_nano_usd(self) -> int:
        """What cold, broken, changed and missing caches cost."""
        return self.cold_nano_usd + self.broken_nano_usd + self.moved_nano_usd + self.uncached_nano_usd


_SUMS = tuple(part.name for part in fields(Spend) if part.name != "sessions")


@dataclass(frozen=True, slots=True)
class Group:
    """One developer, team, repository ... with what it spent. value: hex id or name; empty: it is not known."""

    value: str
    spend: Spend
    cause: Cause | None = None
    """What most of the avoidable spend came from; None: nothing was avoidable."""
    cause_nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class CauseTotal:
    """What one cause cost in all. Findings beyond the 500 dearest of a session are not in it."""

    kind: str
    cause: Cause
    is_avoidable: bool
    findings: int
    money_nano_usd: int
    lost_tokens: int


@dataclass(frozen=True, slots=True)
class DaySpend:
    day: date
    spend: Spend


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the turns of one model at one target ended, over a range or on one day."""

    day: date | None
    model: str
    provider_id: UUID | None
    provider: str
    sessions: int
    turns: int
    asides: int
    tool_results: int
    failed_tool_results: int
    repeats: int
    gateway_retries: int
    aborts: int
    errors: int
    cost_nano_usd: int
    stop_reasons: Mapping[str, int]

    @property
    def requests(self) -> int:
        return self.turns + self.asides

    @property
    def turns_per_session(self) -> float:
        return self.turns / self.sessions if self.sessions else 0.0

    @property
    def top_reasons(self) -> list[tuple[str, int]]:
        """The four stop reasons that were met most."""
        return list(self.stop_reasons.items())[:4]


def spend_total(scope: Scope, since: datetime, until: datetime) -> Spend:
    return _spend(_days(scope, since, until).aggregate(**_sums()))


def spend_by(scope: Scope, since: datetime, until: datetime, by: str, *, most: int = MOST_GROUPS) -> list[Group]:
    """Who spent most that could have been saved, dearest first, each with the cause of most of it."""
    column = GROUPS[by]
    days = _days(scope, since, until)
    if by == "session":
        # About as many as rows: which are shown is found by two sums, before the others are made.
        ranked = days.values(column).annotate(**_sums(("avoidable_nano_usd", "cost_nano_usd")))
        shown = ranked.order_by("-avoidable_nano_usd", "-cost_nano_usd", column).values_list(column, flat=True)[:most]
        days = days.filter(session_id__in=list(shown))
    rows = days.values(column).annotate(**_sums()).order_by("-avoidable_nano_usd", "-cost_nano_usd", column)[:most]
    groups = [(row[column], _spend(row)) for row in rows]
    causes = _causes(scope, since, until, by, [value for value, _ in groups])
    return [Group(_text(value), spend, *causes.get(_text(value), (None, 0))) for value, spend in groups]


def spend_by_day(scope: Scope, since: datetime, until: datetime) -> list[DaySpend]:
    rows = _days(scope, since, until).values("day").annotate(**_sums())
    return [DaySpend(row["day"], _spend(row)) for row in rows.order_by("day")]


def spend_of(days: Iterable[DaySpend]) -> Spend:
    """What days come to together, as `spend_total` says it of their range."""
    spends = [one.spend for one in days]
    return Spend(**{part.name: sum(getattr(spend, part.name) for spend in spends) for part in fields(Spend)})


def causes_total(scope: Scope, since: datetime, until: datetime) -> list[CauseTotal]:
    """What each cause cost, dearest first."""
    rows = (
        _findings(scope, since, until)
        .values("kind", "cause", "is_avoidable")
        .annotate(
            findings=Count("id"),
            money=Sum("money_nano_usd"),
            lost=Sum("lost_tokens"),
        )
        .order_by("-money", "kind", "cause")
    )
    return [
        CauseTotal(
            row["kind"],
            Cause(row["cause"]),
            row["is_avoidable"],
            row["findings"],
            int(row["money"]),
            int(row["lost"]),
        )
        for row in rows
    ]


def outcomes(
    scope: Scope, since: datetime, until: datetime, *, by_day: bool = False, most: int = 1000
) -> list[Outcome]:
    """How turns ended per model and target, the busiest first; by day: oldest day first."""
    names = ("model", "provider_id", "provider_name")
    grouped = ("day", *names) if by_day else names
    counted = (
        *("turns", "asides", "tool_results", "failed_tool_results", "repeats", "gateway_retries"),
        *("aborts", "errors", "cost_nano_usd"),
    )
    rows = (
        _days(scope, since, until)
        .values(*grouped)
        # A row is one session's day with one model at one target; over several days only the first of them counts.
        .annotate(sessions=Count("id") if by_day else Sum("joined"), **{name: Sum(name) for name in counted})
        .order_by(*(["day"] if by_day else []), "-turns", *names)[:most]
    )
    stops = _stop_reasons(scope, since, until, grouped)
    return [
        Outcome(
            day=row.get("day"),
            model=row["model"],
            provider_id=row["provider_id"],
            provider=row["provider_name"],
            sessions=int(row["sessions"]),
            **{name: int(row[name]) for name in counted},
            stop_reasons=stops.get(tuple(row[name] for name in grouped), {}),
        )
        for row in rows
    ]


def _stop_reasons(
    scope: Scope, since: datetime, until: datetime, grouped: tuple[str, ...]
) -> dict[tuple[object, ...], dict[str, int]]:
    first, last = _day_range(since, until)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in grouped)
    conditions = [*scope.conditions(), sql.SQL("day >= {} AND day < {}").format(sql.Literal(first), sql.Literal(last))]
    statement = sql.SQL(
        "SELECT {}, reason.key, sum(reason.value::bigint)::bigint FROM conversations_sessionday,"
        " jsonb_each_text(stop_reasons) AS reason WHERE {} GROUP BY {}, reason.key"
    ).format(columns, all_of(conditions), columns)
    found: dict[tuple[object, ...], dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement)
        for *group, reason, count in cursor.fetchall():
            found.setdefault(tuple(group), {})[reason] = count
    return {
        group: dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))) for group, reasons in found.items()
    }


def _causes(
    scope: Scope, since: datetime, until: datetime, by: str, values: Iterable[object]
) -> dict[str, tuple[Cause, int]]:
    """For each group the avoidable cause that cost most."""
    path = _FINDING_PATHS.get(by)
    if path is None:
        return {}
    rows = (
        _findings(scope, since, until)
        .filter(is_avoidable=True, **{f"{path}__in": [value for value in values if value is not None]})
        .values(path, "cause")
        .annotate(money=Sum("money_nano_usd"))
        .order_by("money", "cause")
    )
    return {_text(row[path]): (Cause(row["cause"]), int(row["money"])) for row in rows if row["money"]}


def _days(scope: Scope, since: datetime, until: datetime) -> QuerySet[SessionDay]:
    first, last = _day_range(since, until)
    return SessionDay.objects.filter(scope.condition(), day__gte=first, day__lt=last)


def _findings(scope: Scope, since: datetime, until: datetime) -> QuerySet[SessionFinding]:
    first, last = day_bounds(since, until)
    return SessionFinding.objects.filter(scope.condition(), at__gte=first, at__lt=last)


def day_bounds(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Begin and end of the UTC days that a range stands for."""
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in _day_range(since, until))
    return first, last


def _day_range(since: datetime, until: datetime) -> tuple[date, date]:
    """The UTC days that a range stands for: first, and the one after the last.

    Somebody's Monday is the UTC day of that date, whichever zone the range was asked for in. East of Greenwich a day
    begins before UTC's does: until then the UTC day that runs is shown.
    """
    last = until - timedelta(microseconds=1)
    first = min(since.date(), last.astimezone(UTC).date())
    return first, max(last.date(), first) + timedelta(days=1)


def _sums(names: Iterable[str] = _SUMS) -> dict[str, Sum]:
    return {"sessions": Sum("begun", default=0), **{name: Sum(name, default=0) for name in names}}


def _spend(row: Mapping[str, object]) -> Spend:
    return Spend(int(row["sessions"]), **{name: int(row[name]) for name in _SUMS})  # type: ignore[call-overload]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.hex if isinstance(value, UUID) else str(value)
