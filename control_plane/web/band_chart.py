"""Draws a period with its band: geometry for `components/band_chart.html`. Pure.

Shapes live in a square of 1000 that stretches with the page; words stand beside it by per cent, so that they do not
stretch. Without a script: each day tells its numbers on hover, and a table carries the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from control_plane.forecasts.burn_down import BurnDown, Line
from control_plane.web import numbers
from switchyard_contract.quantity import NANO_PER_USD

SIDE = 1000
MOST_TICKS = 6
ROOM_PERCENT = 7.0
"""So far apart, in per cent of the height, two labels must be to be read."""
LIMIT_FITS = 4
"""A limit further away than so many times what is drawn would flatten everything; it is told in words instead."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A label at a share of the chart's width or height. at: "41.20%"."""

    at: str
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class StageLine:
    """y: within the square; label_at: per cent of the height, empty where there is no room for words."""

    y: str
    label_at: str
    text: str
    is_block: bool


@dataclass(frozen=True, slots=True)
class Column:
    """One day that tells its numbers on hover."""

    x: str
    width: str
    text: str


@dataclass(frozen=True, slots=True)
class DayRow:
    """One row of the table behind the chart: cumulative. None: not that side of today."""

    at: datetime
    spent: int | None
    p10: int | None = None
    p50: int | None = None
    p90: int | None = None


@dataclass(frozen=True, slots=True)
class BandChart:
    """Paths of a burn-down, its lines and labels; the sentence says it to those who do not see it."""

    spent: str
    spent_area: str
    band: str
    median: str
    now: str
    lines: tuple[StageLine, ...]
    x_marks: tuple[Mark, ...]
    y_marks: tuple[Mark, ...]
    columns: tuple[Column, ...]
    rows: tuple[DayRow, ...]
    sentence: str
    above: str
    """Where the limit lies, if it is too far up to be drawn."""


def band_chart(shown: BurnDown, *, subject: str) -> BandChart:
    """Lay out a period. subject: what it is about, for the sentence."""
    top = _top(shown)
    place = _Place(shown, top)
    spent = [(place.x(one.at), place.y(one.nano_usd)) for one in shown.curve.spent]
    upper = [(place.x(one.at), place.y(one.p90)) for one in shown.curve.heading]
    lower = [(place.x(one.at), place.y(one.p10)) for one in shown.curve.heading]
    median = [(place.x(one.at), place.y(one.p50)) for one in shown.curve.heading]
    rows = _rows(shown)
    return BandChart(
        spent=_path(spent),
        spent_area=_path([*spent, (spent[-1][0], SIDE), (spent[0][0], SIDE)], closed=True) if spent else "",
        band=_path([*upper, *reversed(lower)], closed=True),
        median=_path(median),
        now=f"{place.x(shown.as_of):.1f}",
        lines=_lines(shown, place),
        x_marks=_x_marks(shown, place),
        y_marks=_y_marks(top, place),
        columns=_columns(rows, shown, place),
        rows=rows,
        sentence=_sentence(shown, subject),
        above=_above(shown, top),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    shown: BurnDown
    top: int

    def share(self, at: datetime) -> float:
        whole = (self.shown.ends_at - self.shown.starts_at).total_seconds()
        return min(1.0, max(0.0, (at - self.shown.starts_at).total_seconds() / whole))

    def x(self, at: datetime) -> float:
        return SIDE * self.share(at)

    def y(self, nano_usd: int) -> float:
        return SIDE * (1 - min(1.0, max(0.0, nano_usd / self.top)))


def _top(shown: BurnDown) -> int:
    """What the upper edge stands for."""
    highest = max(
        [1, *(one.p90 for one in shown.curve.heading), *(one.nano_usd for one in shown.curve.spent)],
    )
    if shown.limit_nano_usd is not None and shown.limit_nano_usd <= highest * LIMIT_FITS:
        highest = max(highest, *(line.nano_usd for line in shown.lines), shown.limit_nano_usd)
    return max(1, round(highest * 1.08))


def _path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    if len(points) < 2:
        return ""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def _lines(shown: BurnDown, place: _Place) -> tuple[StageLine, ...]:
    found: list[StageLine] = []
    lowest = None
    for line in sorted(_drawn(shown, place.top), key=lambda one: -one.nano_usd):
        y = place.y(line.nano_usd)
        percent = 100 * y / SIDE
        has_room = lowest is None or percent - lowest >= ROOM_PERCENT
        lowest = percent if has_room else lowest
        text = f"{line.at_percent} % {numbers.money(line.nano_usd)}"
        found.append(StageLine(f"{y:.1f}", f"{percent:.2f}%" if has_room else "", text, line.action == "block"))
    return tuple(found)


def _drawn(shown: BurnDown, top: int) -> list[Line]:
    lines = list(shown.lines)
    if shown.limit_nano_usd is not None and all(line.nano_usd != shown.limit_nano_usd for line in lines):
        lines.append(Line(100, "limit", shown.limit_nano_usd))
    return [line for line in lines if line.nano_usd <= top]


def _above(shown: BurnDown, top: int) -> str:
    if shown.limit_nano_usd is None or shown.limit_nano_usd <= top:
        return ""
    return f"The limit of {numbers.money(shown.limit_nano_usd)} lies above the picture."


def _x_marks(shown: BurnDown, place: _Place) -> tuple[Mark, ...]:
    zone = ZoneInfo(shown.zone)
    is_day = shown.ends_at - shown.starts_at <= timedelta(days=1, hours=1)
    starts = _ticks(shown, zone)
    step = max(1, -(-len(starts) // MOST_TICKS))
    written = "%H:%M" if is_day else "%-d %b"
    return tuple(
        Mark(f"{100 * place.share(at):.2f}%", f"{at.astimezone(zone):{written}}", "start" if number == 0 else "middle")
        for number, at in enumerate(starts[::step])
        if place.share(at) < 0.96
    )


def _ticks(shown: BurnDown, zone: ZoneInfo) -> list[datetime]:
    step = timedelta(hours=1) if shown.ends_at - shown.starts_at <= timedelta(days=1, hours=1) else timedelta(days=1)
    found, local = [], shown.starts_at.astimezone(zone)
    while local < shown.ends_at:
        found.append(local)
        local = (local.replace(tzinfo=None) + step).replace(tzinfo=zone)
    return found


def _y_marks(top: int, place: _Place) -> tuple[Mark, ...]:
    """Round amounts, at most five."""
    step = _round_step(top)
    amounts = range(0, top + 1, step)
    return tuple(Mark(f"{100 * place.y(amount) / SIDE:.2f}%", axis_money(amount), "end") for amount in amounts)


def _round_step(top: int) -> int:
    """1, 2 or 5 times a power of ten, so that there are three to five steps."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power * 5 >= top:
                return factor * power
        power *= 10


def axis_money(nano_usd: int) -> str:
    """$12.4k; $250; $0.05."""
    dollars = nano_usd / NANO_PER_USD
    if dollars >= 1000:
        return f"${dollars / 1000:g}k"
    return f"${dollars:g}"


def _rows(shown: BurnDown) -> tuple[DayRow, ...]:
    spent = [DayRow(one.at, one.nano_usd) for one in shown.curve.spent[1:]]
    return (*spent, *(DayRow(one.at, None, one.p10, one.p50, one.p90) for one in shown.curve.heading[1:]))


def _columns(rows: Sequence[DayRow], shown: BurnDown, place: _Place) -> tuple[Column, ...]:
    zone = ZoneInfo(shown.zone)
    found = []
    edges = [shown.starts_at, *(row.at for row in rows)]
    for (before, until), row in zip(pairwise(edges), rows, strict=True):
        x = place.x(before)
        # A row stands at a day's end, which is the next one's midnight.
        until_text = f"{(until - timedelta(seconds=1)).astimezone(zone):%a %-d %b}"
        found.append(Column(f"{x:.1f}", f"{max(0.0, place.x(until) - x):.1f}", f"{until_text}: {_amounts(row)}"))
    return tuple(found)


def _amounts(row: DayRow) -> str:
    if row.spent is not None:
        return f"{numbers.money(row.spent)} spent so far"
    assert row.p10 is not None
    assert row.p50 is not None
    assert row.p90 is not None
    return f"{numbers.money(row.p50)} expected, {numbers.money(row.p10)} to {numbers.money(row.p90)}"


def _sentence(shown: BurnDown, subject: str) -> str:
    text = f"{subject}: {numbers.money(shown.spent_nano_usd)} spent so far"
    if shown.end is not None:
        low, middle, high = (numbers.money(value) for value in (shown.end.p10, shown.end.p50, shown.end.p90))
        text += f"; the end is expected at {middle}, between {low} and {high} in 8 of 10 cases"
    if shown.limit_nano_usd is not None:
        text += f"; the limit is {numbers.money(shown.limit_nano_usd)}"
    return f"{text}."
