"""Where a period's spend is heading: a bootstrap over days that knows weekdays. Pure.

A *course* is one way the rest of the period may go: for each day to come a day that was, of the same weekday, taken in
runs as they followed one another, recent weeks more often. Days that were are first lifted to today's level by the
trend, as far as the weeks prove one, and each course as a whole is moved up or down by as much as weeks have differed
from what the weeks before them said. The tenth, fiftieth and ninetieth of a hundred courses are the band.

Chance is drawn from the date and the shape of the question alone, so the same question has the same answer, and every
series of a day is looked at along the same courses: that is what makes ten thousand of them cheap.
Source: docs/decisions/0163-a-bootstrap-over-weeks.md
"""

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from operator import mul
from statistics import NormalDist

from control_plane.forecasts.series import WORK_DAYS, History

COURSES = 300
LEAST_DAYS = 3
"""Before so many days nothing is said."""
LEAST_ACTIVE = 3
"""So many days must have spent something."""
QUIET_SHARE = 0.2
"""With fewer of the last days spending, what comes next is chance."""
LOOKED_AT_DAYS = 28
STILL_DAYS = 14
"""After so many days without spend it is over, for all that days can tell."""
HALF_LIFE_WEEKS = 3.0
GOES_ON = 0.6
"""How often a course's next day is the one that really followed."""
TREND_WEEKS = 8
LEAST_TREND_WEEKS = 4
MOST_TREND = 0.12
"""Per week, as a logarithm: nothing is believed to grow faster."""
TREND_LASTS = 0.85
"""How much of a week's growth is left in the next one."""
ORDINARY_UNREST = 0.07
"""How much a week differs from those before it, as a logarithm, where few weeks tell."""
UNREST_WEEKS = 2.0
"""As many weeks as that opinion is worth."""
UNREST_SHARE = 0.9
"""How much of its variance is the level's: the rest is the days' own, which the courses have already."""
UNREST_DOUBLES_DAYS = 20
"""So far ahead the variance is twice that of the next day."""
MEMORY_WEEKS = 6
"""So many weeks' days the recent ones are worth, since older ones are drawn less often."""


class WhyNot(StrEnum):
    FEW_DAYS = "few_days"
    MOSTLY_QUIET = "mostly_quiet"
    NOTHING_SPENT = "nothing_spent"


@dataclass(frozen=True, slots=True)
class NoOutlook:
    """The days do not carry a band. days_needed: so many more would; 0: time alone does not help."""

    why: WhyNot
    days_needed: int = 0


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of 100 courses 10, 50 and 90 lie below."""

    p10: int
    p50: int
    p90: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is still to be spent, in nano-USD. by_day: sums from now to the end of today, of tomorrow, and so on;
    the last is the period's end. sums: every course at the end, ascending. reached: for each course the place of the
    day on which `room` is used up, ascending; a course that never gets there is left out."""

    by_day: tuple[Quantiles, ...]
    sums: tuple[int, ...]
    reached: tuple[int, ...] = ()

    @property
    def end(self) -> Quantiles:
        return self.by_day[-1]

    def reached_day(self, percent: int) -> int | None:
        """The day (0: today) by which the room is used up in so many of a hundred courses; None: in fewer."""
        place = math.ceil(len(self.sums) * percent / 100) - 1
        return self.reached[place] if place < len(self.reached) else None

    def share_above(self, room: int) -> float:
        """How many of the courses spend more than this."""
        return 1 - bisect_left(self.sums, room + 1) / len(self.sums)


def outlook(history: History, days_ahead: int, *, scale: float = 1.0, room: int | None = None) -> Outlook | NoOutlook:
    """Say how the days to come may go.

    days_ahead: whole days after today that the period still has. scale: what the series has to be multiplied with,
    where it only stands for another. room: what may still be spent before a limit.
    """
    if (refused := _refuse(history)) is not None:
        return refused
    trend = _trend(history)
    n = len(history.days)
    lift = [math.exp(trend * (n - place) / 7) * scale for place in range(n)]
    pool = [day.nano_usd * factor for day, factor in zip(history.days, lift, strict=True)]
    today = _today_like(history, trend)
    rest = [day.late_nano_usd * factor * today for day, factor in zip(history.days, lift, strict=True)]
    growth = _growth(trend, days_ahead)
    unrest = _unrest(history, trend, days_ahead)
    totals = []
    for places, move in _courses(history.today.toordinal(), n, days_ahead):
        level = math.exp(unrest * move)
        ahead = map(mul, growth, [pool[place] for place in places[1:]])
        totals.append([int(level * amount) for amount in accumulate(ahead, initial=rest[places[0]])])
    by_day = tuple(_quantiles(sorted(column)) for column in zip(*totals, strict=True))
    sums = tuple(sorted(total[-1] for total in totals))
    if room is None:
        return Outlook(by_day, sums)
    days = (bisect_left(total, max(0, room)) for total in totals)
    return Outlook(by_day, sums, tuple(sorted(day for day in days if day <= days_ahead)))


def expected(history: History, days_ahead: int) -> int:
    """What is still to be spent, in one number and cheaply: to compare many series with one another. 0: no telling."""
    found = outlook(history, days_ahead)
    return 0 if isinstance(found, NoOutlook) else found.end.p50


def _refuse(history: History) -> NoOutlook | None:
    days = history.days
    active = sum(day.nano_usd > 0 for day in days[-LOOKED_AT_DAYS:])
    if not days or not any(day.nano_usd > 0 for day in days[-STILL_DAYS:]):
        if history.today_nano_usd > 0:
            return NoOutlook(WhyNot.FEW_DAYS, LEAST_DAYS)
        return NoOutlook(WhyNot.NOTHING_SPENT)
    if len(days) < LEAST_DAYS:
        return NoOutlook(WhyNot.FEW_DAYS, LEAST_DAYS - len(days))
    if active < LEAST_ACTIVE:
        return NoOutlook(WhyNot.MOSTLY_QUIET if len(days) >= 7 else WhyNot.FEW_DAYS, LEAST_ACTIVE - active)
    if active < QUIET_SHARE * min(len(days), LOOKED_AT_DAYS):
        return NoOutlook(WhyNot.MOSTLY_QUIET)
    return None


def _weeks(history: History) -> list[int]:
    """Sums of seven days each, back from yesterday, the newest first; only whole ones."""
    days = history.days
    return [sum(day.nano_usd for day in days[end - 7 : end]) for end in range(len(days), 6, -7)]


def _trend(history: History) -> float:
    """Growth per week, as a logarithm: the slope of the last weeks, shrunk by how far they are from proving it."""
    weeks = [math.log(week) for week in _weeks(history)[:TREND_WEEKS] if week > 0]
    count = len(weeks)
    if count < LEAST_TREND_WEEKS:
        return 0.0
    middle, mean = (count - 1) / 2, sum(weeks) / count
    spread = sum((place - middle) ** 2 for place in range(count))
    slope = -sum((place - middle) * (week - mean) for place, week in enumerate(weeks)) / spread
    off = sum((week - mean + slope * (place - middle)) ** 2 for place, week in enumerate(weeks))
    error = off / (count - 2) / spread
    proved = slope * slope / (slope * slope + 4 * error + 1e-9)
    return max(-MOST_TREND, min(MOST_TREND, slope * proved))


def _growth(trend: float, days_ahead: int) -> list[float]:
    """What each day ahead is multiplied with: the trend goes on and tires."""
    whole, found = 0.0, []
    for day in range(1, days_ahead + 1):
        whole += trend / 7 * TREND_LASTS ** (day / 7)
        found.append(math.exp(whole))
    return found


def _unrest(history: History, trend: float, days_ahead: int) -> float:
    """How far the level may move, as a logarithm: by how much each week differed from the mean of those before it."""
    weeks = [math.log(week) for week in _weeks(history)[: TREND_WEEKS + 1] if week > 0]
    offs = []
    for place in range(len(weeks) - 1):
        before = weeks[place + 1 : place + 5]
        ages = range(1, len(before) + 1)
        told = sum(week + trend * age for week, age in zip(before, ages, strict=True)) / len(before)
        offs.append(weeks[place] - told)
    # The calmer four fifths of them: one week of holidays is no unrest.
    squares = sorted(min(off * off, 1.0) for off in offs)
    calm = squares[: round(0.8 * len(squares))]
    variance = (sum(calm) + UNREST_WEEKS * ORDINARY_UNREST**2) / (len(calm) + UNREST_WEEKS)
    few = 1 + 7 / (len(history.days) + 3.5)
    return math.sqrt(variance * few * UNREST_SHARE * (1 + days_ahead / UNREST_DOUBLES_DAYS) + _ignorance(history))


def _ignorance(history: History) -> float:
    """How far the mean of the days that were may be from the true one, as the variance of a logarithm: with heavy
    tails and few days it is far, and drawing from the same few days again does not show it."""
    total = variance = 0.0
    for kind in (True, False):
        days = [float(day.nano_usd) for place, day in enumerate(history.days) if history.is_work_day(place) is kind]
        if not days:
            continue
        mean = sum(days) / len(days)
        spread = sum((day - mean) ** 2 for day in days) / max(1, len(days) - 1)
        share = WORK_DAYS if kind else 7 - WORK_DAYS
        total += share * mean
        variance += share * share * spread / min(len(days), MEMORY_WEEKS * share)
    return min(1.0, variance / (total * total)) if total else 0.0


def _today_like(history: History, trend: float) -> float:
    """What today so far says of its rest: a day that began twice as busy ends so halfway."""
    n = len(history.days)
    kind = history.is_work_day(n)
    weight, early, whole = 1.0, 0.0, 0.0
    for place in range(n - 1, -1, -1):
        if history.is_work_day(place) != kind:
            continue
        early += weight * history.days[place].early_nano_usd * math.exp(trend * (n - place) / 7)
        whole += weight
        weight *= 0.85
    usual = early / whole if whole else 0.0
    if usual <= 0:
        return 1.0
    return max(0.5, min(2.0, (history.today_nano_usd + usual) / (2 * usual)))


@lru_cache(maxsize=64)
def _courses(today: int, known: int, days_ahead: int) -> tuple[tuple[tuple[int, ...], float], ...]:
    """The courses of one question: for today's rest and each day ahead the place of a day that was; and by how many
    deviations the whole course lies above or below.

    today: the proleptic ordinal of the day. known: days that were.
    """
    chance = random.Random(f"{today} {known} {days_ahead}")  # noqa: S311  # a seed is the point
    levels = [NormalDist().inv_cdf((number + 0.5) / COURSES) for number in range(COURSES)]
    chance.shuffle(levels)
    alike = _alike(today, known)
    return tuple((_course(chance, known, days_ahead, alike), level) for level in levels)


def _course(chance: random.Random, known: int, days_ahead: int, alike: Sequence["_Alike"]) -> tuple[int, ...]:
    places: list[int] = []
    before = known
    for day in range(days_ahead + 1):
        # Only a day of the right weekday may follow: the one before may have stood for another.
        follows = before + 1 < known and (before + 1 - known - day) % 7 == 0
        if follows and known >= 14 and chance.random() < GOES_ON:
            before += 1
        else:
            before = alike[day % 7].draw(chance)
        places.append(before)
    return tuple(places)


@dataclass(frozen=True, slots=True)
class _Alike:
    """Days that were, to stand for a day to come: those of its weekday, and those of its kind (work or weekend)."""

    weekday: tuple[int, ...]
    kind: tuple[int, ...]
    anything: tuple[int, ...]
    kind_share: float

    def draw(self, chance: random.Random) -> int:
        pool = self.weekday
        if not pool or chance.random() < self.kind_share:
            pool = self.kind or self.anything
        return chance.choices(pool, cum_weights=_weights(len(pool), len(pool) / max(1, len(self.weekday))))[0]


@lru_cache(maxsize=512)
def _weights(count: int, per_week: float) -> tuple[float, ...]:
    """Cumulative weights of days, the oldest first, that halve every few weeks."""
    weights = [0.5 ** ((count - 1 - place) / per_week / HALF_LIFE_WEEKS) for place in range(count)]
    return tuple(accumulate(weights))


def _alike(today: int, known: int) -> tuple[_Alike, ...]:
    """For today and the six days after it: which of the days that were are like it."""
    share = 1.0 if known < 14 else 0.5 if known < 28 else 0.2
    found = []
    for ahead in range(7):
        weekday = (today + ahead - 1) % 7
        same = tuple(place for place in range(known) if (today + place - known - 1) % 7 == weekday)
        kind = tuple(
            place for place in range(known) if ((today + place - known - 1) % 7 < WORK_DAYS) == (weekday < WORK_DAYS)
        )
        found.append(_Alike(same, kind, tuple(range(known)), share))
    return tuple(found)


def _quantiles(ascending: Sequence[int]) -> Quantiles:
    count = len(ascending)
    return Quantiles(*(ascending[min(count - 1, int(count * share))] for share in (0.1, 0.5, 0.9)))
