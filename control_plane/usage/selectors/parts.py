"""A range of time as whole hours, of which there are sums, and the parts of hours at its ends. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EXACT_UP_TO: Final = timedelta(days=2, hours=2)
"""So short a range begins and ends at the minute that is asked for; a longer one with the hours that these are in."""
EXACT_SINCE: Final = timedelta(days=30)
"""So far back: of what is older there may be no rows any more."""
ADMITTED_UP_TO: Final = timedelta(hours=3)
"""How long before its first attempt began an exchange may have been admitted: a slow line sends its body meanwhile."""
ADMITTED_AFTER: Final = timedelta(minutes=5)
"""None is admitted after it counts, but for a clock that was set back meanwhile."""

UNTIL_NOW: Final = timedelta(minutes=1)
"""What was asked for just now, until now."""


@dataclass(frozen=True, slots=True)
class Parts:
    """since, until: of the whole hours, the present one being as long as it has lasted. ends: the rest, to minutes."""

    since: datetime
    until: datetime
    ends: tuple[tuple[datetime, datetime], ...]

    @property
    def has_hours(self) -> bool:
        return self.since < self.until


def parts_of(since: datetime, until: datetime, now: datetime) -> Parts:
    """Divide a range. A long or an old one is its hours alone, and whole is also the one that it begins in."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    if until - since > EXACT_UP_TO or now - since > EXACT_SINCE:
        return Parts(since, until, ())
    since = since.replace(second=0, microsecond=0)
    lower = since if since == whole_hour(since) else whole_hour(since) + timedelta(hours=1)
    upper = until
    if until < now - UNTIL_NOW:
        upper, minute = whole_hour(until), until.replace(second=0, microsecond=0)
        until = minute if minute > since else until
    if lower >= upper:
        return Parts(since, since, ((since, until),) if since < until else ())
    ends = ((since, lower), (upper, until))
    return Parts(lower, upper, tuple((first, last) for first, last in ends if first < last))


def whole_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
