"""Time ranges of pages, in the reader's zone, with the range before them to compare with. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from control_plane.usage.selectors.series import Interval

LONGEST_DAYS = 400
MINUTES_UP_TO = timedelta(hours=3)


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
        return f"nothing {self.in_before}"

    @property
    def in_before(self) -> str:
        """When that was, as it follows a number: "in the previous 7 days", "yesterday by this time"."""
        return f"in the {self.before_label}" if self.before_label.startswith("previous") else self.before_label

    @property
    def before_until(self) -> datetime:
        return self.before_since + (self.until - self.since)

    @property
    def interval(self) -> Interval:
        """Points narrow enough to see a shape, few enough to read."""
        lasts = self.until - self.since
        if lasts <= MINUTES_UP_TO:
            return Interval.MINUTE
        return Interval.HOUR if lasts <= timedelta(days=2) else Interval.DAY

    @property
    def zone_name(self) -> str:
        """The reader's zone as it stands beside a range: by its place, which is the same in summer and winter."""
        return self.since.tzinfo.key if isinstance(self.since.tzinfo, ZoneInfo) else "UTC"

    @property
    def query(self) -> str:
        """How addresses name it, so that what lies behind a page is asked for over the same range."""
        return urlencode({"range": self.name} if self.name else {"from": self.from_text, "to": self.to_text})

    @property
    def is_rolling(self) -> bool:
        """It ends now, and is another one in a minute."""
        return self.name in _HOURS

    @property
    def from_text(self) -> str:
        """As the fields of the picker take it: to the minute."""
        return f"{self.since:%Y-%m-%dT%H:%M}"

    @property
    def to_text(self) -> str:
        return f"{self.until:%Y-%m-%dT%H:%M}"

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
"""The ranges that stand on a page; the rest are behind its picker."""
MORE = (
    ("1h", "Last hour"),
    ("6h", "Last 6 hours"),
    ("24h", "Last 24 hours"),
    ("yesterday", "Yesterday"),
    ("last-month", "Last month"),
    ("year", "This year"),
    ("365d", "365 days"),
)
_HOURS = {"1h": 1, "6h": 6, "24h": 24}
_LABELS = dict((*NAMED, *MORE))


def read_range(name: str, from_text: str, to_text: str, *, now: datetime, zone: ZoneInfo, default: str) -> TimeRange:
    """What the address asks for. Days or minutes chosen by hand win; what cannot be read falls back to the default.

    from_text, to_text: days, both whole (`2026-11-03`), or minutes in the reader's zone (`2026-11-03T14:30`).
    """
    local = now.astimezone(zone)
    chosen = _chosen(from_text, to_text, zone) or _chosen_minutes(from_text, to_text, zone)
    if chosen is not None:
        return chosen
    return _named(name if name in _LABELS else default, local, zone)


def month_start(zone: ZoneInfo, now: datetime) -> datetime:
    """When this month began in a zone."""
    return _named("month", now.astimezone(zone), zone).since


def today(now: datetime, zone: ZoneInfo) -> TimeRange:
    return _named("today", now.astimezone(zone), zone)


def this_month(now: datetime, zone: ZoneInfo) -> TimeRange:
    return _named("month", now.astimezone(zone), zone)


def _named(name: str, local: datetime, zone: ZoneInfo) -> TimeRange:
    label = _LABELS[name]
    if hours := _HOURS.get(name):
        since = _earlier(local, hours)
        return TimeRange(
            name, label, since, local, _earlier(since, hours), f"the {label.lower().removeprefix('last ')} before"
        )
    if name == "yesterday":
        until = midnight(local.date(), zone)
        since = midnight(local.date() - timedelta(days=1), zone)
        return TimeRange(name, label, since, until, midnight(local.date() - timedelta(days=2), zone), "the day before")
    if name == "last-month":
        until = midnight(local.date().replace(day=1), zone)
        since = _month_before(until, zone)
        return TimeRange(name, label, since, until, _month_before(since, zone), "the month before")
    if name == "year":
        first = local.date().replace(month=1, day=1)
        return TimeRange(
            name,
            label,
            midnight(first, zone),
            local,
            midnight(first.replace(year=first.year - 1), zone),
            "last year by this time",
        )
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
        f"{first:%-d %b %Y} – {last:%-d %b %Y}" if first != last else f"{first:%-d %b %Y}",
        midnight(first, zone),
        midnight(last + timedelta(days=1), zone),
        midnight(first - timedelta(days=days), zone),
        f"previous {days} days" if days > 1 else "the day before",
    )


def _chosen_minutes(from_text: str, to_text: str, zone: ZoneInfo) -> TimeRange | None:
    """Minutes as a page's picker or a drag over a chart writes them; one end may be a whole day."""
    try:
        since, until = (datetime.fromisoformat(text) for text in (from_text, to_text))
    except ValueError:
        return None
    since, until = (
        moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone) for moment in (since, until)
    )
    if until < since:
        since, until = until, since
    since = max(since, until - timedelta(days=LONGEST_DAYS))
    if until.timestamp() - since.timestamp() < 60:
        until = since + timedelta(minutes=1)
    same_day = since.date() == until.date()
    label = f"{since:%-d %b %H:%M} – {until:%H:%M}" if same_day else f"{since:%-d %b %H:%M} – {until:%-d %b %H:%M}"
    return TimeRange("", label, since, until, since - (until - since), "the same time before")


def _earlier(moment: datetime, hours: int) -> datetime:
    """So many hours before, by the clock that never jumps."""
    return datetime.fromtimestamp(moment.timestamp() - hours * 3600, moment.tzinfo)


def _month_before(moment: datetime, zone: ZoneInfo) -> datetime:
    return midnight((moment.date() - timedelta(days=1)).replace(day=1), zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
