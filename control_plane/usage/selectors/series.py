"""Series of requests, tokens, cost, errors and latencies over time, grouped and filtered.

What the roll-ups know is answered from them; the rest from the ledger's rows, over a limited range. Both say the same:
a roll-up is the sum of its rows.

Roll-ups are minutes, hours and days of UTC. In a zone that is not whole hours away from UTC, a local day begins with
the next full hour.

An organization has tens of thousands of keys and people, so the database sums, ranks and cuts: first the cost alone
tells which groups are answered with, then the other measures are summed, for these only. Latencies lie in tables of
their own (`control_plane.usage.selectors.latencies`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.utils import timezone
from psycopg import sql

from control_plane.usage.labels import METADATA
from control_plane.usage.rollups import COUNTS, MEASURES, SUMS, Measures
from control_plane.usage.selectors.latencies import LatencyQuestion, latencies_are_known, latencies_of
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.sources import (
    GROUPINGS,
    IDS,
    NOBODY,
    SESSION,
    Arm,
    Asked,
    UnknownGrouping,
    columns_of,
    group_column,
    has_sums_by_label,
    label_arms,
    ledger_arm,
    minute_arms,
    sum_arms,
    sums_of,
    used,
)
from switchyard_contract.usage import KINDS as TOKEN_KINDS

__all__ = [
    "GROUPINGS",
    "METADATA",
    "METRICS",
    "Interval",
    "Point",
    "Position",
    "SeriesPage",
    "SeriesQuery",
    "StackPoint",
    "UnknownGrouping",
    "latency_is_known",
    "usage_check",
    "usage_page",
    "usage_points",
    "usage_series",
    "usage_stack",
    "usage_total",
]

LONGEST_ROW_RANGE = timedelta(days=93)
LONGEST_ROW_RANGE_BY_MINUTE = timedelta(days=2)
COST = "cost_nano_usd"
METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "cost": (COST,),
    "requests": ("requests",),
    "tokens": TOKEN_KINDS,
    **{name: (name,) for name in SUMS},
}
"""What a stack of groups may measure, and the sums that make it: these three, or any sum by its own name."""
CHUNK = 1000
FEW_SUMS = 4
"""So few are summed for every group at once: that reads the range once instead of twice."""


class Interval(StrEnum):
    """How wide a point is; TOTAL: one point for the whole range."""

    MINUTE = "minute"
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
    def asked(self) -> Asked:
        return Asked(self.scope, self.group_by, self.filters)

    @property
    def labels(self) -> frozenset[str]:
        """Rules and metadata that it speaks of."""
        return self.asked.labels


@dataclass(frozen=True, slots=True)
class Point:
    """Measures of one interval and one group. start: in the query's zone; None for TOTAL."""

    start: datetime | None
    group: tuple[str, ...]
    """A value per grouping, in its order; ids as 32 hex digits; empty: not known."""
    measures: Measures


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: the order is time, then cost (highest first), then group."""

    start: datetime | None
    cost_nano_usd: int
    group: tuple[str, ...]

    @classmethod
    def of(cls, point: Point) -> "Position":
        return cls(point.start, point.measures.cost_nano_usd, point.group)


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Some points of a series. count: how many it has in all. next: where the next page goes on; None: nowhere."""

    points: tuple[Point, ...]
    count: int
    next: Position | None = None


@dataclass(frozen=True, slots=True)
class StackPoint:
    """One metric of one interval. group: None for all that are not among the greatest, together."""

    start: datetime
    group: str | None
    value: int


def usage_series(query: SeriesQuery) -> list[Point]:
    """Answer a query, ordered by time, then cost (highest first); raises UnknownGrouping."""
    return list(usage_page(query).points)


def usage_page(query: SeriesQuery, *, after: Position | None = None) -> SeriesPage:
    """Answer a query from behind a position on, at most as many points as it says; raises UnknownGrouping."""
    if query.until <= query.since:
        return SeriesPage((), 0)
    measures = _measures(query)
    with connection.cursor() as cursor:
        cursor.execute(_statement(query, measures, after, query.most_points + 1))
        rows = cursor.fetchall()
    points = [_point(row[:-1], query, measures) for row in rows[: query.most_points]]
    latencies_of(_latency_question(query), points)
    return SeriesPage(
        tuple(points),
        rows[0][-1] if rows else 0,
        Position.of(points[-1]) if len(rows) > query.most_points else None,
    )


def usage_check(query: SeriesQuery) -> None:
    """Raises UnknownGrouping where a query cannot be answered, before anything is read."""
    _statement(query, (COST,), None, None)


def latency_is_known(query: SeriesQuery) -> bool:
    """Whether the points of a query tell latencies."""
    return latencies_are_known(_latency_question(query))


def usage_points(query: SeriesQuery) -> Iterator[Point]:
    """All points of a query, however many, a thousand of them in memory; raises UnknownGrouping with the first one."""
    if query.until <= query.since:
        return
    measures = _measures(query)
    question = _latency_question(query)
    with connection.chunked_cursor() as cursor:
        cursor.execute(_statement(query, measures, None, None))
        while rows := cursor.fetchmany(CHUNK):
            points = [_point(row[:-1], query, measures) for row in rows]
            latencies_of(question, points)
            yield from points


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
    columns = METRICS[metric]
    first = replace(query, group_by=query.group_by[:1])
    arms = _arms(first)
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
        used=used(arms, first.asked, columns_of(columns, is_ledger=is_ledger)),
        most=sql.Literal(most),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [
            StackPoint(start.astimezone(query.zone), None if is_rest else _text(name), amount)
            for start, is_rest, name, amount in cursor.fetchall()
        ]


def _measures(query: SeriesQuery) -> tuple[str, ...]:
    return tuple(name for name in SUMS if name == COST or name in query.measures)


def _latency_question(query: SeriesQuery) -> LatencyQuestion:
    period = query.interval if query.interval in (Interval.MINUTE, Interval.HOUR) else Interval.DAY
    return LatencyQuestion(
        asked=query.asked,
        since=query.since,
        until=query.until,
        # Days of another zone are read from the hours; by people and keys there are days of UTC only.
        period="minute" if period is Interval.MINUTE else "hour" if period is Interval.HOUR else "day",
        takes_days=_takes_days(query),
        start=_start(query),
        counts=tuple(name for name in COUNTS if name in query.measures),
    )


def _takes_days(query: SeriesQuery) -> bool:
    if query.interval is Interval.TOTAL:
        return True
    return query.interval not in (Interval.MINUTE, Interval.HOUR) and query.zone.key == "UTC"


def _arms(query: SeriesQuery) -> tuple[Arm, ...]:
    asked, since, until, now = query.asked, query.since, query.until, timezone.now()
    if query.interval is Interval.MINUTE:
        oldest = now - timedelta(days=settings.SWITCHYARD.minutes_days)
        arms = minute_arms(asked, since, until) if since >= oldest else None
        return arms or _rows(query, LONGEST_ROW_RANGE_BY_MINUTE, "minutes")
    if asked.labels:
        if has_sums_by_label(asked):
            return label_arms(asked, since, until, now, days=_takes_days(query))
        return _rows(query, LONGEST_ROW_RANGE, "rules and metadata besides other things")
    if SESSION in asked.names:
        return _rows(query, LONGEST_ROW_RANGE, "sessions")
    return sum_arms(asked, since, until, now, days=_takes_days(query))


def _rows(query: SeriesQuery, longest: timedelta, what: str) -> tuple[Arm, ...]:
    if query.until - query.since > longest:
        raise UnknownGrouping(f"{what} can be asked for over {longest.days} days at most")
    return (ledger_arm(query.since, query.until),)


def _statement(
    query: SeriesQuery, measures: Sequence[str], after: Position | None, limit: int | None
) -> sql.Composable:
    """One row per interval and group: start, groups, sums, and how many rows there are in all."""
    arms = _arms(query)
    limited = sql.SQL("") if limit is None else sql.SQL(" LIMIT {}").format(sql.Literal(limit))
    return (_by_group if query.group_by else _plain)(query, arms, measures, after, limited)


def _plain(
    query: SeriesQuery, arms: Sequence[Arm], measures: Sequence[str], after: Position | None, limited: sql.Composable
) -> sql.Composable:
    is_ledger = arms[0].is_ledger
    return sql.SQL(
        "SELECT * FROM (SELECT {start} AS start, {sums}, count(*) OVER () AS whole FROM {used} {grouped}"
        " HAVING count(*) > 0) AS points {behind} ORDER BY start{limited}"
    ).format(
        start=_start(query),
        sums=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(value, sql.Identifier(name))
            for name, value in zip(measures, sums_of(measures, is_ledger=is_ledger), strict=True)
        ),
        used=used(arms, query.asked, columns_of(measures, is_ledger=is_ledger)),
        grouped=sql.SQL("" if query.interval is Interval.TOTAL else "GROUP BY 1"),
        behind=sql.SQL("") if after is None else sql.SQL("WHERE start > {}").format(sql.Literal(after.start)),
        limited=limited,
    )


def _by_group(
    query: SeriesQuery, arms: Sequence[Arm], measures: Sequence[str], after: Position | None, limited: sql.Composable
) -> sql.Composable:
    """The groups of the page are found by their cost, and then summed up whole; few sums are made at once."""
    is_ledger = arms[0].is_ledger
    groups = [group_column(number) for number in range(len(query.group_by))]
    if len(measures) <= FEW_SUMS:
        return sql.SQL(
            "SELECT start, {groups}, {names}, whole FROM (SELECT {start} AS start, {groups}, {sums}, {cost} AS cost,"
            " count(*) OVER () AS whole FROM {used} GROUP BY 1, {groups}) AS summed {behind}"
            " ORDER BY start, cost DESC, {groups}{limited}"
        ).format(
            groups=sql.SQL(", ").join(groups),
            names=sql.SQL(", ").join(map(sql.Identifier, measures)),
            start=_start(query),
            sums=sql.SQL(", ").join(
                sql.SQL("{} AS {}").format(value, sql.Identifier(name))
                for name, value in zip(measures, sums_of(measures, is_ledger=is_ledger), strict=True)
            ),
            cost=sums_of((COST,), is_ledger=is_ledger)[0],
            used=used(arms, query.asked, columns_of(measures, is_ledger=is_ledger)),
            behind=_behind(query, after, groups),
            limited=limited,
        )

    def table(columns: Sequence[str]) -> sql.Composable:
        return used(arms, query.asked, columns_of(columns, is_ledger=is_ledger))

    in_page = [sql.SQL("page.{group} = used.{group}").format(group=group) for group in groups]
    if query.interval is not Interval.TOTAL:
        in_page.append(sql.SQL("page.start = {}").format(_start(query)))
    keys = sql.SQL(", ").join(sql.SQL("page.{}").format(group) for group in groups)
    return sql.SQL(
        "WITH summed AS MATERIALIZED (SELECT {start} AS start, {groups}, {cost} AS cost, count(*) OVER () AS whole"
        " FROM {costs} GROUP BY 1, {groups}),"
        " page AS MATERIALIZED (SELECT * FROM summed {behind} ORDER BY start, cost DESC, {groups}{limited})"
        " SELECT page.start, {keys}, {sums}, max(page.whole) FROM {used} JOIN page ON {in_page}"
        " GROUP BY page.start, {keys}, page.cost ORDER BY page.start, page.cost DESC, {keys}"
    ).format(
        start=_start(query),
        groups=sql.SQL(", ").join(groups),
        cost=sums_of((COST,), is_ledger=is_ledger)[0],
        costs=table((COST,)),
        behind=_behind(query, after, groups),
        limited=limited,
        keys=keys,
        sums=sql.SQL(", ").join(sums_of(measures, is_ledger=is_ledger)),
        used=table(measures),
        in_page=sql.SQL(" AND ").join(in_page),
    )


def _behind(query: SeriesQuery, after: Position | None, groups: Sequence[sql.Composable]) -> sql.Composable:
    """What comes after a position, in the order of time, cost from the highest, and group."""
    if after is None:
        return sql.SQL("")
    values = [
        sql.SQL("{}::uuid").format(sql.Literal(UUID(value) if value else NOBODY)) if name in IDS else sql.Literal(value)
        for name, value in zip(query.group_by, after.group, strict=True)
    ]
    later = sql.SQL("(cost < {cost} OR (cost = {cost} AND ({groups}) > ({values})))").format(
        cost=sql.Literal(after.cost_nano_usd),
        groups=sql.SQL(", ").join(groups),
        values=sql.SQL(", ").join(values),
    )
    if query.interval is Interval.TOTAL:
        return sql.SQL("WHERE {}").format(later)
    return sql.SQL("WHERE start > {start} OR (start = {start} AND {later})").format(
        start=sql.Literal(after.start), later=later
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
