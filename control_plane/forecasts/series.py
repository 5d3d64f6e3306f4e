"""Spend by day, as forecasts and findings read it. Pure: the day of today is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WORK_DAYS = 5


@dataclass(frozen=True, slots=True)
class DaySpend:
    """One day of a zone. early_nano_usd: what of it was spent by the time of day that it is now."""

    nano_usd: int
    early_nano_usd: int = 0

    @property
    def late_nano_usd(self) -> int:
        return self.nano_usd - self.early_nano_usd


@dataclass(frozen=True, slots=True)
class History:
    """days: one for each day up to yesterday, ascending, quiet ones too; the first is the first on which anything was
    spent. today_nano_usd: what today has spent so far."""

    today: date
    days: tuple[DaySpend, ...]
    today_nano_usd: int = 0

    @classmethod
    def of(cls, today: date, days: Sequence[DaySpend], today_nano_usd: int = 0) -> "History":
        """Leave out the quiet days before anything was spent: nobody was there to spend."""
        first = next((place for place, day in enumerate(days) if day.nano_usd > 0), len(days))
        return cls(today, tuple(days[first:]), today_nano_usd)

    def is_work_day(self, place: int) -> bool:
        """Whether a day lies between Monday and Friday. place: of `days`; from its length on, days to come."""
        return (self.today.weekday() + place - len(self.days)) % 7 < WORK_DAYS
