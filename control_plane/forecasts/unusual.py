"""Whether a day's spend is unusual for somebody, by their own days before. Pure.

Spend of coding agents has heavy tails: a session costs $0.61 in the middle and $178 at one in a hundred
(`workload.md`). So a line of three times the usual would cry wolf every week. A day is unusual when it is above all of:
an amount worth a look, three times the middle of such days, six deviations above it (the median's, which one wild day
does not move), and twice as much as all but the wildest of their days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from control_plane.forecasts.series import History
from switchyard_contract.quantity import NANO_PER_USD

LEAST_NANO_USD = 10 * NANO_PER_USD
LEAST_TIMES = 3
LEAST_DEVIATIONS = 6
NORMAL = 1.4826
"""Median deviations in a standard one."""
LEAST_WEEKDAYS = 4
LEAST_DAYS = 7
WILD_PER_CENT = 3
ABOVE_WILD_PER_MILLE = 2000

WEEKDAY, KIND, ANY = "weekday", "kind", "days"


@dataclass(frozen=True, slots=True)
class Judgement:
    """usual: the middle of the days it is compared with. compared: the same weekday, days of work or weekends, or all
    days on which anything was spent."""

    is_unusual: bool
    usual: int
    line: int
    compared: str
    days: int


def judge_day(history: History, spent: int) -> Judgement | None:
    """Judge what was spent on the day after a history's last. None: the days before are too few to say."""
    found = _alike(history)
    if found is None:
        return None
    compared, alike = found
    usual = median(alike)
    deviation = NORMAL * median(abs(amount - usual) for amount in alike)
    active = sorted(day.nano_usd for day in history.days if day.nano_usd > 0)
    wild = active[min(len(active) - 1, len(active) * (100 - WILD_PER_CENT) // 100)]
    line = max(
        LEAST_NANO_USD, LEAST_TIMES * usual, usual + LEAST_DEVIATIONS * deviation, wild * ABOVE_WILD_PER_MILLE / 1000
    )
    return Judgement(spent >= line, round(usual), round(line), compared, len(alike))


def _alike(history: History) -> tuple[str, Sequence[int]] | None:
    """Days on which anything was spent: a holiday says nothing about how much work costs."""
    n = len(history.days)
    active = [(place, day.nano_usd) for place, day in enumerate(history.days) if day.nano_usd > 0]
    if len(active) < LEAST_DAYS:
        return None
    same = [amount for place, amount in active if (n - place) % 7 == 0]
    if len(same) >= LEAST_WEEKDAYS:
        return WEEKDAY, same
    kind = [amount for place, amount in active if history.is_work_day(place) == history.is_work_day(n)]
    if len(kind) >= LEAST_DAYS:
        return KIND, kind
    return ANY, [amount for _, amount in active]
