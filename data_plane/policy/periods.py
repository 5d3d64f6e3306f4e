"""The days, weeks and months of a rule, as instants: no calendar here, the control plane has worked them out.

Periods tile time: each instant is in exactly one. A period is known by its start in Unix milliseconds, written as
text, "0" for ever.
"""

from bisect import bisect_right
from dataclasses import dataclass

from switchyard_contract.counters import FOR_EVER

NO_END_MS = 0
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Periods:
    """How a rule cuts time."""

    starts_ms: tuple[int, ...] = ()
    """Ascending; the last one is only the end of the one before."""
    fixed_ms: int = 0
    anchor_ms: int = 0
    timezone: str = "UTC"
    unit: str = "lifetime"


@dataclass(frozen=True, slots=True)
class Period:
    """One of them."""

    id: str
    end_ms: int
    """0: never, or not known yet."""


LIFETIME = Periods()
UTC_HOURS = Periods(fixed_ms=HOUR_MS, unit="hour")
_FOR_EVER = Period(FOR_EVER, NO_END_MS)


def period_at(periods: Periods, at_ms: int) -> Period:
    """The period that an instant is in.

    After the last one that is known, that one goes on; before the first, the first holds already: a pod's clock may be
    a little behind the one that the periods were worked out by.
    """
    if periods.fixed_ms:
        start_ms = at_ms - (at_ms - periods.anchor_ms) % periods.fixed_ms
        return Period(str(start_ms), start_ms + periods.fixed_ms)
    starts = periods.starts_ms
    if not starts:
        return _FOR_EVER
    # The last instant starts nothing, unless it is alone.
    last = max(len(starts) - 2, 0)
    place = min(max(bisect_right(starts, at_ms) - 1, 0), last)
    end_ms = starts[place + 1] if place + 1 < len(starts) else NO_END_MS
    return Period(str(starts[place]), end_ms if end_ms > at_ms else NO_END_MS)
