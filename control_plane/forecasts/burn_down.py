"""What a picture of a period shows: what was spent, where it is heading, and the lines it may cross. Pure.

Amounts are cumulative from the period's beginning, nano-USD. A curve is stored with its forecast as plain JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Spent:
    """How much was spent up to an instant."""

    at: datetime
    nano_usd: int


@dataclass(frozen=True, slots=True)
class Heading:
    """How much will be spent up to an instant, in 10, 50 and 90 of a hundred courses."""

    at: datetime
    p10: int
    p50: int
    p90: int


@dataclass(frozen=True, slots=True)
class Line:
    """A stage of a budget: at_percent of the limit, and what happens there (alert, downgrade, block)."""

    at_percent: int
    action: str
    nano_usd: int


@dataclass(frozen=True, slots=True)
class Curve:
    """spent: from the period's beginning to the instant of the forecast, ascending. heading: from that instant to the
    period's end, a point at the end of each day; empty: there is no band."""

    spent: tuple[Spent, ...] = ()
    heading: tuple[Heading, ...] = ()

    def as_json(self) -> dict[str, list[list[int]]]:
        return {
            "spent": [[_ms(one.at), one.nano_usd] for one in self.spent],
            "heading": [[_ms(one.at), one.p10, one.p50, one.p90] for one in self.heading],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Sequence[Sequence[Any]]] | None) -> "Curve":
        if not stored:
            return cls()
        return cls(
            tuple(Spent(_at(at), amount) for at, amount in stored["spent"]),
            tuple(Heading(_at(at), *amounts) for at, *amounts in stored["heading"]),
        )


@dataclass(frozen=True, slots=True)
class BurnDown:
    """One period of a budget's counter, or of an organization. limit None: there is none; lines: ascending."""

    starts_at: datetime
    ends_at: datetime
    zone: str
    as_of: datetime
    curve: Curve
    limit_nano_usd: int | None = None
    lines: tuple[Line, ...] = ()

    @property
    def spent_nano_usd(self) -> int:
        return self.curve.spent[-1].nano_usd if self.curve.spent else 0

    @property
    def end(self) -> Heading | None:
        """The period's end; None: there is no band."""
        return self.curve.heading[-1] if self.curve.heading else None


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
