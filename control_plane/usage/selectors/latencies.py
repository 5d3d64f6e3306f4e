"""Latencies of points: counted in buckets, in tables of their own.

By model they are known for every minute. For anything else rows are read: a month of one person's or one key's, two
days of everybody's; over a longer range they are not known, and stay empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from django.db import connection
from django.utils import timezone
from psycopg import sql

from control_plane.usage.rollups import Measures
from control_plane.usage.row_sums import added_counts, bucket_sums, row_buckets
from control_plane.usage.selectors.arms import Arm, ledger_arms
from control_plane.usage.selectors.sources import (
    NOBODY,
    SESSION,
    Asked,
    Period,
    columns_of,
    group_column,
    is_among,
    latency_arms,
    used,
)

LONGEST_ROW_RANGE: Final = timedelta(days=2)
LONGEST_ROW_RANGE_OF_FEW: Final = timedelta(days=32)
MOST_OF_FEW: Final = 5
"""People or keys whose rows of a month are few enough to be read."""


class _Point(Protocol):
    @property
    def start(self) -> datetime | None: ...
    @property
    def group(self) -> tuple[str, ...]: ...
    @property
    def measures(self) -> Measures: ...


@dataclass(frozen=True, slots=True)
class LatencyQuestion:
    """Whose latencies, over which range. start: the expression of a point's start, over a column `at`.

    takes_days: whole days of UTC may be read; period: how narrow the points are at least.
    """

    asked: Asked
    since: datetime
    until: datetime
    period: Period
    takes_days: bool
    start: sql.Composable
    counts: tuple[str, ...]


def latencies_are_known(question: LatencyQuestion) -> bool:
    """Whether latencies are told for such a question."""
    return bool(_arms(question))


def latencies_of(question: LatencyQuestion, points: Sequence[_Point]) -> None:
    """Fill in the latencies of points; they stay empty where they are not known."""
    if not question.counts or not points:
        return
    arms = _arms(question)
    if not arms:
        return
    # In UTC, as the database says it: an hour that comes twice is told apart by nothing else.
    found = {(point.start and point.start.astimezone(UTC), point.group): point.measures for point in points}
    groups = len(question.asked.groups)
    with connection.cursor() as cursor:
        cursor.execute(_statement(question, arms, points))
        for start, *values in cursor:
            measures = found.get((start, tuple(map(_text, values[:groups]))))
            if measures is not None:
                for name, counts in zip(question.counts, values[groups:], strict=True):
                    setattr(measures, name, counts)


def _arms(question: LatencyQuestion) -> tuple[Arm, ...]:
    asked = question.asked
    # Days of another zone than UTC are made of hours.
    period: Period = "hour" if question.period == "day" and not question.takes_days else question.period
    arms = latency_arms(asked, question.since, question.until, timezone.now(), period=period)
    if arms is not None:
        return arms
    longest = LONGEST_ROW_RANGE_OF_FEW if _is_of_few(asked) else LONGEST_ROW_RANGE
    return (
        ledger_arms(asked.scope.organization_id, question.since, question.until)
        if question.until - question.since <= longest
        else ()
    )


def _is_of_few(asked: Asked) -> bool:
    scope = asked.scope
    if scope.principal_ids is not None and not scope.team_ids and len(scope.principal_ids) <= MOST_OF_FEW:
        return True
    return any(0 < len(asked.filters.get(name, ())) <= MOST_OF_FEW for name in ("user", "key", SESSION))


def _statement(question: LatencyQuestion, arms: Sequence[Arm], points: Sequence[_Point]) -> sql.Composable:
    is_ledger = arms[0].is_ledger
    groups = [group_column(number) for number in range(len(question.asked.groups))]
    table = used(arms, question.asked, columns_of(question.counts, is_ledger=is_ledger))
    wanted = [
        is_among(name, group, {point.group[number] for point in points})
        for number, (name, group) in enumerate(zip(question.asked.groups, groups, strict=True))
    ]
    starts = [point.start for point in points if point.start is not None]
    if starts:
        # A page is a part of the range.
        wanted.append(
            sql.SQL("{} BETWEEN {} AND {}").format(question.start, sql.Literal(min(starts)), sql.Literal(max(starts)))
        )
    where = sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(wanted)) if wanted else sql.SQL("")
    if is_ledger:
        table = sql.SQL("(SELECT {columns} FROM {table} {where}) AS bucketed").format(
            columns=sql.SQL(", ").join([sql.SQL("at"), *groups, *row_buckets(question.counts)]),
            table=table,
            where=where,
        )
        where = sql.SQL("")
    numbers = sql.SQL(", ").join(sql.SQL(str(number)) for number in range(1, len(groups) + 2))
    return sql.SQL("SELECT {columns} FROM {table} {where} GROUP BY {numbers} HAVING count(*) > 0").format(
        columns=sql.SQL(", ").join(
            [
                question.start,
                *groups,
                *(bucket_sums(question.counts) if is_ledger else added_counts(question.counts)),
            ]
        ),
        table=table,
        where=where,
        numbers=numbers,
    )


def _text(group: UUID | str) -> str:
    if isinstance(group, UUID):
        return "" if group == NOBODY else group.hex
    return group
