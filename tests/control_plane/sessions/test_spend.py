"""Ranges in people's zones, and the UTC days they stand for."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from control_plane.sessions.selectors.spend import day_bounds

BERLIN, TOKYO, LOS_ANGELES = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo"), ZoneInfo("America/Los_Angeles")


def utc(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "bounds"),
    [
        (datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC), (utc(3), utc(5))),
        (datetime(2026, 11, 3, tzinfo=BERLIN), datetime(2026, 11, 3, 15, tzinfo=BERLIN), (utc(3), utc(4))),
        (datetime(2026, 11, 3, tzinfo=LOS_ANGELES), datetime(2026, 11, 4, tzinfo=LOS_ANGELES), (utc(3), utc(4))),
        # Eight in the morning of the 3rd in Tokyo: UTC's 3rd has not begun.
        (datetime(2026, 11, 3, tzinfo=TOKYO), datetime(2026, 11, 3, 8, tzinfo=TOKYO), (utc(2), utc(4))),
    ],
)
def test_a_range_stands_for_the_utc_days_of_its_dates(
    since: datetime, until: datetime, bounds: tuple[datetime, datetime]
) -> None:
    assert day_bounds(since, until) == bounds
