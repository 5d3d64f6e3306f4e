"""How a question is read: from which tables, and how the beginning of a point is told from a row's time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone
from psycopg import sql

from control_plane.usage.selectors.arms import Arm, ledger_arms
from control_plane.usage.selectors.points import Interval, SeriesQuery
from control_plane.usage.selectors.sources import (
    SESSION,
    UnknownGrouping,
    columns_of,
    has_sums_by_label,
    label_arms,
    minute_arms,
    sum_arms,
    sums_of,
    used,
)

LONGEST_ROW_RANGE: Final = timedelta(days=93)
LONGEST_ROW_RANGE_BY_MINUTE: Final = timedelta(days=2)
_UNBOUNDED: Final = frozenset({"user", "key", SESSION})
"""Groups of which there are about as many as rows."""
_LONGEST_HOURS: Final = {
    Interval.MINUTE: 1,
    Interval.HOUR: 1,
    Interval.DAY: 24,
    Interval.WEEK: 7 * 24,
    Interval.MONTH: 31 * 24,
}
_NO_TIME: Final = sql.SQL("NULL::timestamptz")
_TABLES: Final = {Interval.MINUTE: "minute", Interval.HOUR: "hour", Interval.DAY: "day"}


@dataclass(frozen=True, slots=True)
class Reading:
    """The rows of a question as one table, the expression of a point's start over it, and those of its sums."""

    arms: tuple[Arm, ...]
    used: sql.Composable
    start: sql.Composable
    sums: tuple[sql.Composable, ...]


def reading_of(
    query: SeriesQuery,
    measures: Sequence[str],
    *,
    arms: tuple[Arm, ...] | None = None,
    page: str = "",
) -> Reading:
    """Say how sums over these measures are read; raises UnknownGrouping.

    arms: those of the question, where they are known already. page: the name of a table of the statement whose groups
    alone are wanted.
    """
    arms = arms or arms_of(query)
    is_ledger = arms[0].is_ledger
    is_cut = any(not _is_start(query, arm) for arm in arms)
    # A row's time is cut to its day only once per hour and group, since that takes as long as reading the row; and what
    # is joined to a page is few rows.
    folds = not is_ledger and (is_cut or bool(page)) and has_few_groups(query)
    at = sql.Identifier("at")
    timed, start = list(arms), _start(query, at)
    if query.interval is Interval.TOTAL:
        folds = folds and bool(query.labels)
        timed = [replace(arm, at=_NO_TIME) for arm in arms]
    elif not folds:
        timed, start = [arm if _is_start(query, arm) else replace(arm, at=_start(query, arm.at)) for arm in arms], at
    columns = columns_of(measures, is_ledger=is_ledger)
    return Reading(
        arms,
        used(timed, query.asked, columns, folds=folds, page=page, page_spans=_spans(query) if page else None),
        start,
        tuple(sums_of(measures, is_ledger=is_ledger)),
    )


def has_few_groups(query: SeriesQuery) -> bool:
    """Whether groups are far fewer than rows."""
    return not _UNBOUNDED.intersection(query.group_by)


def takes_days(query: SeriesQuery) -> bool:
    """Whether whole days of UTC may be read."""
    if query.interval is Interval.TOTAL:
        return True
    return query.interval not in (Interval.MINUTE, Interval.HOUR) and query.zone.key == "UTC"


def arms_of(query: SeriesQuery) -> tuple[Arm, ...]:
    """The tables that answer, and the parts of the range that they answer for; raises UnknownGrouping."""
    asked, since, until, now = query.asked, query.since, query.until, timezone.now()
    if query.interval is Interval.MINUTE:
        oldest = now - timedelta(days=settings.SWITCHYARD.minutes_days)
        arms = minute_arms(asked, since, until) if since >= oldest else None
        return arms or _rows(query, LONGEST_ROW_RANGE_BY_MINUTE, "minutes")
    if asked.labels:
        if has_sums_by_label(asked):
            return label_arms(asked, since, until, now, days=takes_days(query))
        return _rows(query, LONGEST_ROW_RANGE, "rules and metadata besides other things")
    if SESSION in asked.names:
        return _rows(query, LONGEST_ROW_RANGE, "sessions")
    return sum_arms(asked, since, until, now, days=takes_days(query))


def start_of_point(query: SeriesQuery) -> sql.Composable:
    """The expression of a point's start over a column `at`, whatever is read."""
    return _start(query, sql.Identifier("at"))


def _rows(query: SeriesQuery, longest: timedelta, what: str) -> tuple[Arm, ...]:
    if query.until - query.since > longest:
        raise UnknownGrouping(f"{what} can be asked for over {longest.days} days at most")
    return ledger_arms(query.asked.scope.organization_id, query.since, query.until)


def _is_start(query: SeriesQuery, arm: Arm) -> bool:
    """Whether a row's time is the start of its point as it stands."""
    period = _TABLES.get(query.interval)
    return period is not None and query.zone.key == "UTC" and arm.table.endswith(period)


def _spans(query: SeriesQuery) -> str | None:
    """How long a point is at most, as an interval of PostgreSQL; None: as long as the range."""
    if query.interval is Interval.TOTAL:
        return None
    # Where clocks change a day has an hour more.
    return f"{_LONGEST_HOURS[query.interval] + (query.zone.key != 'UTC')} hours"


def _start(query: SeriesQuery, at: sql.Composable) -> sql.Composable:
    if query.interval is Interval.TOTAL:
        return _NO_TIME
    return sql.SQL("date_trunc({}, {}, {})").format(sql.Literal(query.interval.value), at, sql.Literal(query.zone.key))
