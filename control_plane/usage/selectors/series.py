"""Series of requests, tokens, cost, errors and latencies over time, grouped and filtered.

What the roll-ups know is answered from them; sessions and metadata tags from the ledger's rows, so these two only over
a limited range. Both say the same: a roll-up is the sum of its rows.

Roll-ups are hours of UTC. In a zone that is not whole hours away from UTC, a local day begins with the next full hour.

An organization has tens of thousands of keys and people, so the database sums, ranks and cuts: first the cost alone
tells which groups are answered with, then the other measures are summed, for these only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone
from psycopg import sql

from control_plane.usage.rollups import MEASURES, Measures
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.sources import (
    GROUPINGS,
    METADATA,
    NOBODY,
    SESSION,
    Arm,
    UnknownGrouping,
    columns_of,
    group_column,
    ledger_arm,
    rollup_arms,
    sums_of,
    used,
)
from switchyard_contract.usage import KINDS as TOKEN_KINDS

__all__ = [
    "GROUPINGS",
    "METADATA",
    "Interval",
    "Point",
    "SeriesPage",
    "SeriesQuery",
    "StackPoint",
    "UnknownGrouping",
    "usage_page",
    "usage_series",
    "usage_stack",
    "usage_total",
]

LONGEST_ROW_RANGE = timedelta(days=93)
COST = "cost_nano_usd"
METRICS: Final[Mapping[str, tuple[str, ...]]] = {"cost": (COST,), "requests": ("requests",), "tokens": TOKEN_KINDS}
"""What a stack of groups may measure, and the sums that make it."""


class Interval(StrEnum):
    """How wide a point is; TOTAL: one point for the whole range."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """since (inclusive) to until (exclusive); groupings in the order wanted; values per filter are alternatives.

    measures: what is summed, the others stay zero; the cost is always there, as what is dearest comes first.
    """

    scope: Scope
    since: datetime
    until: datetime
    interval: Interval = Interval.DAY
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most_points: int = 10_000
    measures: tuple[str, ...] = MEASURES

    @property
    def needs_rows(self) -> bool:
        return any(name == SESSION or name.startswith(METADATA) for name in (*self.group_by, *self.filters))


@dataclass(frozen=True, slots=True)
class Point:
    """Measures of one interval and one group. start: in the query's zone; None for TOTAL."""

    start: datetime | None
    group: tuple[str, ...]
    """A value per grouping, in its order; ids as 32 hex digits; empty: not known."""
    measures: Measures


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Some points of a series. count: how many it has in all."""

    points: tuple[Point, ...]
    count: int


@dataclass(frozen=True, slots=True)
class StackPoint:
    """One metric of one interval. group: None for all that are not among the greatest, together."""

    start: datetime
    group: str | None
    value: int


def usage_series(query: SeriesQuery) -> list[Point]:
    """Answer a query, ordered by time, then cost (highest first); raises UnknownGrouping."""
    return list(usage_page(query).points)


def usage_page(query: SeriesQuery, *, offset: int = 0) -> SeriesPage:
    """Answer a query from one of its points on, at most as many as it says; raises UnknownGrouping."""
    if query.until <= query.since:
        return SeriesPage((), 0)
    measures = tuple(name for name in MEASURES if name == COST or name in query.measures)
    statement = _paged(query, measures, offset) if query.group_by else _plain(query, measures, offset)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    points = tuple(_point(row[:-1], query, measures) for row in rows)
    return SeriesPage(points, rows[0][-1] if rows else 0)


def usage_total(
    scope: Scope,
    *,
    since: datetime,
    until: datetime,
    filters: Mapping[str, Sequence[str]] | None = None,
    measures: tuple[str, ...] = MEASURES,
) -> Measures:
    """Sum everything of a range; all zero when there is nothing."""
    query = SeriesQuery(
        scope=scope, since=since, until=until, interval=Interval.TOTAL, filters=filters or {}, measures=measures
    )
    points = usage_series(query)
    return points[0].measures if points else Measures()


def usage_stack(query: SeriesQuery, metric: str, *, most: int) -> list[StackPoint]:
    """Sum one metric by interval and by the first grouping, for its `most` greatest groups and for the others as one.

    A query without a grouping has one group, the empty one.
    """
    if query.until <= query.since:
        return []
    arms = _arms(query)
    columns = METRICS[metric]
    is_ledger = arms[0].is_ledger
    value = sql.SQL(" + ").join(sums_of(columns, is_ledger=is_ledger))
    statement = sql.SQL(
        "WITH sums AS MATERIALIZED (SELECT {start} AS start, {group} AS name, ({value})::bigint AS value FROM {used}"
        " GROUP BY 1, 2),"
        " top AS (SELECT name FROM sums GROUP BY name ORDER BY sum(value) DESC, name LIMIT {most})"
        " SELECT sums.start, top.name IS NULL, top.name, sum(value)::bigint"
        " FROM sums LEFT JOIN top ON top.name = sums.name GROUP BY 1, 2, 3 ORDER BY 1, 3"
    ).format(
        start=_start(query),
        group=group_column(0) if query.group_by else sql.SQL("''::text"),
        value=value,
        used=used(arms, query.scope, query.group_by[:1], query.filters, columns_of(columns, is_ledger=is_ledger)),
        most=sql.Literal(most),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [
            StackPoint(start.astimezone(query.zone), None if is_rest else _text(name), amount)
            for start, is_rest, name, amount in cursor.fetchall()
        ]


def _arms(query: SeriesQuery) -> tuple[Arm, ...]:
    if query.needs_rows:
        if query.until - query.since > LONGEST_ROW_RANGE:
            raise UnknownGrouping(f"session and metadata can be asked for {LONGEST_ROW_RANGE.days} days at most")
        return (ledger_arm(query.since, query.until),)
    takes_days = query.interval is Interval.TOTAL or (query.interval is not Interval.HOUR and query.zone.key == "UTC")
    return rollup_arms(query.since, query.until, timezone.now(), days=takes_days)


def _plain(query: SeriesQuery, measures: Sequence[str], offset: int) -> sql.Composable:
    """One row per interval."""
    arms = _arms(query)
    is_ledger = arms[0].is_ledger
    return sql.SQL(
        "SELECT {start}, {sums}, count(*) OVER () FROM {used} {grouped} HAVING count(*) > 0"
        " ORDER BY 1 LIMIT {limit} OFFSET {offset}"
    ).format(
        start=_start(query),
        sums=sql.SQL(", ").join(sums_of(measures, is_ledger=is_ledger)),
        used=used(arms, query.scope, (), query.filters, columns_of(measures, is_ledger=is_ledger)),
        grouped=sql.SQL("" if query.interval is Interval.TOTAL else "GROUP BY 1"),
        limit=sql.Literal(query.most_points),
        offset=sql.Literal(offset),
    )


def _paged(query: SeriesQuery, measures: Sequence[str], offset: int) -> sql.Composable:
    """One row per interval and group. The groups of the page are found by their cost, and then summed up whole."""
    arms = _arms(query)
    is_ledger = arms[0].is_ledger
    numbers = range(len(query.group_by))
    groups = [group_column(number) for number in numbers]

    def table(columns: Sequence[str]) -> sql.Composable:
        return used(arms, query.scope, query.group_by, query.filters, columns_of(columns, is_ledger=is_ledger))

    in_page = [sql.SQL("page.{group} = used.{group}").format(group=group) for group in groups]
    if query.interval is not Interval.TOTAL:
        in_page.append(sql.SQL("page.start = {}").format(_start(query)))
    keys = sql.SQL(", ").join(sql.SQL("page.{}").format(group) for group in groups)
    return sql.SQL(
        "WITH page AS MATERIALIZED (SELECT {start} AS start, {groups}, {cost} AS cost, count(*) OVER () AS whole"
        " FROM {costs} GROUP BY 1, {groups} ORDER BY 1, {cost} DESC, {groups} LIMIT {limit} OFFSET {offset})"
        " SELECT page.start, {keys}, {sums}, max(page.whole) FROM {used} JOIN page ON {in_page}"
        " GROUP BY page.start, {keys}, page.cost ORDER BY page.start, page.cost DESC, {keys}"
    ).format(
        start=_start(query),
        groups=sql.SQL(", ").join(groups),
        cost=sums_of((COST,), is_ledger=is_ledger)[0],
        costs=table((COST,)),
        limit=sql.Literal(query.most_points),
        offset=sql.Literal(offset),
        keys=keys,
        sums=sql.SQL(", ").join(sums_of(measures, is_ledger=is_ledger)),
        used=table(measures),
        in_page=sql.SQL(" AND ").join(in_page),
    )


def _start(query: SeriesQuery) -> sql.Composable:
    if query.interval is Interval.TOTAL:
        return sql.SQL("NULL::timestamptz")
    return sql.SQL("date_trunc({}, at, {})").format(sql.Literal(query.interval.value), sql.Literal(query.zone.key))


def _point(values: Sequence[Any], query: SeriesQuery, measures: Sequence[str]) -> Point:
    start, rest = values[0], values[1:]
    groups = rest[: len(query.group_by)]
    numbers = rest[len(query.group_by) :]
    return Point(
        start.astimezone(query.zone) if start is not None else None,
        tuple(_text(group) for group in groups),
        Measures(**dict(zip(measures, numbers, strict=True))),
    )


def _text(group: UUID | str) -> str:
    """A group's value the way the API writes it: ids without dashes."""
    if isinstance(group, UUID):
        return "" if group == NOBODY else group.hex
    return group
