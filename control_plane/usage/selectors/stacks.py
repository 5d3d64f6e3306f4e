"""One metric over time, stacked by its greatest groups: what charts draw."""

from collections.abc import Sequence
from dataclasses import replace

from django.db import connection
from psycopg import sql

from control_plane.usage.selectors.points import METRICS, SeriesQuery, StackPoint, group_text
from control_plane.usage.selectors.reading import Reading, reading_of
from control_plane.usage.selectors.sources import group_column, is_among


def usage_stack(
    query: SeriesQuery, metric: str, *, most: int, greatest: Sequence[str] | None = None
) -> list[StackPoint]:
    """Sum one metric by interval and by the first grouping, for its `most` greatest groups and for the others as one.

    A query without a grouping has one group, the empty one. greatest: the greatest groups, where they are known
    already; None: they are found here.
    """
    if query.until <= query.since:
        return []
    reading = reading_of(replace(query, group_by=query.group_by[:1]), METRICS[metric])
    if reading.arms[0].is_ledger:
        value = sql.SQL(" + ").join(reading.sums)
    else:
        # One sum of ten columns, not ten sums.
        value = sql.SQL("usage_total({})").format(sql.SQL(" + ").join(map(sql.Identifier, METRICS[metric])))
    if greatest is not None and query.group_by:
        statement = _of_known(reading, query.group_by[0], value, greatest[:most])
    else:
        statement = _of_greatest(reading, value, most, has_groups=bool(query.group_by))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [
            StackPoint(start.astimezone(query.zone), None if is_rest else group_text(name), amount)
            for start, is_rest, name, amount in cursor.fetchall()
        ]


def _of_greatest(reading: Reading, value: sql.Composable, most: int, *, has_groups: bool) -> sql.Composable:
    return sql.SQL(
        "WITH sums AS MATERIALIZED (SELECT {start} AS start, {group} AS name, ({value})::bigint AS value FROM {used}"
        " GROUP BY 1, 2),"
        " top AS (SELECT name FROM sums GROUP BY name ORDER BY usage_total(value) DESC, name LIMIT {most})"
        " SELECT sums.start, top.name IS NULL, top.name, usage_total(value)"
        " FROM sums LEFT JOIN top ON top.name = sums.name GROUP BY 1, 2, 3 ORDER BY 1, 3"
    ).format(
        start=reading.start,
        group=group_column(0) if has_groups else sql.SQL("''::text"),
        value=value,
        used=reading.used,
        most=sql.Literal(most),
    )


def _of_known(reading: Reading, name: str, value: sql.Composable, greatest: Sequence[str]) -> sql.Composable:
    """The others are put together while rows are read: there may be tens of thousands of them."""
    group = group_column(0)
    return sql.SQL(
        "SELECT start, name IS NULL, name, value FROM (SELECT {start} AS start,"
        " CASE WHEN {among} THEN {group} END AS name, ({value})::bigint AS value FROM {used} GROUP BY 1, 2) AS sums"
        " ORDER BY 1, 3"
    ).format(start=reading.start, among=is_among(name, group, greatest), group=group, value=value, used=reading.used)
