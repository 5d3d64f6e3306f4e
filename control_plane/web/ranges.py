"""Time ranges of pages, in the reader's zone, with the range before them to compare with. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from control_plane.usage.selectors.series import Interval

LONGEST_DAYS = 400


@dataclass(frozen=True, slots=True)
class TimeRange:
    """since (inclusive) to until (exclusive). name: what the address says; empty for days chosen by hand."""

    name: str
    label: str
    since: datetime
    until: datetime
    before_since: datetime
    """Where the range to compare with begins; it ends so long after as this one has lasted."""
    before_label: str

    @property
    def nothing_before(self) -> str:
        """What is said where there is nothing to compare with."""
        return f"nothing {'in the ' if self.before_label.startswith('previous') else ''}{self.before_label}"

    @property
    def before_until(self) -> datetime:
        return self.before_since + (self.until - self.since)

    @property
    def interval(self) -> Interval:
        """Points narrow enough to see a shape, few enough to read."""
        return Interval.HOUR if self.until - self.since <= timedelta(days=2) else Interval.DAY

    @property
    def first_day(self) -> date:
        return self.since.date()

    @property
    def last_day(self) -> date:
        return (self.until - timedelta(microseconds=1)).date()


NAMED = (
    ("today", "Today"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("month", "This month"),
    ("90d", "90 days"),
)


def read_range(name: str, from_day: str, to_day: str, *, now: datetime, zone: ZoneInfo, default: str) -> TimeRange:
    """What the address asks for. Days chosen by hand win; what cannot be read falls back to the default."""
    local = now.astimezone(zone)
    chosen = _chosen(from_day, to_day, zone)
    if chosen is not None:
        return chosen
    names = [known for known, _ in NAMED]
    return _named(name if name in names else default, local, zone)


def month_start(zone: ZoneInfo, now: datetime) -> datetime:
    """When this month began in a zone."""
    return _named("month", now.astimezone(zone), zone).since


def today(now: datetime, zone: ZoneInfo) -> TimeRange:
    return _named("today", now.astimezone(zone), zone)


def _named(name: str, local: datetime, zone: ZoneInfo) -> TimeRange:
    label = dict(NAMED)[name]
    if name == "today":
        since = midnight(local.date(), zone)
        return TimeRange(
            name, label, since, local, midnight(local.date() - timedelta(days=1), zone), "yesterday by this time"
        )
    if name == "month":
        first = local.date().replace(day=1)
        month_before = (first - timedelta(days=1)).replace(day=1)
        return TimeRange(
            name, label, midnight(first, zone), local, midnight(month_before, zone), "last month by this time"
        )
    days = int(name.removesuffix("d"))
    since = midnight(local.date() - timedelta(days=days - 1), zone)
    before = midnight(local.date() - timedelta(days=2 * days - 1), zone)
    return TimeRange(name, label, since, local, before, f"previous {days} days")


def _chosen(from_day: str, to_day: str, zone: ZoneInfo) -> TimeRange | None:
    try:
        first, last = date.fromisoformat(from_day), date.fromisoformat(to_day)
    except ValueError:
        return None
    if last < first:
        first, last = last, first
    first = max(first, last - timedelta(days=LONGEST_DAYS - 1))
    days = (last - first).days + 1
    return TimeRange(
        "",
        f"{first:%d %b %Y} – {last:%d %b %Y}" if first != last else f"{first:%d %b %Y}",
        midnight(first, zone),
        midnight(last + timedelta(days=1), zone),
        midnight(first - timedelta(days=days), zone),
        f"previous {days} days" if days > 1 else "the day before",
    )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
