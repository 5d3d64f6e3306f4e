"""What is asked of usage over time, and what is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from control_plane.usage.rollups import MEASURES, SUMS, Measures
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.sources import NOBODY, Asked
from switchyard_contract.usage import KINDS as TOKEN_KINDS

COST = "cost_nano_usd"
METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "cost": (COST,),
    "requests": ("requests",),
    "tokens": TOKEN_KINDS,
    **{name: (name,) for name in SUMS},
}
"""What a stack of groups may measure, and the sums that make it: these three, or any sum by its own name."""


class Interval(StrEnum):
    """How wide a point is; TOTAL: one point for the whole range."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """since (inclusive) to until (exclusive); groupings in the order wanted; values per filter are alternatives.

    measures: what is summed, the others stay zero; the cost is always there, as what is dearest comes first.
    """

    scope: Scope
    since: datetime
    until: datetime
    interval: Interval = Interval.DAY
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most_points: int = 10_000
    measures: tuple[str, ...] = MEASURES

    @property
    def asked(self) -> Asked:
        return Asked(self.scope, self.group_by, self.filters)

    @property
    def labels(self) -> frozenset[str]:
        """Rules and metadata that it speaks of."""
        return self.asked.labels


@dataclass(frozen=True, slots=True)
class Point:
    """Measures of one interval and one group. start: in the query's zone; None for TOTAL."""

    start: datetime | None
    group: tuple[str, ...]
    """A value per grouping, in its order; ids as 32 hex digits; empty: not known."""
    measures: Measures


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: the order is time, then cost (highest first), then group."""

    start: datetime | None
    cost_nano_usd: int
    group: tuple[str, ...]

    @classmethod
    def of(cls, point: Point) -> "Position":
        return cls(point.start, point.measures.cost_nano_usd, point.group)


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """Some points of a series. count: how many it has in all. next: where the next page goes on; None: nowhere."""

    points: tuple[Point, ...]
    count: int
    next: Position | None = None


@dataclass(frozen=True, slots=True)
class StackPoint:
    """One metric of one interval. group: None for all that are not among the greatest, together."""

    start: datetime
    group: str | None
    value: int


def group_text(group: UUID | str) -> str:
    """A group's value the way the API writes it: ids without dashes."""
    if isinstance(group, UUID):
        return "" if group == NOBODY else group.hex
    return group
