from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from control_plane.usage.selectors.series import Interval
from control_plane.web.ranges import read_range, today

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_today_begins_at_the_readers_midnight_and_is_compared_with_yesterday_by_this_time() -> None:
    span = today(NOW, BERLIN)
    assert span.since == datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    assert span.until == NOW
    assert span.before_since == datetime(2026, 11, 19, 23, 0, tzinfo=UTC)
    assert span.before_until == datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert span.interval is Interval.HOUR


def test_seven_days_end_today_and_follow_the_seven_before() -> None:
    span = read_range("7d", "", "", now=NOW, zone=BERLIN, default="30d")
    assert (span.first_day.isoformat(), span.last_day.isoformat()) == ("2026-11-15", "2026-11-21")
    assert span.before_since.date().isoformat() == "2026-11-08"
    assert span.interval is Interval.DAY


def test_days_chosen_by_hand_win_and_may_come_in_any_order() -> None:
    span = read_range("7d", "2026-11-10", "2026-11-03", now=NOW, zone=BERLIN, default="30d")
    assert (span.first_day.isoformat(), span.last_day.isoformat()) == ("2026-11-03", "2026-11-10")
    assert span.name == ""


def test_what_cannot_be_read_falls_back() -> None:
    assert read_range("soon", "never", "", now=NOW, zone=BERLIN, default="30d").name == "30d"


def test_a_day_in_which_the_clock_jumps_is_one_day() -> None:
    span = read_range("", "2026-10-25", "2026-10-25", now=NOW, zone=BERLIN, default="30d")
    assert (span.until.astimezone(UTC) - span.since.astimezone(UTC)).total_seconds() == 25 * 3600
