"""Turns points into charts: at most eight series and the rest as one, every interval present. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from control_plane.usage.selectors.series import Interval

MOST_SERIES = 8
OTHER = "other"

STEPS_S = {Interval.MINUTE: 60, Interval.HOUR: 3600, Interval.DAY: 86400}
"""Seconds of an interval; of a day, as long as most are."""

UNIT_MONEY = "money"
UNIT_COUNT = "count"


@dataclass(frozen=True, slots=True)
class Series:
    """One group over time. values: nano-USD or counts, one per interval of the chart."""

    label: str
    values: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that happened and may explain a step in the numbers."""

    start: datetime
    """Of the interval it falls into."""
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Series over the same intervals, highest total first, `other` last.

    behind: the address that lists what a bar is made of; the script adds the day.
    """

    unit: str
    zone: str
    starts: tuple[datetime, ...]
    step_s: int
    series: tuple[Series, ...]
    behind: str = ""
    flags: tuple[Flag, ...] = ()
    before: tuple[int, ...] = ()
    """The totals of the range to compare with, interval by interval; empty: it is not compared."""

    @property
    def totals(self) -> tuple[int, ...]:
        """The height of each bar."""
        return tuple(sum(values) for values in zip(*(one.values for one in self.series), strict=True)) or (0,) * len(
            self.starts
        )

    @property
    def total(self) -> int:
        return sum(one.total for one in self.series)

    @property
    def total_before(self) -> int:
        return sum(self.before)

    @property
    def is_empty(self) -> bool:
        return self.total == 0

    @property
    def peak(self) -> tuple[datetime, int] | None:
        """The tallest bar. None: there is none."""
        if self.is_empty:
            return None
        return max(zip(self.starts, self.totals, strict=True), key=lambda bar: bar[1])

    @property
    def as_json(self) -> dict[str, object]:
        """What the script draws. Seconds since 1970; amounts stay whole numbers."""
        return {
            "zone": self.zone,
            "step": self.step_s,
            "times": [int(start.timestamp()) for start in self.starts],
            "series": [{"label": one.label, "values": list(one.values)} for one in self.series],
            "behind": self.behind,
            "before": list(self.before),
            "flags": [
                {"time": int(flag.start.timestamp()), "label": flag.label, "address": flag.address}
                for flag in self.flags
            ],
        }


def interval_starts(since: datetime, until: datetime, interval: Interval, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Every minute, hour or day of a range, so that quiet ones stand as zeros. Days follow the clock of the zone."""
    starts: list[datetime] = []
    if interval in (Interval.MINUTE, Interval.HOUR):
        # Counted in absolute time: a clock that jumps skips or repeats one of the wall's hours.
        moment = since.replace(second=0, microsecond=0)
        moment = moment if interval is Interval.MINUTE else moment.replace(minute=0)
        while moment.timestamp() < until.timestamp():
            starts.append(moment)
            moment = datetime.fromtimestamp(moment.timestamp() + STEPS_S[interval], zone)
        return tuple(starts)
    day = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        starts.append(day)
        day = (day + timedelta(days=1)).replace(tzinfo=zone)
    return tuple(starts)


def stacked(
    points: Iterable[tuple[datetime, str | None, int]],
    starts: Sequence[datetime],
    *,
    unit: str,
    zone: ZoneInfo,
    interval: Interval,
    behind: str = "",
    order: Sequence[str] = (),
) -> Chart:
    """Make a chart of (start, group's label, value). A group beyond the eighth, and what has no label, is `other`.

    order: the labels of a fixed few, all of which are shown in it, so that each keeps its colour whatever the range.
    Points before the first start or after the last interval are left out; equal labels are added up.
    """
    place = {int(start.timestamp()): number for number, start in enumerate(starts)}
    sums: dict[str, list[int]] = {}
    others: list[list[int]] = []
    for start, label, value in points:
        number = place.get(int(start.timestamp()))
        if number is None:
            number = _interval_of(start, starts)
        if number is None:
            continue
        if label is None:
            others = others or [[0] * len(starts)]
            others[0][number] += value
        else:
            sums.setdefault(label, [0] * len(starts))[number] += value
    if order:
        sums = {label: sums.get(label, [0] * len(starts)) for label in order} | sums
    ranked = list(sums.items()) if order else sorted(sums.items(), key=lambda item: (-sum(item[1]), item[0]))
    shown = [Series(label, tuple(values)) for label, values in ranked[:MOST_SERIES]]
    others += [values for _, values in ranked[MOST_SERIES:]]
    if others:
        shown.append(Series(OTHER, tuple(sum(values) for values in zip(*others, strict=True))))
    return Chart(unit, zone.key, tuple(starts), STEPS_S[interval], tuple(shown), behind)


def flagged(chart: Chart, events: Iterable[tuple[datetime, str, str]], *, many: str) -> Chart:
    """Add flags for (when, label, address), one per interval. many: the address that lists several of one interval."""
    by_interval: dict[int, list[tuple[str, str]]] = {}
    for moment, label, address in events:
        number = _interval_of(moment, chart.starts)
        if number is not None:
            by_interval.setdefault(number, []).append((label, address))
    flags = tuple(
        Flag(chart.starts[number], *(found[0] if len(found) == 1 else (f"{len(found)} changes of policy", many)))
        for number, found in sorted(by_interval.items())
    )
    return replace(chart, flags=flags)


def compared(chart: Chart, totals: Sequence[int]) -> Chart:
    """Draw a line of the range before over the bars: its first interval over the first, whatever the calendar says."""
    length = len(chart.starts)
    return replace(chart, before=tuple(totals[:length]) + (0,) * (length - len(totals)))


def sparkline(values: Sequence[int], width: int = 96, height: int = 28) -> str:
    """The points of an SVG polyline for a small shape without numbers; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    top = max(values) or 1
    step = width / (len(values) - 1)
    return " ".join(
        f"{number * step:.1f},{height - 1 - (height - 2) * value / top:.1f}" for number, value in enumerate(values)
    )


def _interval_of(moment: datetime, starts: Sequence[datetime]) -> int | None:
    """The interval a moment falls into: roll-ups of a zone that is not whole hours from UTC begin a little later."""
    for number, (start, following) in enumerate(pairwise(starts)):
        if start <= moment < following:
            return number
    return len(starts) - 1 if starts and starts[-1] <= moment else None
