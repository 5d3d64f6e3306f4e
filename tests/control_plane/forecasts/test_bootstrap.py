"""The bootstrap: weekdays, trend, today, chance, and when it says nothing."""

from datetime import date, timedelta

import pytest

from control_plane.forecasts.bootstrap import NoOutlook, Outlook, WhyNot, outlook
from control_plane.forecasts.series import DaySpend, History

DOLLAR = 1_000_000_000
WEDNESDAY = date(2026, 11, 18)


def days_of(count: int, amount: int = 10, *, weekends: int = 0, grows: float = 1.0) -> list[DaySpend]:
    """So many days up to Tuesday the 17th; half of each is spent early."""
    found = []
    for number in range(count):
        day = WEDNESDAY - timedelta(days=count - number)
        spent = amount if day.weekday() < 5 else weekends
        nano = round(spent * grows ** (number / 7) * DOLLAR * (1 + 0.1 * ((number * 7) % 3 - 1)))
        found.append(DaySpend(nano, nano // 2))
    return found


def told(days: list[DaySpend], ahead: int, today: int = 5, room: int | None = None) -> Outlook:
    found = outlook(History.of(WEDNESDAY, days, today * DOLLAR), ahead, room=room)
    assert isinstance(found, Outlook)
    return found


def test_weekends_are_as_quiet_as_they_were() -> None:
    found = told(days_of(56), 6)
    by_day = [one.p50 / DOLLAR for one in found.by_day]
    # Wednesday's rest, Thursday, Friday, then nothing until Monday.
    assert by_day[3] == pytest.approx(by_day[2])
    assert by_day[4] == pytest.approx(by_day[2])
    assert by_day[5] > by_day[4] + 7
    assert found.end.p10 < found.end.p50 < found.end.p90


def test_the_hours_of_today_count() -> None:
    usual, busy, quiet = (told(days_of(56), 0, today).end.p50 for today in (5, 20, 0))
    assert quiet < usual < busy <= 2.5 * usual


def test_growth_goes_on_for_as_long_as_weeks_prove_it_and_tires() -> None:
    flat, growing = (told(days_of(56, grows=grows), 27).end.p50 for grows in (1.0, 1.1))
    last_week = sum(day.nano_usd for day in days_of(56, grows=1.1)[-7:])
    assert growing > 1.5 * flat
    assert 4 * last_week < growing < 4 * last_week * 1.1**4


def test_chance_is_the_question_s_own() -> None:
    assert told(days_of(40), 12) == told(days_of(40), 12)
    assert told(days_of(40), 12).sums != told(days_of(41), 12).sums


def test_few_days_say_little_and_the_band_is_wide() -> None:
    def width(count: int) -> float:
        end = told(days_of(count, weekends=2), 12).end
        return (end.p90 - end.p10) / end.p50

    assert width(4) > width(15) > width(70)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], NoOutlook(WhyNot.FEW_DAYS, 3)),
        ([5], NoOutlook(WhyNot.FEW_DAYS, 2)),
        ([5, 5], NoOutlook(WhyNot.FEW_DAYS, 1)),
        ([5, 0, 0, 5], NoOutlook(WhyNot.FEW_DAYS, 1)),
        ([5, *[0] * 12, 5], NoOutlook(WhyNot.MOSTLY_QUIET, 1)),
        ([5, 5, 5, *[0] * 19, 5], NoOutlook(WhyNot.MOSTLY_QUIET)),
        ([5, 5, 5, *[0] * 14], NoOutlook(WhyNot.NOTHING_SPENT)),
    ],
)
def test_there_is_no_band_without_days_that_carry_it(amounts: list[int], expected: NoOutlook) -> None:
    today = 0 if expected.why is WhyNot.NOTHING_SPENT else DOLLAR
    days = [DaySpend(amount * DOLLAR) for amount in amounts]
    assert outlook(History.of(WEDNESDAY, days, today), 10) == expected


def test_three_days_are_enough() -> None:
    days = [DaySpend(amount * DOLLAR, amount * DOLLAR // 2) for amount in (9, 11, 10)]
    assert isinstance(outlook(History.of(WEDNESDAY, days, DOLLAR), 10), Outlook)


def test_when_a_limit_is_reached() -> None:
    found = told(days_of(56), 12, room=25 * DOLLAR)
    # Rest of Wednesday $5, Thursday $10, Friday $10: about Friday, at the latest Monday.
    assert found.reached_day(10) in (1, 2)
    assert found.reached_day(50) in (2, 5)
    assert found.share_above(25 * DOLLAR) > 0.9
    far = told(days_of(56), 12, room=5000 * DOLLAR)
    assert (far.reached_day(10), far.share_above(5000 * DOLLAR)) == (None, 0.0)


def test_a_room_that_is_used_up_is_reached_today() -> None:
    assert told(days_of(56), 3, room=0).reached_day(10) == 0


def test_quiet_days_before_anybody_came_are_no_days() -> None:
    history = History.of(WEDNESDAY, [DaySpend(0), DaySpend(0), DaySpend(7), DaySpend(0)])
    assert history.days == (DaySpend(7), DaySpend(0))
    assert [history.is_work_day(place) for place in (0, 1, 2, 4)] == [True, True, True, True]
    assert not history.is_work_day(5)
