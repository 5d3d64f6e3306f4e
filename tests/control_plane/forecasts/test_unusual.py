"""Unusual days: judged by one's own days, robust against heavy tails, explained."""

from datetime import date, timedelta

import pytest

from control_plane.forecasts.models import FindingState, UnusualSpend
from control_plane.forecasts.series import DaySpend, History
from control_plane.forecasts.services import unusual_decide, unusual_find
from control_plane.forecasts.unusual import ANY, KIND, WEEKDAY, judge_day
from tests.builders.tenants import Tenant, a_member
from tests.control_plane.forecasts.shapes import Shape, series
from tests.control_plane.forecasts.world import DOLLAR, NOW, at, spend_at, work_days

WEDNESDAY = NOW.date()


def a_history(days: int, dollars: float = 9) -> History:
    found = []
    for number in range(days):
        day = WEDNESDAY - timedelta(days=days - number)
        amount = dollars * (0.8 + 0.1 * (number % 5)) if day.weekday() < 5 else 0
        found.append(DaySpend(round(amount * DOLLAR)))
    return History.of(WEDNESDAY, found)


def test_nine_times_the_usual_wednesday_is_unusual() -> None:
    judged = judge_day(a_history(70), 84 * DOLLAR)
    assert judged is not None
    assert (judged.is_unusual, judged.compared, judged.days) == (True, WEEKDAY, 10)
    assert judged.usual == pytest.approx(9 * DOLLAR, rel=0.2)


def test_what_is_small_or_not_far_from_usual_is_not() -> None:
    small, near = judge_day(a_history(70, 0.5), 9 * DOLLAR), judge_day(a_history(70), 22 * DOLLAR)
    assert small is not None
    assert near is not None
    assert (small.is_unusual, near.is_unusual) == (False, False)


@pytest.mark.parametrize(("days", "compared"), [(70, WEEKDAY), (14, KIND), (8, None), (0, None)])
def test_it_is_compared_with_the_closest_days_that_are_enough(days: int, compared: str | None) -> None:
    judged = judge_day(a_history(days), 84 * DOLLAR)
    assert (None if judged is None else judged.compared) == compared


def test_somebody_who_works_at_weekends_is_compared_with_all_days() -> None:
    days = [DaySpend((9 if number % 3 == 0 else 0) * DOLLAR) for number in range(24)]
    judged = judge_day(History.of(date(2026, 11, 21), days), 84 * DOLLAR)
    assert judged is not None
    assert judged.compared == ANY


def test_people_with_heavy_tails_are_not_cried_wolf_at() -> None:
    """On a year of people, whose dearest session of a hundred costs $178, it is a day in some months."""
    found = judged_days = 0
    for number in range(12):
        days = series(Shape(1, has_bursts=False), f"person {number}", days=300)
        for place in range(100, len(days), 2):
            past = [DaySpend(day.spent * 1000) for day in days[place - 84 : place]]
            judged = judge_day(History.of(days[place].day, past), days[place].spent * 1000)
            judged_days += 1
            found += judged is not None and judged.is_unusual
    print(f"\n{found} unusual of {judged_days} ordinary days of people with heavy tails")
    assert found / judged_days < 0.015


@pytest.mark.django_db
def test_a_finding_says_how_much_and_against_what_and_stays_decided(acme: Tenant, globex: Tenant) -> None:
    ada, grace = a_member(acme, "ada@acme.example"), a_member(acme, "grace@acme.example")
    for person, today in ((ada, 84), (grace, 5)):
        spend_at(acme, work_days(date(2026, 9, 1), WEDNESDAY - timedelta(days=1), 9), principal=person.id)
        spend_at(acme, [(at(WEDNESDAY, 10), today)], principal=person.id)

    assert unusual_find(organization=acme.organization, now=NOW) == 1
    finding = UnusualSpend.objects.get()
    assert (finding.principal_id, finding.day, finding.compared) == (ada.id, WEDNESDAY, WEEKDAY)
    assert 8 < finding.times < 11

    unusual_decide(finding=finding, state=FindingState.SEEN, by=acme.actor)
    spend_at(acme, [(at(WEDNESDAY, 11), 16)], principal=ada.id)
    assert unusual_find(organization=acme.organization, now=NOW) == 1
    finding.refresh_from_db()
    assert (finding.spent_nano_usd, finding.state) == (100 * DOLLAR, FindingState.SEEN)
    assert unusual_find(organization=globex.organization, now=NOW) == 0


@pytest.mark.django_db
def test_yesterday_is_judged_when_it_is_whole(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    yesterday = WEDNESDAY - timedelta(days=1)
    spend_at(acme, work_days(date(2026, 9, 1), yesterday - timedelta(days=1), 9), principal=ada.id)
    spend_at(acme, [(at(yesterday, 23), 84)], principal=ada.id)

    unusual_find(organization=acme.organization, now=NOW)

    assert UnusualSpend.objects.get().day == yesterday
