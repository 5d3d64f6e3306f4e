"""The tables that a range of time is read from: sums by the day, hour or minute, and the ledger's rows. SQL pieces."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg import sql

from control_plane.usage import ulid
from control_plane.usage.closing import closed_until
from control_plane.usage.selectors.parts import ADMITTED_AFTER, ADMITTED_UP_TO, EXACT_UP_TO, Parts, whole_hour


@dataclass(frozen=True, slots=True)
class Arm:
    """One table with the time of its rows and the part of the range that is read there.

    label: of a table of labels, the one that is meant. share: what its rows count in a sum; part: which value of the
    label they are, None: what they say themselves.
    """

    table: str
    at: sql.Composable
    range: sql.Composable
    label: str = ""
    share: int = 1
    part: str | None = None

    @property
    def is_ledger(self) -> bool:
        return self.table == "usage_ledger"


def rollup_arms(
    prefix: str,
    since: datetime,
    until: datetime,
    now: datetime,
    *,
    days: bool,
    label: str = "",
    share: int = 1,
    part: str | None = None,
) -> tuple[Arm, ...]:
    """Read whole UTC days from the days, if the question allows it, and what is left of the range from the hours.

    Whole hours: one that the range begins in is not cut in two here (`parts_of`). A range that reaches into the present
    hour holds all of today there is.
    """

    def hours(lower: datetime, upper: datetime) -> Arm:
        between = sql.SQL("hour >= {} AND hour < {}").format(sql.Literal(lower), sql.Literal(upper))
        return Arm(f"{prefix}hour", sql.Identifier("hour"), between, label, share, part)

    lower, upper = whole_hour(since.astimezone(UTC)), until.astimezone(UTC)
    first = _midnight(lower) if lower == _midnight(lower) else _midnight(lower) + timedelta(days=1)
    reaches_now = upper > whole_hour(now.astimezone(UTC))
    last = _midnight(upper) + timedelta(days=1) if reaches_now and upper != _midnight(upper) else _midnight(upper)
    if not days or first >= last:
        return (hours(lower, upper),)
    between = sql.SQL("day >= {} AND day < {}").format(sql.Literal(first.date()), sql.Literal(last.date()))
    arms = [Arm(f"{prefix}day", sql.SQL("(day::timestamp AT TIME ZONE 'UTC')"), between, label, share, part)]
    if lower < first:
        arms.append(hours(lower, first))
    if last < upper:
        arms.append(hours(last, upper))
    return tuple(arms)


def ledger_arms(organization_id: UUID, since: datetime, until: datetime) -> tuple[Arm, ...]:
    """Read rows, by the instant that they count at.

    The partition's day is that of admission, at most minutes before; a day of slack is free. What came so late that its
    month was closed counts long after its day: where a month is closed, the partitions up to its end are looked into
    for such rows, which have an index.

    Rows of a short range are found by when they were admitted: a day would be read for an hour.
    """
    closed = closed_until(organization_id)
    if until - since <= EXACT_UP_TO:
        return _short_arms(since, until, closed)
    return _ledger_arms(since, until, closed)


def end_arms(organization_id: UUID, parts: Parts) -> tuple[Arm, ...]:
    """Read the parts of hours at the ends of a range from rows, which are found by when they were admitted."""
    if not parts.ends:
        return ()
    closed = closed_until(organization_id)
    return tuple(arm for since, until in parts.ends for arm in _short_arms(since, until, closed))


def _short_arms(since: datetime, until: datetime, closed: datetime | None) -> tuple[Arm, ...]:
    return _ledger_arms(since, until, closed, admitted=(since - ADMITTED_UP_TO, until + ADMITTED_AFTER))


def _ledger_arms(
    since: datetime, until: datetime, closed: datetime | None, *, admitted: tuple[datetime, datetime] | None = None
) -> tuple[Arm, ...]:
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    first, last = (since - timedelta(days=1)).date(), (until + timedelta(days=1)).date()
    counted = sql.SQL("counted_at >= {} AND counted_at < {}").format(sql.Literal(since), sql.Literal(until))
    near = sql.SQL("{} AND day >= {} AND day <= {}").format(counted, sql.Literal(first), sql.Literal(last))
    is_late: sql.Composable = sql.SQL("day < {}").format(sql.Literal(first))
    if admitted is not None:
        near = sql.SQL("{} AND counted_at = started_at AND exchange_id >= {} AND exchange_id < {}").format(
            near, *(sql.Literal(ulid.lowest_at(at)) for at in admitted)
        )
        is_late = sql.SQL("TRUE")
    arms = (Arm("usage_ledger", sql.Identifier("counted_at"), near),)
    if closed is None:
        return arms
    late = sql.SQL("{} AND counted_at <> started_at AND {} AND day <= {}").format(
        counted, is_late, sql.Literal(closed.date())
    )
    return (*arms, Arm("usage_ledger", sql.Identifier("counted_at"), late))


def minutes_arm(table: str, since: datetime, until: datetime) -> Arm:
    lower = since.astimezone(UTC).replace(second=0, microsecond=0)
    between = sql.SQL("minute >= {} AND minute < {}").format(sql.Literal(lower), sql.Literal(until.astimezone(UTC)))
    return Arm(table, sql.Identifier("minute"), between)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
