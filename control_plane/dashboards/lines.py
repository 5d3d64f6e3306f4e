"""Charts of lines over time: values that do not add up, such as latencies, sums so far and forecasts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from control_plane.dashboards.charts import Flag

UNIT_DURATION = "duration"
"""Microseconds."""
UNIT_SHARE = "share"
"""Thousandths."""

Values = tuple[int | None, ...]
"""One per instant; None: nothing is known of it, so the line has a gap there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. color: its place in the order of the chart's colours; is_dashed: expected, or to compare with."""

    label: str
    values: Values
    color: int = 0
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between two edges: where a forecast expects the line to be."""

    label: str
    low: Values
    high: Values
    color: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A level across the whole chart, such as a budget's stage. tone: look, stopped or off."""

    label: str
    value: int
    tone: str = "off"


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over the same instants; `components/lines.html` draws it, as_json is what the script reads.

    behind: the address that lists what an instant is made of; empty: nothing does.
    """

    unit: str
    zone: str
    starts: tuple[datetime, ...]
    step_s: int
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    behind: str = ""
    flags: tuple[Flag, ...] = ()

    @property
    def is_empty(self) -> bool:
        return all(value is None for line in self.lines for value in line.values)

    @property
    def newest(self) -> tuple[tuple[Line, int | None], ...]:
        """Each line with its value at one instant, the newest of which any is known: beside each other, values of two
        instants would be read as those of one."""
        at = max(
            (
                place
                for line in self.lines
                if not line.is_dashed
                for place, value in enumerate(line.values)
                if value is not None
            ),
            default=None,
        )
        return tuple((line, None if at is None else line.values[at]) for line in self.lines)

    @property
    def rows(self) -> list[tuple[datetime, tuple[int | None, ...]]]:
        """The chart as a table: an instant and the value of each line there, the newest first."""
        columns = [line.values for line in self.lines]
        return list(reversed(list(zip(self.starts, zip(*columns, strict=True), strict=True)))) if columns else []

    @property
    def as_json(self) -> dict[str, object]:
        """What the script draws. Seconds since 1970; amounts stay whole numbers."""
        return {
            "kind": "lines",
            "zone": self.zone,
            "step": self.step_s,
            "times": [int(start.timestamp()) for start in self.starts],
            "lines": [
                {"label": line.label, "values": list(line.values), "color": line.color, "dashed": line.is_dashed}
                for line in self.lines
            ],
            "bands": [
                {"label": band.label, "low": list(band.low), "high": list(band.high), "color": band.color}
                for band in self.bands
            ],
            "marks": [{"label": mark.label, "value": mark.value, "tone": mark.tone} for mark in self.marks],
            "behind": self.behind,
            "flags": [
                {"time": int(flag.start.timestamp()), "label": flag.label, "address": flag.address}
                for flag in self.flags
            ],
        }


def line_chart(
    unit: str,
    zone: ZoneInfo,
    starts: Sequence[datetime],
    step_s: int,
    lines: Sequence[Line],
    *,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    behind: str = "",
) -> LineChart:
    """Put lines together. Raises ValueError when one has not a value for each instant."""
    for values in (*(line.values for line in lines), *(edge for band in bands for edge in (band.low, band.high))):
        if len(values) != len(starts):
            raise ValueError(f"{len(values)} values for {len(starts)} instants")
    return LineChart(unit, zone.key, tuple(starts), step_s, tuple(lines), tuple(bands), tuple(marks), behind)
