"""Forecasts as pages show them: a row with its state in a word, a picture, drivers by name, the score in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from control_plane.budgets.models import Budget
from control_plane.forecasts.burn_down import BurnDown
from control_plane.forecasts.drivers import Driver
from control_plane.forecasts.models import FindingState, Forecast, UnusualMute, UnusualSpend
from control_plane.forecasts.selectors import Score, burn_downs_of, counter_forecasts
from control_plane.forecasts.told import counter_texts, driver_name, names_for
from control_plane.forecasts.words import day_words, drivers_words, none_words, usual_words
from control_plane.usage.selectors.names import Names
from control_plane.web import numbers
from control_plane.web.band_chart import BandChart, band_chart

MAY_PASS_PERCENT = 10
"""From so many courses in a hundred on it is said that a limit may be passed."""
KIND_WORDS = {
    "user": "person",
    "service_account": "service account",
    "team": "team",
    "model": "model",
    "client": "tool",
}


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """One forecast in a list."""

    forecast: Forecast
    name: str
    whose: str
    """The counter in words; empty: everybody's together."""

    @property
    def is_spent(self) -> bool:
        limit = self.forecast.limit_nano_usd
        return limit is not None and self.forecast.spent_nano_usd >= limit

    @property
    def tone(self) -> str:
        if self.is_spent:
            return "stopped"
        if not self.forecast.has_band and self.forecast.over_percent is None:
            return "off"
        return "look" if (self.forecast.over_percent or 0) >= MAY_PASS_PERCENT else "works"

    @property
    def word(self) -> str:
        if self.is_spent:
            return "spent"
        over = self.forecast.over_percent
        if over is None:
            return "no limit" if self.forecast.has_band else "no band"
        if self.forecast.ends_at is None:
            return "runs out" if over >= MAY_PASS_PERCENT else "lasts"
        if over > 50:
            return "passes its limit"
        return "may pass" if over >= MAY_PASS_PERCENT else "holds"

    @property
    def passes_text(self) -> str:
        """When the limit is reached: `around Tuesday the 24th`; empty: not in most cases."""
        zone = ZoneInfo(self.forecast.timezone)
        if self.is_spent:
            return "reached"
        if (at := self.forecast.spent_p50_at) is not None:
            return f"around {day_words(at, zone, seen_from=self.forecast.as_of)}"
        if (at := self.forecast.spent_p10_at) is not None:
            return f"{day_words(at, zone, seen_from=self.forecast.as_of)} at the earliest"
        return ""

    @property
    def chance_text(self) -> str:
        """`73 % of cases, around Friday the 27th`; of one that is reached already: so."""
        over = self.forecast.over_percent
        if self.is_spent:
            return "reached already"
        if not over:
            return "–" if over is None else "in no case"
        return f"{over} % of cases{f', {self.passes_text}' if self.passes_text else ''}"

    @property
    def has_drivers(self) -> bool:
        """A day has none, nor what never begins anew: there is no period before to compare with."""
        return self.forecast.period_unit not in ("day", "lifetime")

    @property
    def none_text(self) -> str:
        return none_words(self.forecast.why_none, self.forecast.days_needed)[0] if self.forecast.why_none else ""

    @property
    def none_follows(self) -> str:
        return none_words(self.forecast.why_none, self.forecast.days_needed)[1] if self.forecast.why_none else ""

    @property
    def sentence(self) -> str:
        """What is so, and what follows."""
        row, money = self.forecast, numbers.money
        if row.p10_nano_usd is None or row.p50_nano_usd is None or row.p90_nano_usd is None:
            if row.ends_at is None and self.passes_text:
                return f"At this pace its {money(row.limit_nano_usd or 0)} are spent {self.passes_text} (P50)."
            return f"{money(row.spent_nano_usd)} spent so far. {self.none_text}: {self.none_follows}"
        band = f"{money(row.p10_nano_usd)} to {money(row.p90_nano_usd)} in 8 of 10 cases"
        text = f"The {row.period_unit} is heading for {money(row.p50_nano_usd)} (P50), {band}."
        if row.is_over and not self.is_spent and row.spent_p50_at is not None:
            text = f"{self.name} passes its limit {self.passes_text} (P50). {text}"
        drivers = [Driver.from_json(stored) for stored in row.drivers]
        return f"{text} {drivers_words(drivers, expected=row.p50_nano_usd, previous=row.previous_nano_usd)}".rstrip()

    @property
    def change_text(self) -> str:
        """+18 % vs the period before ($214 → $253); empty: that is not known."""
        row = self.forecast
        if not row.previous_nano_usd or row.p50_nano_usd is None:
            return ""
        before, ahead = row.previous_nano_usd, row.p50_nano_usd
        return f"{numbers.change(ahead, before)} vs the {row.period_unit} before ({numbers.money(before)})"


@dataclass(frozen=True, slots=True)
class DriverRow:
    """One driver by its name of today."""

    driver: Driver
    name: str

    @property
    def kind(self) -> str:
        return KIND_WORDS[self.driver.kind]

    @property
    def growth_text(self) -> str:
        return numbers.change(self.driver.expected_nano_usd, self.driver.previous_nano_usd)


@dataclass(frozen=True, slots=True)
class FindingRow:
    """An unusual day in words: 9x their usual Tuesday, $84 against $9, mostly claude-opus."""

    finding: UnusualSpend
    name: str
    may_mute: bool = False
    """Whether the reader may mute whom it is of; not where that stands already."""

    @property
    def headline(self) -> str:
        one = self.finding
        usual = usual_words(one.day, one.compared)
        return f"{one.times:.0f}× their {usual}" if one.times >= 2 else f"far above their {usual}"

    @property
    def explained(self) -> str:
        one, money = self.finding, numbers.money
        text = f"{money(one.spent_nano_usd)} against {money(one.usual_nano_usd)}"
        if one.model and one.model_nano_usd * 2 >= one.spent_nano_usd:
            text += f", mostly {one.model}"
        if one.session_id and one.session_nano_usd * 2 >= one.spent_nano_usd:
            text += f", {money(one.session_nano_usd)} of it in one session"
        return f"{text}. Compared with {one.compared_days} days; the line was {money(one.line_nano_usd)}."

    @property
    def is_open(self) -> bool:
        return self.finding.state == FindingState.OPEN


@dataclass(frozen=True, slots=True)
class MuteRow:
    """Somebody of whose unusual days nobody is told."""

    mute: UnusualMute
    name: str
    may_lift: bool


def forecast_rows(organization_id: UUID, rows: Sequence[Forecast]) -> list[ForecastRow]:
    """With names of counters: a query for each kind of name."""
    texts = counter_texts(organization_id, rows)
    return [ForecastRow(row, row.budget_name or "Organization", texts[row.id]) for row in rows]


def picture_of(row: Forecast, *, subject: str) -> BandChart | None:
    """Its period with the band; None: the course is not kept any more."""
    shown: Mapping[UUID, BurnDown] = burn_downs_of([row])
    return band_chart(shown[row.id], subject=subject) if row.id in shown else None


def driver_rows(row: Forecast) -> list[DriverRow]:
    drivers = [Driver.from_json(stored) for stored in row.drivers]
    names: Names = names_for(row.organization_id, drivers)
    return [DriverRow(one, driver_name(one, names)) for one in drivers]


def score_text(score: Score) -> str:
    """`Of the last 40 forecasts 82 % ended inside the band.`"""
    if not score.forecasts:
        return "No period that was forecast is over yet, so there is no score. It is shown here from the first one on."
    if score.forecasts == 1:
        ended = "inside" if score.inside else "outside"
        return f"One forecast is scored so far: it ended {ended} the band, {score.error_percent} % from P50."
    return (
        f"Of the last {score.forecasts} forecasts {score.inside_percent} % ended inside the band (80 % ought to);"
        f" P50 was {score.error_percent} % off in the middle."
    )


def forecast_context(budget: Budget, counters: Sequence[str]) -> dict[str, Any]:
    """What a budget's page shows of its forecasts: that of the counter in most danger among those on the page."""
    wanted = counters if budget.per else [""]
    found = list(counter_forecasts(budget.organization_id, budget.id, wanted).values())
    if not found:
        return {}
    worst = max(found, key=lambda row: (row.over_percent or -1, row.spent_nano_usd))
    (row,) = forecast_rows(budget.organization_id, [worst])
    subject = f"{budget.name}, {row.whose}" if row.whose else budget.name
    return {"heading_for": row, "picture": picture_of(worst, subject=subject), "forecast_count": len(found)}
