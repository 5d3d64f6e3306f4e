"""Reads spend by day of a zone from the roll-ups, for many series at once.

Hours are of UTC; in a zone that is not whole hours away from it a local day begins with the next full hour.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from psycopg import sql

from control_plane.forecasts.matching import Grain, fields_of
from control_plane.forecasts.series import DaySpend, History
from control_plane.rules.periods import midnight

LOOKED_BACK_DAYS = 84
WHOLE_HOURS, TEAM_HOURS, LABEL_HOURS = "usage_usagehour", "usage_teamhour", "usage_labelhour"
AMOUNTS = {
    "paid": "(cost_nano_usd - subscription_cost_nano_usd)",
    "shadow": "subscription_cost_nano_usd",
    "both": "cost_nano_usd",
}
"""Whose money a sum is of, as `budgets.Counts` says it: the organization's, what callers' own accounts paid, all."""
KNOWN_BY_TEAM: frozenset[str] = frozenset(
    {"team_id", "principal_kind", "provider_id", "provider_name", "model", "client", "protocol"}
)
"""What sums by team know; where a question needs no more, they are far fewer rows."""


@dataclass(frozen=True, slots=True)
class DaySums:
    """Spend by grain and day of a zone. days: grain to day (proleptic ordinal) to (all, what of it was early)."""

    today: date
    zone: ZoneInfo
    first_day: date
    days: Mapping[Grain, Mapping[int, tuple[int, int]]]

    def history(self, grains: Iterable[Grain]) -> History:
        """The series of some grains together."""
        whole: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for grain in grains:
            for day, (spent, early) in self.days[grain].items():
                sums = whole[day]
                sums[0] += spent
                sums[1] += early
        first, today = self.first_day.toordinal(), self.today.toordinal()
        # A day of reversals alone may come to less than nothing.
        days = [
            DaySpend(max(0, whole[day][0]), max(0, whole[day][1])) if day in whole else _QUIET
            for day in range(first, today)
        ]
        return History.of(self.today, days, max(0, whole[today][0]) if today in whole else 0)


_QUIET = DaySpend(0)


def day_sums(
    organization_id: UUID,
    zone: ZoneInfo,
    needs: Iterable[str],
    *,
    now: datetime,
    counts: str = "paid",
    label: str = "",
) -> DaySums:
    """Sum an organization's spend by day and by the fields of a grain that are asked for; one query.

    label: of what has this tag alone; then nothing but the tag's value and the team is known.
    """
    fields = fields_of(needs)
    local = now.astimezone(zone)
    today = local.date()
    first_day = today - timedelta(days=LOOKED_BACK_DAYS)
    columns = [sql.Identifier("value" if name == "tag" else name) for name in fields]
    labelled = sql.SQL(" AND label = {}").format(sql.Literal(label)) if label else sql.SQL("")
    statement = sql.SQL(
        "SELECT {columns} (hour AT TIME ZONE {zone})::date AS day, sum({amount})::bigint,"
        " sum({amount} * least(1, greatest(0, ({minute} - extract(hour FROM hour AT TIME ZONE {zone}) * 60"
        " - extract(minute FROM hour AT TIME ZONE {zone})) / 60)))::bigint"
        " FROM {table} WHERE organization_id = {organization}{labelled} AND hour >= {since} AND hour < {until}"
        " GROUP BY {groups} day HAVING sum({amount}) <> 0"
    ).format(
        amount=sql.SQL(AMOUNTS[counts]),
        columns=_listed(columns),
        groups=_listed(columns),
        zone=sql.Literal(zone.key),
        minute=sql.Literal(local.hour * 60 + local.minute),
        table=sql.Identifier(LABEL_HOURS if label else _table(fields)),
        organization=sql.Literal(organization_id),
        labelled=labelled,
        since=sql.Literal(midnight(first_day, zone)),
        until=sql.Literal(now.astimezone(UTC)),
    )
    days: dict[Grain, dict[int, tuple[int, int]]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        for *values, day, spent, early in cursor:
            days[Grain(**dict(zip(fields, values, strict=True)))][day.toordinal()] = (spent, early)
    return DaySums(today, zone, first_day, days)


def span_sums(
    organization_id: UUID,
    needs: Iterable[str],
    spans: Sequence[tuple[datetime, datetime]],
    *,
    counts: str = "paid",
) -> Mapping[Grain, tuple[int, ...]]:
    """Sum an organization's spend over some spans of whole hours, by the fields of a grain; one query."""
    fields = fields_of(needs)
    columns = [sql.Identifier(name) for name in fields]
    within = [
        sql.SQL("hour >= {} AND hour < {}").format(sql.Literal(since), sql.Literal(until)) for since, until in spans
    ]
    sums = [
        sql.SQL("coalesce(sum({}) FILTER (WHERE {}), 0)::bigint").format(sql.SQL(AMOUNTS[counts]), condition)
        for condition in within
    ]
    statement = sql.SQL(
        "SELECT {columns} {sums} FROM {table} WHERE organization_id = {organization} AND ({within}) {grouped}"
    ).format(
        columns=_listed(columns),
        sums=sql.SQL(", ").join(sums),
        table=sql.Identifier(_table(fields)),
        organization=sql.Literal(organization_id),
        within=sql.SQL(" OR ").join(sql.SQL("({})").format(condition) for condition in within),
        grouped=sql.SQL("GROUP BY {}").format(sql.SQL(", ").join(columns)) if columns else sql.SQL(""),
    )
    found: dict[Grain, tuple[int, ...]] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement)
        for row in cursor:
            found[Grain(**dict(zip(fields, row[: len(fields)], strict=True)))] = tuple(row[len(fields) :])
    return found


def _table(fields: Sequence[str]) -> str:
    return TEAM_HOURS if KNOWN_BY_TEAM.issuperset(fields) else WHOLE_HOURS


def _listed(columns: Sequence[sql.Composable]) -> sql.Composable:
    """Columns with a comma behind each."""
    return sql.SQL("").join(sql.SQL("{}, ").format(column) for column in columns)
