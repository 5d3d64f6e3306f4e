"""How often the truth ends inside the 80 % band: on series shaped like the product's traffic and on real ones.

Each month's end is held out and forecast from several days of the month, as the hourly task would at noon. The figures
are printed: `pytest tests/control_plane/forecasts/test_coverage.py -s`.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from control_plane.forecasts.bootstrap import NoOutlook, outlook
from control_plane.forecasts.history import LOOKED_BACK_DAYS
from control_plane.forecasts.series import DaySpend, History
from tests.control_plane.forecasts.shapes import SHAPES, Day, pipeline, series, total

DATA = Path(__file__).parent / "data"
ASKED_ON = (3, 9, 16, 23)
REAL = {
    "nycflights13_delay_minutes_2013.csv": ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL"),
    "bikeshare_rides_2011.csv": ("casual", "registered"),
    "chicago_station_entries_2012_2013.csv": ("Quincy_Wells", "Clark_Lake", "Addison"),
}
SEEDS = 8


@dataclass(frozen=True, slots=True)
class Tally:
    """Ends inside, below and above the band, and questions that got no band; errors: |P50 - end| by the month's end."""

    inside: int = 0
    below: int = 0
    above: int = 0
    without: int = 0
    errors: tuple[float, ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.inside + other.inside,
            self.below + other.below,
            self.above + other.above,
            self.without + other.without,
            self.errors + other.errors,
        )

    @property
    def asked(self) -> int:
        return self.inside + self.below + self.above

    @property
    def coverage(self) -> float:
        return self.inside / self.asked

    def __str__(self) -> str:
        middle = sorted(self.errors)[len(self.errors) // 2]
        return (
            f"{100 * self.coverage:5.1f} % of {self.asked:4d} inside the 80 % band"
            f" ({self.below} below, {self.above} above; {self.without} without); median error {100 * middle:.1f} %"
        )


def held_out(days: Sequence[Day]) -> Tally:
    """Forecast the ends of all months of a series that are known whole."""
    tally = Tally()
    for place, today in enumerate(days):
        ahead = (next_month(today.day) - today.day).days - 1
        if today.day.day not in ASKED_ON or place + ahead >= len(days):
            continue
        past = days[max(0, place - LOOKED_BACK_DAYS) : place]
        history = History.of(today.day, [DaySpend(day.spent, day.early) for day in past], today.early)
        found = outlook(history, ahead)
        if isinstance(found, NoOutlook):
            tally += Tally(without=1)
            continue
        truth = total(days[place : place + ahead + 1]) - today.early
        month = truth + today.early + total(days[max(0, place - today.day.day + 1) : place])
        error = abs(found.end.p50 - truth) / max(1, month)
        low, high = truth < found.end.p10, truth > found.end.p90
        tally += Tally(not (low or high), low, high, errors=(error,))
    return tally


def next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def real_series(name: str, column: str) -> list[Day]:
    with (DATA / name).open() as file:
        rows = list(csv.DictReader(file))
    # What a file does not say of the morning is taken to be none of it: then the whole day is still to come.
    return [
        Day(date.fromisoformat(row["date"]), int(row[column]) * 1000, int(row.get(f"{column}_by_noon") or 0) * 1000)
        for row in rows
    ]


def show(title: str, tally: Tally) -> None:
    print(f"\n{title:42s} {tally}", end="")


def test_on_series_shaped_like_the_traffic_of_coding_agents() -> None:
    everything = Tally()
    for name, shape in SHAPES.items():
        tally = sum((held_out(series(shape, f"{name} {seed}")) for seed in range(SEEDS)), Tally())
        show(f"generated: {name}", tally)
        everything += tally
    jobs = sum((held_out(pipeline(f"job {seed}")) for seed in range(SEEDS)), Tally())
    show("generated: CI job", jobs)
    everything += jobs
    show("generated, all", everything)
    assert 0.70 <= everything.coverage <= 0.90


@pytest.mark.parametrize("name", REAL)
def test_on_the_held_out_ends_of_real_months(name: str) -> None:
    tally = sum((held_out(real_series(name, column)) for column in REAL[name]), Tally())
    show(f"real: {name}", tally)
    assert 0.70 <= tally.coverage <= 0.90
