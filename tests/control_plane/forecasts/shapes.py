"""Series shaped like the traffic of coding agents (`workload.md`), drawn by a seed.

Sessions of a person cost $0.61 in the middle, about $10 in the mean and $178 at one in a hundred; people work on days
of work, go on holiday, some weeks are busier, organizations grow.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

MEDIAN_SESSION = 0.61
SESSION_SPREAD = 2.35
DEAREST_SESSION = 600.0
WEEK = (1.0, 1.05, 1.05, 1.0, 0.9, 0.12, 0.1)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a series. early: what was spent by noon; whole numbers of any unit."""

    day: date
    spent: int
    early: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """people: how many spend together. sessions: of each on a day of work. joins: on which day the first spends."""

    people: int
    sessions: float = 2.4
    joins: int = 0
    has_bursts: bool = True


SHAPES = {
    "person": Shape(1),
    "quiet team": Shape(2, sessions=0.6),
    "team": Shape(8),
    "new team": Shape(6, joins=160),
    "organization": Shape(60, has_bursts=False),
}


def series(shape: Shape, seed: str, *, days: int = 240, start: date = date(2025, 1, 1)) -> list[Day]:
    """Days from the start on."""
    chance = random.Random(seed)
    rates = [chance.gammavariate(2, shape.sessions / 2) for _ in range(shape.people)]
    growth = chance.choice((0.0, 0.0, 0.02, 0.05, -0.02))
    busy = _runs(chance, days, days // 60, 2, 5) if shape.has_bursts else set()
    closed = _runs(chance, days, days // 45, 1, 1) | (_runs(chance, days, 1, 7, 7) if chance.random() < 0.5 else set())
    away = [_runs(chance, days, 1, 10, 10) for _ in rates]
    found = []
    for number in range(days):
        day = start + timedelta(days=number)
        level = WEEK[day.weekday()] * math.exp(growth * min(number, 100) / 7) * (3 if number in busy else 1)
        level *= 0.08 if number in closed else 1
        spent = early = 0
        if number >= shape.joins:
            for rate, absent in zip(rates, away, strict=True):
                for _ in range(0 if number in absent else _poisson(chance, rate * level)):
                    dollars = min(DEAREST_SESSION, chance.lognormvariate(math.log(MEDIAN_SESSION), SESSION_SPREAD))
                    cost = int(dollars * 1_000_000)
                    spent += cost
                    early += cost if chance.random() < 0.45 else 0
        found.append(Day(day, spent, early))
    return found


def pipeline(seed: str, *, days: int = 240, start: date = date(2025, 1, 1)) -> list[Day]:
    """A continuous-integration job: many small sessions, nearly alike, also at weekends."""
    chance = random.Random(seed)
    found = []
    for number in range(days):
        day = start + timedelta(days=number)
        runs = _poisson(chance, 30 * (1 if day.weekday() < 5 else 0.7))
        costs = [int(chance.lognormvariate(math.log(0.4), 0.6) * 1_000_000) for _ in range(runs)]
        found.append(Day(day, sum(costs), sum(costs[: len(costs) // 2])))
    return found


def _runs(chance: random.Random, days: int, count: int, shortest: int, longest: int) -> set[int]:
    """Days of so many runs."""
    found: set[int] = set()
    for _ in range(count):
        first = chance.randrange(days)
        found |= set(range(first, first + chance.randint(shortest, longest)))
    return found


def _poisson(chance: random.Random, mean: float) -> int:
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count


def total(days: Sequence[Day]) -> int:
    return sum(day.spent for day in days)
