"""Where usage over time is read from: days and hours of the roll-ups, or the ledger's rows. SQL pieces, no queries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import sql

from control_plane.usage.histogram import BUCKETS, LOWEST_BOUND_US
from control_plane.usage.rollups import COUNTS, SUMS
from control_plane.usage.selectors.scope import Scope, all_of

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
MOST_TAG_LENGTH = 200
NOBODY = UUID(int=0)
"""Stands for an id that is not there, so that groups can be joined by equality."""
_IDS: Final = frozenset({"user", "team", "provider"})


class UnknownGrouping(ValueError):
    """Nothing can be grouped or filtered by this name, or not over so long a range."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One table with the time of its rows and the part of the range that is read there."""

    table: str
    at: sql.Composable
    range: sql.Composable

    @property
    def is_ledger(self) -> bool:
        return self.table == "usage_ledger"


def rollup_arms(since: datetime, until: datetime, now: datetime, *, days: bool) -> tuple[Arm, ...]:
    """Read whole UTC days from the days, if the question allows it, and what is left of the range from the hours.

    Whole hours: an hour that the range touches at its beginning is not cut in two. A range that reaches into the
    present hour holds all of today there is.
    """
    lower, upper = _hour(since.astimezone(UTC)), until.astimezone(UTC)
    first = _midnight(lower) if lower == _midnight(lower) else _midnight(lower) + timedelta(days=1)
    reaches_now = upper >= _hour(now.astimezone(UTC))
    last = _midnight(upper) + timedelta(days=1) if reaches_now and upper != _midnight(upper) else _midnight(upper)
    if not days or first >= last:
        return (_hours(lower, upper),)
    arms = [
        Arm(
            "usage_usageday",
            sql.SQL("(day::timestamp AT TIME ZONE 'UTC')"),
            sql.SQL("day >= {} AND day < {}").format(sql.Literal(first.date()), sql.Literal(last.date())),
        )
    ]
    if lower < first:
        arms.append(_hours(lower, first))
    if last < upper:
        arms.append(_hours(last, upper))
    return tuple(arms)


def ledger_arm(since: datetime, until: datetime) -> Arm:
    """Read rows. The partition's day is that of admission, at most minutes before the start; a day of slack is free."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    return Arm(
        "usage_ledger",
        sql.Identifier("started_at"),
        sql.SQL("started_at >= {} AND started_at < {} AND day >= {} AND day <= {}").format(
            sql.Literal(since),
            sql.Literal(until),
            sql.Literal((since - timedelta(days=1)).date()),
            sql.Literal((until + timedelta(days=1)).date()),
        ),
    )


def used(
    arms: Iterable[Arm],
    scope: Scope,
    groups: Sequence[str],
    filters: Mapping[str, Sequence[str]],
    columns: Iterable[str],
) -> sql.Composable:
    """All rows of a question as one table: `at`, a column `group_<number>` for each grouping, never NULL, and the
    columns named."""
    selects = []
    for arm in arms:
        found: list[sql.Composable] = [sql.SQL("{} AS at").format(arm.at)]
        found += [
            sql.SQL("{} AS {}").format(_group(name, arm), group_column(number)) for number, name in enumerate(groups)
        ]
        found += [sql.Identifier(name) for name in columns]
        conditions = [*scope.conditions(), arm.range]
        conditions += [_filter(name, values, arm) for name, values in filters.items()]
        selects.append(
            sql.SQL("SELECT {} FROM {} WHERE {}").format(
                sql.SQL(", ").join(found), sql.Identifier(arm.table), all_of(conditions)
            )
        )
    return sql.SQL("({}) AS used").format(sql.SQL(" UNION ALL ").join(selects))


def group_column(number: int) -> sql.Composable:
    return sql.Identifier(f"group_{number}")


def columns_of(measures: Sequence[str], *, is_ledger: bool) -> tuple[str, ...]:
    """The columns that sums over these measures need."""
    return (*SUMS_OF_ROWS_NEED,) if is_ledger else tuple(measures)


def sums_of(measures: Sequence[str], *, is_ledger: bool) -> list[sql.Composable]:
    """The sums over `used`, in the order of the measures."""
    made = _row_sum if is_ledger else _rollup_sum
    return [made(name) for name in measures]


def _hours(lower: datetime, upper: datetime) -> Arm:
    return Arm(
        "usage_usagehour",
        sql.Identifier("hour"),
        sql.SQL("hour >= {} AND hour < {}").format(sql.Literal(lower), sql.Literal(upper)),
    )


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _group(name: str, arm: Arm) -> sql.Composable:
    value = _value(name, arm)
    return sql.SQL("COALESCE({}, {})").format(value, sql.Literal(NOBODY if name in _IDS else ""))


def _value(name: str, arm: Arm) -> sql.Composable:
    if name == SESSION:
        return sql.Identifier("session_id")
    if name.startswith(METADATA) and 0 < len(name) - len(METADATA) <= MOST_TAG_LENGTH:
        tag = sql.Literal(name.removeprefix(METADATA))
        # What key, principal and team say wins over what the request's header said.
        return sql.SQL("COALESCE(tags ->> {tag}, request_tags ->> {tag})").format(tag=tag)
    if name not in GROUPINGS:
        raise UnknownGrouping(f"{name[:60]!r} is none of {', '.join((*GROUPINGS, SESSION, METADATA + '<key>'))}")
    if name == "status" and arm.is_ledger:
        return sql.SQL("CASE WHEN client_status = 0 THEN '' ELSE client_status / 100 || 'xx' END")
    return sql.Identifier(GROUPINGS[name])


def _filter(name: str, values: Sequence[str], arm: Arm) -> sql.Composable:
    """One of several values; an empty one: not known. Columns are compared as they are, so that indexes serve."""
    value = _value(name, arm)
    if name not in _IDS:
        if name.startswith(METADATA):
            value = sql.SQL("COALESCE({}, '')").format(value)
        return sql.SQL("{} = ANY({})").format(value, sql.Literal(list(values)))
    ids = [found for found in map(_uuid, values) if found is not None]
    condition = sql.SQL("{} = ANY({}::uuid[])").format(value, sql.Literal(ids))
    return condition if all(values) else sql.SQL("({} OR {} IS NULL)").format(condition, value)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _rollup_sum(name: str) -> sql.Composable:
    if name not in COUNTS:
        return sql.SQL("sum({})::bigint").format(sql.Identifier(name))
    elements = sql.SQL(", ").join(
        sql.SQL("sum({}[{}])::bigint").format(sql.Identifier(name), sql.Literal(index))
        for index in range(1, BUCKETS + 1)
    )
    return sql.SQL("ARRAY[{}]").format(elements)


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


_NOT_SUMMED: Final = frozenset({*_ROW_SUMS, "subscription_cost_nano_usd"})
SUMS_OF_ROWS_NEED: Final = (
    "kind",
    "revision",
    "attempt",
    "outcome",
    "is_subscription",
    *(column for column, _ in _ROW_COUNTS.values()),
    *(name for name in SUMS if name not in _NOT_SUMMED),
)


def _row_sum(name: str) -> sql.Composable:
    if name not in COUNTS:
        expression = _ROW_SUMS.get(name, sql.SQL("sum({})").format(sql.Identifier(name)))
        return sql.SQL("COALESCE({}, 0)::bigint").format(expression)
    bounds = sql.Literal([LOWEST_BOUND_US << power for power in range(BUCKETS - 1)])
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
    return sql.SQL("ARRAY[{}]").format(elements)
