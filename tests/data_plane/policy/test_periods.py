from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.policy.periods import LIFETIME, NO_END_MS, Period, Periods, period_at
from tests.data_plane.policy.builders import PATIENT

BERLIN = ZoneInfo("Europe/Berlin")


def midnights(first: datetime, days: int) -> tuple[int, ...]:
    return tuple(
        int(datetime(day.year, day.month, day.day, tzinfo=first.tzinfo).timestamp() * 1000)
        for day in (first + timedelta(days=number) for number in range(days))
    )


AUTUMN = Periods(midnights(datetime(2026, 10, 23, tzinfo=BERLIN), 6), unit="day", timezone="Europe/Berlin")
SPRING = Periods(midnights(datetime(2026, 3, 27, tzinfo=BERLIN), 6), unit="day", timezone="Europe/Berlin")
MONTHS = Periods(
    tuple(int(datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000) for month in range(14)),
    unit="month",
)


def test_for_ever_is_one_period_without_an_end() -> None:
    assert period_at(LIFETIME, 5) == period_at(LIFETIME, 2**45) == Period("0", NO_END_MS)


@pytest.mark.parametrize(("periods", "lengths"), [(AUTUMN, {24, 25}), (SPRING, {23, 24})])
def test_days_have_as_many_hours_as_they_have(periods: Periods, lengths: set[int]) -> None:
    found = [period_at(periods, start_ms) for start_ms in periods.starts_ms[:-1]]

    assert {(period.end_ms - int(period.id)) // 3_600_000 for period in found} == lengths


@pytest.mark.parametrize("periods", [AUTUMN, SPRING, MONTHS, Periods(fixed_ms=60_000, anchor_ms=7, unit="minute")])
@PATIENT
@given(data=st.data())
def test_each_instant_is_in_exactly_one_period(periods: Periods, data: st.DataObject) -> None:
    starts = periods.starts_ms
    at_ms = data.draw(
        st.one_of(
            st.integers(starts[0], starts[-1] - 1) if starts else st.integers(0, 10**12),
            st.sampled_from(
                [edge for start in starts[:-1] for edge in (start, max(start - 1, starts[0]))] or [7, 60_007]
            ),
        )
    )

    period = period_at(periods, at_ms)

    assert int(period.id) <= at_ms < period.end_ms
    following = period_at(periods, period.end_ms)
    assert following.id == str(period.end_ms) or period.end_ms == starts[-1]


def test_after_the_last_known_period_that_one_goes_on() -> None:
    last = period_at(AUTUMN, AUTUMN.starts_ms[-1] - 1)
    beyond = period_at(AUTUMN, AUTUMN.starts_ms[-1] + 10**9)

    assert last.end_ms == AUTUMN.starts_ms[-1]
    assert beyond == Period(last.id, NO_END_MS)


def test_before_the_first_known_period_that_one_holds_already() -> None:
    assert period_at(AUTUMN, AUTUMN.starts_ms[0] - 500).id == str(AUTUMN.starts_ms[0])


def test_a_single_start_begins_a_period_without_an_end() -> None:
    assert period_at(Periods((1000,), unit="quarter"), 5000) == Period("1000", NO_END_MS)
