"""Months that are closed never change; what comes later counts later."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.organizations.models import Organization
from control_plane.usage import closing
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.models import UsageDay, UsageHour
from control_plane.usage.rollups import MEASURES, SUMS, Measures
from control_plane.usage.selectors import Interval, Scope, SeriesQuery, usage_series
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import LEDGER_DAYS, an_organization, assert_books_agree, ledger, put
from tests.control_plane.usage.events import ORGANIZATION, a_batch, an_event, an_exchange_id, estimated

pytestmark = pytest.mark.django_db

OCTOBER = date(2026, 10, 1)
LAST_OF_OCTOBER = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
FINANCE = Actor.system("finance")
EVERYONE = Scope(ORGANIZATION)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def organization(db: None) -> Organization:
    return an_organization()


def book_at(now: datetime, *events: usage_pb2.UsageEvent, first_sequence: int = 1) -> None:
    put(a_batch(events, first_sequence=first_sequence))
    book_waiting(now=now, ledger_days=LEDGER_DAYS)


def october(organization: Organization) -> list[tuple[object, ...]]:
    rows = UsageDay.objects.filter(organization_id=organization.id, day__lt=date(2026, 11, 1))
    return sorted(rows.values_list("day", "grain", "cost_nano_usd", "requests", "output"))


def test_what_comes_after_the_closing_counts_when_it_was_booked(organization: Organization) -> None:
    book_at(LAST_OF_OCTOBER, an_event(1, at=LAST_OF_OCTOBER))
    closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    before = october(organization)

    book_at(NOVEMBER, an_event(2, at=LAST_OF_OCTOBER), first_sequence=2)

    assert october(organization) == before
    late = next(row for row in ledger() if row.exchange_id == an_exchange_id(2, LAST_OF_OCTOBER))
    assert (late.started_at, late.counted_at) == (LAST_OF_OCTOBER, NOVEMBER)
    assert UsageHour.objects.get(hour=NOVEMBER).cost_nano_usd == 3_000_000
    assert_books_agree()


def test_a_truth_that_comes_late_leaves_the_closed_estimate_and_corrects_it_now(organization: Organization) -> None:
    event = an_event(1, at=LAST_OF_OCTOBER)
    book_at(LAST_OF_OCTOBER, estimated(event, cost_nano_usd=1_000_000))
    closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    before = october(organization)

    book_at(NOVEMBER, event, first_sequence=2)

    assert october(organization) == before
    assert {row.kind: row.counted_at for row in ledger()} == {
        "estimated": LAST_OF_OCTOBER,
        "reversal": NOVEMBER,
        "final": NOVEMBER,
    }
    assert sum(row.cost_nano_usd for row in ledger() if row.counted_at >= NOVEMBER) == 2_000_000
    assert_books_agree()


def test_another_organizations_month_stays_open(organization: Organization) -> None:
    other = Organization.objects.create(slug="other", name="Other")
    closing.month_close(organization=other, month=OCTOBER, actor=FINANCE, now=NOVEMBER)

    book_at(NOVEMBER, an_event(1, at=LAST_OF_OCTOBER))

    assert ledger()[0].counted_at == LAST_OF_OCTOBER
    assert closing.closed_until(ORGANIZATION) is None
    assert closing.closed_until(other.id) == datetime(2026, 11, 1, tzinfo=UTC)
    assert closing.is_month_closed(other.id, OCTOBER)
    assert not closing.is_month_closed(other.id, NOVEMBER)


def test_a_booking_that_waited_over_midnight_does_not_count_in_the_closed_month(organization: Organization) -> None:
    book_at(LAST_OF_OCTOBER, an_event(1, at=LAST_OF_OCTOBER))
    closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)

    book_at(LAST_OF_OCTOBER + timedelta(seconds=30), an_event(2, at=LAST_OF_OCTOBER), first_sequence=2)

    assert {row.counted_at for row in ledger()} == {LAST_OF_OCTOBER, datetime(2026, 11, 1, tzinfo=UTC)}


def test_a_month_is_closed_once_and_told_once(organization: Organization) -> None:
    first = closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    again = closing.month_close(
        organization=organization, month=date(2026, 10, 17), actor=FINANCE, now=NOVEMBER + timedelta(days=1)
    )

    assert again == first
    assert closing.months_closed(organization.id) == [first]
    assert Change.objects.filter(action="month.close", organization_id=organization.id).count() == 1


def test_a_month_that_still_runs_cannot_be_closed(organization: Organization) -> None:
    with pytest.raises(closing.MonthNotOver) as failure:
        closing.month_close(
            organization=organization, month=date(2026, 11, 1), actor=FINANCE, now=datetime(2026, 11, 30, tzinfo=UTC)
        )
    assert failure.value.closable_at == datetime(2026, 12, 1, 0, 5, tzinfo=UTC)


def test_months_are_closed_in_their_order(organization: Organization) -> None:
    september = datetime(2026, 9, 10, tzinfo=UTC)
    book_at(september, an_event(1, at=september))

    with pytest.raises(closing.EarlierMonthOpen) as failure:
        closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    assert failure.value.earliest == date(2026, 9, 1)

    for month in (date(2026, 9, 1), OCTOBER):
        closing.month_close(organization=organization, month=month, actor=FINANCE, now=NOVEMBER)
    assert closing.earliest_open_month(organization.id) == date(2026, 11, 1)


@pytest.mark.parametrize("grouping", ["user", "model", "outcome", "client"])
def test_rows_and_roll_ups_say_the_same_of_what_came_late(organization: Organization, grouping: str) -> None:
    for number in range(1, 5):
        book_at(LAST_OF_OCTOBER, an_event(number, at=LAST_OF_OCTOBER - number * DAY), first_sequence=number)
    guess = an_event(9, at=LAST_OF_OCTOBER - 20 * DAY, model="m2")
    book_at(LAST_OF_OCTOBER, estimated(guess), first_sequence=9)
    closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    later = [
        an_event(10 + number, at=LAST_OF_OCTOBER - 3 * number * DAY, session_id=f"s{number}", model=f"m{number % 3}")
        for number in range(9)
    ]
    book_at(NOVEMBER, guess, *later, an_event(30, at=NOVEMBER - DAY), first_sequence=100)
    since, until = NOVEMBER.replace(day=1, hour=0), NOVEMBER.replace(day=4, hour=0)

    def asked(interval: Interval, *groups: str, measures: tuple[str, ...] = SUMS) -> dict[tuple[object, str], Measures]:
        query = SeriesQuery(EVERYONE, since, until, interval, group_by=groups, measures=measures)
        found: dict[tuple[object, str], Measures] = {}
        for point in usage_series(query):
            found.setdefault((point.start, point.group[0]), Measures()).merge(point.measures)
        return {key: sums for key, sums in found.items() if sums != Measures()}

    for interval in (Interval.TOTAL, Interval.DAY, Interval.HOUR):
        assert asked(interval, grouping, "session") == asked(interval, grouping)
    # Minutes are kept by team, latencies by model; of people both are read from rows.
    since, until = NOVEMBER - DAY, NOVEMBER + DAY
    questions = (
        (Interval.MINUTE, grouping, SUMS),
        (Interval.TOTAL, grouping, SUMS),
        (Interval.TOTAL, "model", MEASURES),
    )
    by_minute, whole, by_model = (
        _merged(asked(interval, group, measures=measures).values()) for interval, group, measures in questions
    )
    assert by_minute == whole
    assert whole.requests == len(later) + 1
    assert _merged(asked(Interval.TOTAL, "user", measures=MEASURES).values()) == by_model


@pytest.mark.parametrize("before", [timedelta(minutes=31), timedelta(minutes=80)], ids=["rows alone", "hours too"])
def test_what_came_late_is_in_a_part_of_an_hour(
    organization: Organization, before: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing.month_close(organization=organization, month=OCTOBER, actor=FINANCE, now=NOVEMBER)
    soon = NOVEMBER + timedelta(minutes=10)
    book_at(NOVEMBER, an_event(1, at=LAST_OF_OCTOBER))
    book_at(soon, an_event(2, at=soon), first_sequence=2)
    # The closed month's row may be of yesterday, and was admitted long before it counts.
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOVEMBER + timedelta(hours=3))

    def requests(until: timedelta) -> int:
        query = SeriesQuery(EVERYONE, NOVEMBER - before, NOVEMBER + until, Interval.TOTAL, group_by=("user",))
        return sum(point.measures.requests for point in usage_series(query))

    assert [requests(timedelta(minutes=minutes)) for minutes in (-1, 5, 20)] == [0, 1, 2]


def _merged(found: Iterable[Measures]) -> Measures:
    total = Measures()
    for one in found:
        total.merge(one)
    return total
