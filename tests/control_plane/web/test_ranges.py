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


def test_the_last_hours_are_hours_of_the_clock_that_never_jumps() -> None:
    span = read_range("24h", "", "", now=datetime(2026, 10, 25, 12, 0, tzinfo=UTC), zone=BERLIN, default="30d")
    assert (span.until.timestamp() - span.since.timestamp()) / 3600 == 24
    assert (span.since.timestamp() - span.before_since.timestamp()) / 3600 == 24
    assert span.is_rolling


def test_yesterday_last_month_and_this_year_are_the_calendars() -> None:
    yesterday = read_range("yesterday", "", "", now=NOW, zone=BERLIN, default="30d")
    assert (yesterday.first_day.isoformat(), yesterday.last_day.isoformat()) == ("2026-11-20", "2026-11-20")
    month = read_range("last-month", "", "", now=NOW, zone=BERLIN, default="30d")
    assert (month.first_day.isoformat(), month.last_day.isoformat()) == ("2026-10-01", "2026-10-31")
    assert month.before_since.date().isoformat() == "2026-09-01"
    year = read_range("year", "", "", now=NOW, zone=BERLIN, default="30d")
    assert (year.first_day.isoformat(), year.before_since.date().isoformat()) == ("2026-01-01", "2025-01-01")


def test_minutes_chosen_by_hand_are_in_the_readers_zone_and_compared_with_the_time_before() -> None:
    span = read_range("", "2026-11-20T09:30", "2026-11-20T11:00", now=NOW, zone=BERLIN, default="30d")
    assert span.since == datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    assert span.until == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert span.before_since == datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
    assert (span.from_text, span.to_text) == ("2026-11-20T09:30", "2026-11-20T11:00")
    turned = read_range("", "2026-11-20T11:00", "2026-11-20T09:30", now=NOW, zone=BERLIN, default="30d")
    assert (turned.since, turned.until) == (span.since, span.until)


def test_a_moment_is_shown_as_a_minute_and_a_decade_is_cut() -> None:
    moment = read_range("", "2026-11-20T09:30", "2026-11-20T09:30", now=NOW, zone=BERLIN, default="30d")
    assert (moment.until - moment.since).total_seconds() == 60
    decade = read_range("", "2016-11-20T09:30", "2026-11-20T09:30", now=NOW, zone=BERLIN, default="30d")
    assert (decade.until - decade.since).days == 400


def test_a_range_goes_with_every_link_by_its_name_or_its_ends() -> None:
    assert read_range("7d", "", "", now=NOW, zone=BERLIN, default="30d").query == "range=7d"
    chosen = read_range("", "2026-11-03", "2026-11-10", now=NOW, zone=BERLIN, default="30d")
    assert chosen.query == "from=2026-11-03T00%3A00&to=2026-11-11T00%3A00"
    assert chosen.label == "3 Nov 2026 – 10 Nov 2026"


def test_the_zone_is_called_by_its_place_in_summer_and_winter() -> None:
    assert {read_range(name, "", "", now=NOW, zone=BERLIN, default="30d").zone_name for name in ("90d", "7d")} == {
        "Europe/Berlin"
    }


def test_what_was_before_is_said_as_people_say_it() -> None:
    assert read_range("7d", "", "", now=NOW, zone=BERLIN, default="30d").in_before == "in the previous 7 days"
    assert today(NOW, BERLIN).nothing_before == "nothing yesterday by this time"
