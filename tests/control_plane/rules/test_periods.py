"""Periods tile time, in every zone and through every change of its clocks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.rules.conditions import DAYS, Hours, Window
from control_plane.rules.periods import CALENDAR, PeriodRule, hours_of, period_at, periods_of, starts_from, zone_of
from switchyard_contract.v1 import snapshot_pb2

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",  # half an hour of summer
    "Africa/Cairo",  # clocks go forward at midnight
    "Asia/Beirut",  # so here
    "America/Havana",  # and here; back at one
    "America/Santiago",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "America/St_Johns",
)
INSTANTS = st.datetimes(datetime(2007, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
RULES = st.builds(
    lambda unit, zone, anchor: PeriodRule(unit, zone, min(anchor, 7) if unit == "week" else anchor),
    st.sampled_from(CALENDAR),
    st.sampled_from(ZONES),
    st.integers(1, 31),
)
LONGEST = {"day": 25, "week": 7 * 24 + 1, "month": 62 * 24, "quarter": 124 * 24}


@settings(max_examples=120, deadline=None)
@given(rule=RULES, at=INSTANTS)
def test_every_instant_is_in_exactly_one_period(rule: PeriodRule, at: datetime) -> None:
    starts = starts_from(rule, at, at + timedelta(days=40))

    assert all(before < after for before, after in pairwise(starts))
    assert starts[0] <= at < starts[1]
    assert starts[-2] <= at + timedelta(days=40) < starts[-1]
    hours = [(after - before) / timedelta(hours=1) for before, after in pairwise(starts)]
    assert max(hours) <= LONGEST[rule.unit]
    if rule.unit == "day":
        assert min(hours) >= 23


@settings(max_examples=60, deadline=None)
@given(rule=RULES, at=INSTANTS, later=st.timedeltas(timedelta(0), timedelta(days=60)))
def test_a_compilation_at_another_time_cuts_time_at_the_same_places(
    rule: PeriodRule, at: datetime, later: timedelta
) -> None:
    first = starts_from(rule, at, at + timedelta(days=120))
    second = starts_from(rule, at + later, at + timedelta(days=120))

    assert first[-len(second) :] == second


@settings(max_examples=40, deadline=None)
@given(rule=RULES, at=INSTANTS)
def test_pods_know_at_least_thirty_five_days_for_a_day(rule: PeriodRule, at: datetime) -> None:
    told = periods_of(rule, at)

    day_later_ms = (at + timedelta(days=1)).timestamp() * 1000
    assert told.starts_ms[0] <= at.timestamp() * 1000
    assert told.starts_ms[-1] >= day_later_ms + 35 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-24", 24), ("2026-10-25", 25), ("2026-12-31", 24)],
)
def test_days_in_berlin_have_as_many_hours_as_the_clock_shows(day: str, hours: int) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    span = period_at(PeriodRule("day", "Europe/Berlin"), noon)

    assert span.start.astimezone(noon.tzinfo).isoformat()[:16] == f"{day}T00:00"
    assert span.end is not None
    assert (span.end - span.start) == timedelta(hours=hours)


def test_where_midnight_does_not_exist_a_day_begins_at_the_change() -> None:
    noon = datetime(2026, 4, 24, 12, tzinfo=ZoneInfo("Africa/Cairo"))

    assert period_at(PeriodRule("day", "Africa/Cairo"), noon).start == datetime(2026, 4, 23, 22, tzinfo=UTC)


def test_where_midnight_comes_twice_a_day_begins_at_the_first() -> None:
    noon = datetime(2026, 11, 1, 12, tzinfo=ZoneInfo("America/Havana"))
    span = period_at(PeriodRule("day", "America/Havana"), noon)

    assert span.start == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert span.end == datetime(2026, 11, 2, 5, tzinfo=UTC)


def test_a_day_that_a_zone_left_out_is_no_period() -> None:
    starts = starts_from(
        PeriodRule("day", "Pacific/Apia"), datetime(2011, 12, 29, tzinfo=UTC), datetime(2012, 1, 2, tzinfo=UTC)
    )

    local = [start.astimezone(ZoneInfo("Pacific/Apia")).date().isoformat() for start in starts]
    assert "2011-12-30" not in local
    assert {"2011-12-29", "2011-12-31"} <= set(local)


@pytest.mark.parametrize(
    ("anchor", "starts"),
    [
        (1, ["2027-01-01", "2027-02-01", "2027-03-01", "2027-04-01"]),
        (15, ["2026-12-15", "2027-01-15", "2027-02-15", "2027-03-15"]),
        (31, ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"]),
        (30, ["2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]),
    ],
)
def test_months_begin_on_their_anchor_or_on_their_last_day(anchor: int, starts: list[str]) -> None:
    found = starts_from(
        PeriodRule("month", "UTC", anchor), datetime(2027, 1, 5, tzinfo=UTC), datetime(2027, 3, 12, tzinfo=UTC)
    )

    assert [start.date().isoformat() for start in found][-4:] == starts[-len(found) :]


def test_weeks_begin_on_their_day() -> None:
    # 21 November 2026 is a Saturday.
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)

    assert period_at(PeriodRule("week", "UTC", 1), at).start == datetime(2026, 11, 16, tzinfo=UTC)
    assert period_at(PeriodRule("week", "UTC", 6), at).start == datetime(2026, 11, 21, tzinfo=UTC)
    assert period_at(PeriodRule("week", "UTC", 7), at).start == datetime(2026, 11, 15, tzinfo=UTC)


def test_quarters_begin_with_the_year() -> None:
    span = period_at(PeriodRule("quarter", "UTC"), datetime(2026, 11, 21, tzinfo=UTC))

    assert (span.start, span.end) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_minutes_and_hours_are_computed_and_a_lifetime_never_ends() -> None:
    at = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)

    assert periods_of(PeriodRule("hour"), at) == snapshot_pb2.Periods(fixed_ms=3_600_000, timezone="UTC", unit="hour")
    assert periods_of(PeriodRule("lifetime"), at) == snapshot_pb2.Periods(timezone="UTC", unit="lifetime")
    assert period_at(PeriodRule("minute"), at).start == datetime(2026, 11, 21, 10, 20, tzinfo=UTC)
    assert period_at(PeriodRule("lifetime"), at).id == "0"
    assert period_at(PeriodRule("day"), at).id == str(int(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000))


def test_unknown_zones_are_known_to_be_unknown() -> None:
    assert zone_of("Europe/Berlin") is not None
    for name in ("", "Europe/Atlantis", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/Berlin\x00", "x" * 300):
        assert zone_of(name) is None, name


def test_hours_are_told_as_instants_through_the_change_of_clocks() -> None:
    hours = Hours("Europe/Berlin", (Window(("sat", "sun"), 9 * 60, 18 * 60),))

    told = hours_of(hours, datetime(2026, 10, 24, 12, tzinfo=UTC))

    assert told.text == "Sat-Sun 09:00-18:00 Europe/Berlin"
    spans = [
        (datetime.fromtimestamp(s.start_ms / 1000, UTC), datetime.fromtimestamp(s.end_ms / 1000, UTC))
        for s in told.spans
    ]
    assert (datetime(2026, 10, 24, 7, tzinfo=UTC), datetime(2026, 10, 24, 16, tzinfo=UTC)) in spans
    assert (datetime(2026, 10, 25, 8, tzinfo=UTC), datetime(2026, 10, 25, 17, tzinfo=UTC)) in spans


def test_hours_that_touch_are_one_span_and_may_go_over_midnight() -> None:
    night = Hours("UTC", (Window(("fri",), 22 * 60, 2 * 60), Window(("sat",), 2 * 60, 3 * 60)))
    always = Hours("Europe/Berlin", (Window(DAYS, 0, 24 * 60),))

    told = hours_of(night, datetime(2026, 11, 21, 10, tzinfo=UTC))
    assert (told.spans[0].start_ms, told.spans[0].end_ms) == tuple(
        int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() * 1000) for day, hour in ((20, 22), (21, 3))
    )
    assert len(hours_of(always, datetime(2026, 11, 21, tzinfo=UTC)).spans) == 1


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    at=INSTANTS,
    windows=st.lists(
        st.builds(
            Window,
            st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple),
            st.integers(0, 1439),
            st.integers(1, 1440),
        ).filter(lambda window: window.from_minute != window.until_minute),
        min_size=1,
        max_size=4,
    ),
)
def test_spans_ascend_and_say_what_the_wall_clock_says(zone: str, at: datetime, windows: list[Window]) -> None:
    told = hours_of(Hours(zone, tuple(windows)), at)

    for before, after in pairwise(told.spans):
        assert before.start_ms < before.end_ms < after.start_ms
    local = at.astimezone(ZoneInfo(zone))
    if (
        local.utcoffset() != (local + timedelta(days=1)).utcoffset()
        or local.utcoffset() != (local - timedelta(days=1)).utcoffset()
    ):
        return
    minute = local.hour * 60 + local.minute
    today, yesterday = DAYS[local.weekday()], DAYS[local.weekday() - 1]
    is_open = any(
        (
            today in window.days
            and window.from_minute <= minute
            and (window.is_over_midnight or minute < window.until_minute)
        )
        or (window.is_over_midnight and yesterday in window.days and minute < window.until_minute)
        for window in windows
    )
    at_ms = int(at.timestamp() * 1000)
    assert any(span.start_ms <= at_ms < span.end_ms for span in told.spans) == is_open
