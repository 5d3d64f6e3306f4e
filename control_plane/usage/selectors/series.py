"""Series of requests, tokens, cost, errors and latencies over time, grouped and filtered.

What the roll-ups know is answered from them; the rest from the ledger's rows, over a limited range. Both say the same:
a roll-up is the sum of its rows.

Roll-ups are minutes, hours and days of UTC. A range of two days or less begins and ends at the minute that is asked
for: the parts of hours at its ends are read from rows (`selectors.parts`). A longer one is whole hours. In a zone that
is not whole hours away from UTC, a local day begins with the next full hour.

An organization has tens of thousands of keys and people, so the database sums, ranks and cuts: first the cost alone
tells which groups are answered with, then the other measures are summed, for these only. Latencies lie in tables of
their own (`control_plane.usage.selectors.latencies`).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg import sql

from control_plane.usage.labels import METADATA
from control_plane.usage.rollups import COUNTS, MEASURES, SUMS, Measures
from control_plane.usage.selectors.latencies import LatencyQuestion, latencies_are_known, latencies_of
from control_plane.usage.selectors.points import (
    COST,
    METRICS,
    Interval,
    Point,
    Position,
    SeriesPage,
    SeriesQuery,
    StackPoint,
    group_text,
)
from control_plane.usage.selectors.reading import Reading, has_few_groups, reading_of, start_of_point, takes_days
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.sources import GROUPINGS, IDS, NOBODY, UnknownGrouping, group_column
from control_plane.usage.selectors.stacks import usage_stack

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

CHUNK = 1000
FEW_SUMS = 4
"""So few are summed for every group at once: that reads the range once instead of twice."""


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
        takes_days=takes_days(query),
        start=start_of_point(query),
        counts=tuple(name for name in COUNTS if name in query.measures),
    )


def _statement(
    query: SeriesQuery, measures: Sequence[str], after: Position | None, limit: int | None
) -> sql.Composable:
    """One row per interval and group: start, groups, sums, and how many rows there are in all."""
    limited = sql.SQL("") if limit is None else sql.SQL(" LIMIT {}").format(sql.Literal(limit))
    if not query.group_by:
        return _plain(query, measures, after, limited)
    # Whoever takes all of it reads the range once; so does who asks for groups of which there are few.
    is_whole = limit is None and after is None
    has_few = query.interval is Interval.TOTAL and has_few_groups(query)
    if is_whole or has_few or len(measures) <= FEW_SUMS:
        return _by_group_at_once(query, measures, after, limited)
    return _by_group(query, measures, after, limited)


def _plain(
    query: SeriesQuery, measures: Sequence[str], after: Position | None, limited: sql.Composable
) -> sql.Composable:
    reading = reading_of(query, measures)
    return sql.SQL(
        "SELECT * FROM (SELECT {start} AS start, {sums}, count(*) OVER () AS whole FROM {used} {grouped}"
        " HAVING count(*) > 0) AS points {behind} ORDER BY start{limited}"
    ).format(
        start=reading.start,
        sums=_named(measures, reading),
        used=reading.used,
        grouped=sql.SQL("" if query.interval is Interval.TOTAL else "GROUP BY 1"),
        behind=sql.SQL("") if after is None else sql.SQL("WHERE start > {}").format(sql.Literal(after.start)),
        limited=limited,
    )


def _by_group_at_once(
    query: SeriesQuery, measures: Sequence[str], after: Position | None, limited: sql.Composable
) -> sql.Composable:
    reading = reading_of(query, measures)
    groups = [group_column(number) for number in range(len(query.group_by))]
    return sql.SQL(
        "WITH summed AS MATERIALIZED (SELECT {start} AS start, {groups}, {sums}, {cost} AS cost FROM {used}"
        " GROUP BY 1, {groups})"
        " SELECT start, {groups}, {names}, (SELECT count(*) FROM summed) FROM summed {behind}"
        " ORDER BY start, cost DESC, {groups}{limited}"
    ).format(
        groups=sql.SQL(", ").join(groups),
        names=sql.SQL(", ").join(map(sql.Identifier, measures)),
        start=reading.start,
        sums=_named(measures, reading),
        cost=reading.sums[measures.index(COST)],
        used=reading.used,
        behind=_behind(query, after, groups),
        limited=limited,
    )


def _by_group(
    query: SeriesQuery, measures: Sequence[str], after: Position | None, limited: sql.Composable
) -> sql.Composable:
    """The groups of the page are found by their cost, and then summed up whole."""
    costs = reading_of(query, (COST,))
    whole = reading_of(query, measures, arms=costs.arms, page="page")
    groups = [group_column(number) for number in range(len(query.group_by))]
    in_page = [sql.SQL("page.{group} = used.{group}").format(group=group) for group in groups]
    if query.interval is not Interval.TOTAL:
        # Not by equality: a page of one day's people would be joined by its day.
        in_page.append(sql.SQL("page.start IS NOT DISTINCT FROM {}").format(whole.start))
    keys = sql.SQL(", ").join(sql.SQL("page.{}").format(group) for group in groups)
    return sql.SQL(
        "WITH summed AS MATERIALIZED (SELECT {start} AS start, {groups}, {cost} AS cost FROM {costs}"
        " GROUP BY 1, {groups}),"
        " page AS MATERIALIZED (SELECT * FROM summed {behind} ORDER BY start, cost DESC, {groups}{limited})"
        " SELECT page.start, {keys}, {sums}, (SELECT count(*) FROM summed) FROM {used} JOIN page ON {in_page}"
        " GROUP BY page.start, {keys}, page.cost ORDER BY page.start, page.cost DESC, {keys}"
    ).format(
        start=costs.start,
        groups=sql.SQL(", ").join(groups),
        cost=costs.sums[0],
        costs=costs.used,
        behind=_behind(query, after, groups),
        limited=limited,
        keys=keys,
        sums=sql.SQL(", ").join(whole.sums),
        used=whole.used,
        in_page=sql.SQL(" AND ").join(in_page),
    )


def _named(measures: Sequence[str], reading: Reading) -> sql.Composable:
    """The sums under the names of their measures."""
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(value, sql.Identifier(name))
        for name, value in zip(measures, reading.sums, strict=True)
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


def _point(values: Sequence[Any], query: SeriesQuery, measures: Sequence[str]) -> Point:
    start, rest = values[0], values[1:]
    groups = rest[: len(query.group_by)]
    numbers = rest[len(query.group_by) :]
    return Point(
        start.astimezone(query.zone) if start is not None else None,
        tuple(group_text(group) for group in groups),
        Measures(**dict(zip(measures, numbers, strict=True))),
    )
