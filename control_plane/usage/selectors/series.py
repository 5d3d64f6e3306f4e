"""Series of requests, tokens, cost, errors and latencies over time, grouped and filtered.

What the roll-ups know is answered from them; sessions and metadata tags from the ledger's rows, so these two only over
a limited range. Both say the same: a roll-up is the sum of its rows.

Roll-ups are hours of UTC. In a zone that is not whole hours away from UTC, a local day begins with the next full hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection
from psycopg import sql

from control_plane.usage.histogram import BUCKETS, LOWEST_BOUND_US
from control_plane.usage.rollups import COUNTS, MEASURES, SUMS, Measures
from control_plane.usage.selectors.scope import Scope, all_of


class Interval(StrEnum):
    """How wide a point is; TOTAL: one point for the whole range."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


GROUPINGS: Final[Mapping[str, str]] = {
    "user": "principal_id",
    "team": "team_id",
    "key": "key_id",
    "provider": "provider_id",
    "model": "model",
    "requested_model": "requested_model",
    "client": "client",
    "protocol": "protocol",
    "outcome": "outcome",
    "status": "status_class",
}
"""What a series may be grouped and filtered by, and the roll-up's column for it."""
SESSION = "session"
METADATA = "metadata."
LONGEST_ROW_RANGE = timedelta(days=93)
MOST_TAG_LENGTH = 200


class UnknownGrouping(ValueError):
    """Nothing can be grouped or filtered by this name, or not over so long a range."""


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """since (inclusive) to until (exclusive); groupings in the order wanted; values per filter are alternatives."""

    scope: Scope
    since: datetime
    until: datetime
    interval: Interval = Interval.DAY
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most_points: int = 10_000

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


def usage_series(query: SeriesQuery) -> list[Point]:
    """Answer a query, ordered by time, then cost (highest first); raises UnknownGrouping."""
    if query.until <= query.since:
        return []
    source, at, measures = _source(query)
    conditions = [*query.scope.conditions(), *_range(query, source)]
    conditions.extend(_filter(name, values, source) for name, values in query.filters.items())
    start = _start(query, at)
    groups = [_group_text(name, source) for name in query.group_by]
    keys = [start, *groups]
    columns = [*keys, *measures]
    statement = sql.SQL(
        "SELECT {columns} FROM {source} WHERE {conditions} GROUP BY {keys} ORDER BY {order} LIMIT {limit}"
    ).format(
        columns=sql.SQL(", ").join(columns),
        source=sql.Identifier(source),
        conditions=all_of(conditions),
        # By position: the expressions hold literals, which PostgreSQL would not see as the same.
        keys=sql.SQL(", ").join(sql.Literal(position) for position in range(1, len(keys) + 1)),
        order=sql.SQL("1, {cost} DESC, {groups}").format(
            cost=sql.Literal(len(keys) + 1 + MEASURES.index("cost_nano_usd")),
            groups=sql.SQL(", ").join(sql.Literal(position) for position in range(1, len(keys) + 1)),
        ),
        limit=sql.Literal(query.most_points),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [_point(values, query) for values in cursor.fetchall() if values[len(keys)] is not None]


def usage_total(
    scope: Scope, *, since: datetime, until: datetime, filters: Mapping[str, Sequence[str]] | None = None
) -> Measures:
    """Sum everything of a range; all zero when there is nothing."""
    points = usage_series(
        SeriesQuery(scope=scope, since=since, until=until, interval=Interval.TOTAL, filters=filters or {})
    )
    return points[0].measures if points else Measures()


def _point(values: Sequence[Any], query: SeriesQuery) -> Point:
    start, rest = values[0], values[1:]
    groups = rest[: len(query.group_by)]
    numbers = rest[len(query.group_by) :]
    return Point(
        start.astimezone(query.zone) if start is not None else None,
        tuple(groups),
        Measures(**dict(zip(MEASURES, numbers, strict=True))),
    )


def _source(query: SeriesQuery) -> tuple[str, sql.Composable, list[sql.Composable]]:
    """The table, the expression for the time of its rows, and the sums over it, in the order of MEASURES."""
    if query.needs_rows:
        if query.until - query.since > LONGEST_ROW_RANGE:
            raise UnknownGrouping(f"session and metadata can be asked for {LONGEST_ROW_RANGE.days} days at most")
        return "usage_ledger", sql.Identifier("started_at"), _row_sums()
    if query.interval is not Interval.HOUR and query.zone.key == "UTC" and _is_midnight(query):
        return "usage_usageday", sql.SQL("(day::timestamp AT TIME ZONE 'UTC')"), _rollup_sums()
    return "usage_usagehour", sql.Identifier("hour"), _rollup_sums()


def _is_midnight(query: SeriesQuery) -> bool:
    return all(
        (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
        for at in (query.since.astimezone(UTC), query.until.astimezone(UTC))
    )


def _range(query: SeriesQuery, source: str) -> list[sql.Composable]:
    since, until = query.since.astimezone(UTC), query.until.astimezone(UTC)
    if source == "usage_usageday":
        column, lower, upper = "day", since.date(), until.date()
    elif source == "usage_usagehour":
        column = "hour"
        # Whole hours: an hour that the range touches at its beginning is not cut in two.
        lower, upper = since.replace(minute=0, second=0, microsecond=0), until
    else:
        column, lower, upper = "started_at", since, until
    conditions: list[sql.Composable] = [
        sql.SQL("{column} >= {lower} AND {column} < {upper}").format(
            column=sql.Identifier(column), lower=sql.Literal(lower), upper=sql.Literal(upper)
        )
    ]
    if source == "usage_ledger":
        # The partition's day is that of admission, at most minutes before the start; a day of slack costs nothing.
        conditions.append(
            sql.SQL("day >= {} AND day <= {}").format(
                sql.Literal((since - timedelta(days=1)).date()), sql.Literal((until + timedelta(days=1)).date())
            )
        )
    return conditions


def _start(query: SeriesQuery, at: sql.Composable) -> sql.Composable:
    if query.interval is Interval.TOTAL:
        return sql.SQL("NULL::timestamptz")
    return sql.SQL("date_trunc({}, {}, {})").format(sql.Literal(query.interval.value), at, sql.Literal(query.zone.key))


def _value(name: str) -> sql.Composable:
    if name == SESSION:
        return sql.Identifier("session_id")
    if name.startswith(METADATA) and 0 < len(name) - len(METADATA) <= MOST_TAG_LENGTH:
        tag = sql.Literal(name.removeprefix(METADATA))
        # What key, principal and team say wins over what the request's header said.
        return sql.SQL("COALESCE(tags ->> {tag}, request_tags ->> {tag})").format(tag=tag)
    if name not in GROUPINGS:
        raise UnknownGrouping(f"{name[:60]!r} is none of {', '.join((*GROUPINGS, SESSION, METADATA + '<key>'))}")
    return sql.Identifier(GROUPINGS[name])


def _group_text(name: str, source: str) -> sql.Composable:
    """The grouping as text; ids without dashes, the way the API writes them."""
    value = _value(name)
    if name == "status" and source == "usage_ledger":
        return sql.SQL("CASE WHEN client_status = 0 THEN '' ELSE client_status / 100 || 'xx' END")
    if GROUPINGS.get(name, "").endswith("_id") and GROUPINGS[name] != "key_id":
        return sql.SQL("COALESCE(replace({}::text, '-', ''), '')").format(value)
    return sql.SQL("COALESCE({}, '')").format(value)


def _filter(name: str, values: Sequence[str], source: str) -> sql.Composable:
    return sql.SQL("{} = ANY({})").format(_group_text(name, source), sql.Literal(list(values)))


def _rollup_sums() -> list[sql.Composable]:
    sums: list[sql.Composable] = [sql.SQL("sum({})::bigint").format(sql.Identifier(name)) for name in SUMS]
    for name in COUNTS:
        elements = sql.SQL(", ").join(
            sql.SQL("sum({}[{}])::bigint").format(sql.Identifier(name), sql.Literal(index))
            for index in range(1, BUCKETS + 1)
        )
        sums.append(sql.SQL("ARRAY[{}]").format(elements))
    return sums


_SIGN = sql.SQL("(CASE WHEN kind = 'reversal' THEN -1 ELSE 1 END)")
# The same meaning as `rollups.Measures.add`, written once more for PostgreSQL; a test holds the two together.
_ROW_SUMS: Final[Mapping[str, sql.Composable]] = {
    "requests": sql.SQL("sum({sign}) FILTER (WHERE attempt <= 1)").format(sign=_SIGN),
    "attempts": sql.SQL("sum({sign}) FILTER (WHERE attempt >= 1)").format(sign=_SIGN),
    "errors": sql.SQL("sum({sign}) FILTER (WHERE outcome IN ('failed', 'internal'))").format(sign=_SIGN),
    "refusals": sql.SQL("sum({sign}) FILTER (WHERE outcome = 'refused')").format(sign=_SIGN),
    "estimates": sql.SQL(
        "sum({sign}) FILTER (WHERE kind = 'estimated' OR (kind = 'reversal' AND revision % 4 = 1))"
    ).format(sign=_SIGN),
    "subscription_cost_nano_usd": sql.SQL("sum(cost_nano_usd) FILTER (WHERE is_subscription)"),
}
_ROW_COUNTS: Final[Mapping[str, tuple[str, str]]] = {
    "gateway_counts": ("gateway_us", "true"),
    "first_token_counts": ("first_token_us", "first_token_us > 0"),
    "duration_counts": ("duration_us", "attempt >= 1"),
}


def _row_sums() -> list[sql.Composable]:
    sums: list[sql.Composable] = []
    for name in SUMS:
        expression = _ROW_SUMS.get(name, sql.SQL("sum({})").format(sql.Identifier(name)))
        sums.append(sql.SQL("COALESCE({}, 0)::bigint").format(expression))
    bounds = sql.Literal([LOWEST_BOUND_US << power for power in range(BUCKETS - 1)])
    for name in COUNTS:
        column, condition = _ROW_COUNTS[name]
        elements = sql.SQL(", ").join(
            sql.SQL(
                "COALESCE(sum({sign}) FILTER (WHERE {condition} AND"
                " width_bucket({column}, {bounds}::bigint[]) = {index}), 0)::bigint"
            ).format(
                sign=_SIGN,
                condition=sql.SQL(condition),
                column=sql.Identifier(column),
                bounds=bounds,
                index=sql.Literal(index),
            )
            for index in range(BUCKETS)
        )
        sums.append(sql.SQL("ARRAY[{}]").format(elements))
    return sums
