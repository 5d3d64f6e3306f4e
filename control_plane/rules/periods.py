"""Days, weeks, months and quarters of a time zone, and weekly hours, as instants. Pure: time is an argument.

A period begins at midnight of its zone's wall clock. Where that midnight does not exist (clocks go forward over it)
it begins at the change; where it comes twice, at the first. So periods tile time: a day has 23, 24 or 25 hours, and
the end of each is the start of the next. Minutes and hours are the same everywhere and are not listed.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from control_plane.rules.conditions import DAYS, Hours, hours_text
from switchyard_contract.v1 import snapshot_pb2

AHEAD = timedelta(days=40)
"""So far periods and hours are told to pods; compiled anew every day, at least 35 days of it are always left."""
FIXED_MS = {"minute": 60_000, "hour": 3_600_000}
CALENDAR = ("day", "week", "month", "quarter")
UNITS = ("minute", "hour", *CALENDAR, "lifetime")
FOR_EVER = "lifetime"


@dataclass(frozen=True, slots=True)
class PeriodRule:
    """anchor: on which day a week (1: Monday) or a month begins."""

    unit: str
    timezone: str = "UTC"
    anchor: int = 1


@dataclass(frozen=True, slots=True)
class Span:
    """One period, [start, end). None: without end."""

    start: datetime
    end: datetime | None

    @property
    def id(self) -> str:
        """As counters and events name it."""
        return "0" if self.end is None else str(_milliseconds(self.start))


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of that IANA name; None: there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A name with a path in it, a folder of the data base, or one that nobody knows.
        return None


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day begins there."""
    return at_wall(day, 0, zone)


def at_wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The instant when a wall clock shows so many minutes since midnight; 1440 is the next midnight."""
    more, minute = divmod(minute, 24 * 60)
    local = datetime.combine(day + timedelta(days=more), time(minute // 60, minute % 60), tzinfo=zone)
    # fold=0: the first of two; in a gap the offset before it, which is the instant of the change or as far behind it.
    return local.astimezone(UTC)


def period_at(rule: PeriodRule, at: datetime) -> Span:
    """The one period in which an instant lies."""
    if rule.unit == FOR_EVER:
        return Span(datetime.fromtimestamp(0, UTC), None)
    if fixed := FIXED_MS.get(rule.unit):
        start = _milliseconds(at) // fixed * fixed
        return Span(datetime.fromtimestamp(start / 1000, UTC), datetime.fromtimestamp((start + fixed) / 1000, UTC))
    starts = starts_from(rule, at, at)
    position = bisect_right(starts, at)
    return Span(starts[position - 1], starts[position])


def starts_from(rule: PeriodRule, at: datetime, until: datetime) -> list[datetime]:
    """Starts of calendar periods, ascending: that in force at an instant, and all up to the first one after `until`."""
    zone = zone_of(rule.timezone)
    if zone is None or rule.unit not in CALENDAR:
        raise ValueError(f"no calendar period: {rule}")
    found: list[datetime] = []
    for day in _first_days(rule, at.astimezone(zone).date() - timedelta(days=1)):
        start = midnight(day, zone)
        # Zones have left out whole days (Apia 2011): a day of no length is no period.
        if found and start <= found[-1]:
            continue
        if start <= at and found:
            found.clear()
        found.append(start)
        if start > until:
            return found
    raise AssertionError("days never end")


def periods_of(rule: PeriodRule, now: datetime) -> snapshot_pb2.Periods:
    """What pods are told of a rule's periods."""
    told = snapshot_pb2.Periods(timezone=rule.timezone, unit=rule.unit)
    if fixed := FIXED_MS.get(rule.unit):
        told.fixed_ms = fixed
    elif rule.unit != FOR_EVER:
        told.starts_ms.extend(_milliseconds(start) for start in starts_from(rule, now, now + AHEAD))
    return told


def hours_of(hours: Hours, now: datetime) -> snapshot_pb2.Hours:
    """What pods are told of weekly hours: the spans from a day ago on, apart and ascending."""
    zone = zone_of(hours.timezone)
    if zone is None:
        raise ValueError(f"no such zone: {hours.timezone}")
    first = now.astimezone(zone).date() - timedelta(days=2)
    spans: list[tuple[int, int]] = []
    for offset in range(AHEAD.days + 4):
        day = first + timedelta(days=offset)
        for window in hours.windows:
            if DAYS[day.weekday()] in window.days:
                over = 24 * 60 if window.is_over_midnight else 0
                start = _milliseconds(at_wall(day, window.from_minute, zone))
                end = _milliseconds(at_wall(day, window.until_minute + over, zone))
                if start < end:
                    spans.append((start, end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return snapshot_pb2.Hours(
        spans=[snapshot_pb2.Span(start_ms=start, end_ms=end) for start, end in merged], text=hours_text(hours)
    )


def _first_days(rule: PeriodRule, around: date) -> Iterator[date]:
    """First days of periods, ascending, beginning with one that is not after `around`."""
    match rule.unit:
        case "day":
            day = around
            while True:
                yield day
                day += timedelta(days=1)
        case "week":
            day = around - timedelta(days=(around.weekday() - (rule.anchor - 1)) % 7)
            while True:
                yield day
                day += timedelta(days=7)
        case _:
            step = 3 if rule.unit == "quarter" else 1
            month = (around.year * 12 + around.month - 1) // step * step - step
            while True:
                yield _in_month(month, rule.anchor)
                month += step


def _in_month(month: int, anchor: int) -> date:
    """month: since year 0. A month that is too short for the anchor gives its last day."""
    year, number = divmod(month, 12)
    return date(year, number + 1, min(anchor, monthrange(year, number + 1)[1]))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
