"""Rows of keys are found by their owner's index: the same rows, and none of the owner's other keys."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from control_plane.usage.models import UsageDay
from control_plane.usage.selectors import (
    ExchangeSearch,
    Interval,
    Scope,
    SeriesQuery,
    exchanges_page,
    key_days,
    newest_exchange_of_key,
    usage_series,
)
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.events import KEY, NOW, ORGANIZATION, a_batch, an_event, an_exchange_id

pytestmark = pytest.mark.django_db

OTHER_KEY = "Key000000002"
NOBODYS_KEY = "Key000000003"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    an_organization()
    events = [an_event(number) for number in range(3)]
    events += [an_event(10 + number, key_id=OTHER_KEY) for number in range(2)]
    events += [an_event(20, key_id=OTHER_KEY, principal_id=UUID(int=9).hex)]
    events += [an_event(30, key_id=NOBODYS_KEY, principal_id=""), an_event(31, key_id=NOBODYS_KEY)]
    put_and_book(a_batch(events))


@pytest.mark.parametrize(
    ("key_id", "numbers"), [(KEY, [0, 1, 2]), (OTHER_KEY, [10, 11, 20]), (NOBODYS_KEY, [30, 31]), ("Key000000004", [])]
)
def test_exchanges_of_a_key_are_all_of_it_whoever_owned_it(key_id: str, numbers: list[int]) -> None:
    found = exchanges_page(ExchangeSearch(Scope(ORGANIZATION), since=NOW - HOUR, key_id=key_id)).exchanges
    assert sorted(each.id for each in found) == sorted(an_exchange_id(number) for number in numbers)


@pytest.mark.parametrize(("key_id", "count"), [(KEY, 3), (OTHER_KEY, 3), (NOBODYS_KEY, 2)])
def test_minutes_of_a_key_come_from_its_rows(key_id: str, count: int) -> None:
    query = SeriesQuery(
        Scope(ORGANIZATION), since=NOW - HOUR, until=NOW + HOUR, interval=Interval.MINUTE, filters={"key": (key_id,)}
    )
    assert sum(point.measures.requests for point in usage_series(query)) == count


def test_a_key_that_was_never_used_opens_no_partition(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(2) as done:
        assert newest_exchange_of_key(ORGANIZATION, "Key000000004", since=NOW - HOUR) is None
    assert "principal_id = ANY('{}'" in done.captured_queries[1]["sql"]


def test_rows_of_other_days_are_not_read_for_a_key() -> None:
    """Three days: its own and those beside it, since an exchange may have been admitted before midnight."""
    put_and_book(a_batch([an_event(40, at=NOW - 5 * DAY), an_event(41, at=NOW - 5 * DAY, key_id=OTHER_KEY)]))
    with CaptureQueriesContext(connection) as done:
        page = exchanges_page(ExchangeSearch(Scope(ORGANIZATION), since=NOW - 9 * DAY, key_id=NOBODYS_KEY))
    assert len(page.exchanges) == 2
    (searched,) = (each["sql"] for each in done.captured_queries if "DISTINCT exchange_id" in each["sql"])
    assert searched.count("day = ANY") == 1
    assert all(str((NOW + beside * DAY).date()) in searched for beside in (-1, 0, 1))


def test_rows_that_came_after_their_month_was_closed_are_found_by_the_day_of_their_admission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They count on the day on which they came, and lie where they were admitted."""
    old = NOW - 20 * DAY
    put_and_book(a_batch([an_event(50, at=old, key_id="Key000000005")]))
    UsageDay.objects.filter(key_id="Key000000005").update(day=NOW.date())
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE usage_ledger SET counted_at = %s WHERE key_id = 'Key000000005'", [NOW])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    monkeypatch.setattr(key_days, "closed_until", lambda organization_id: NOW)
    search = ExchangeSearch(Scope(ORGANIZATION), since=NOW - 30 * DAY, key_id="Key000000005")
    assert [each.id for each in exchanges_page(search).exchanges] == [an_exchange_id(50, at=old)]


def test_a_sum_that_bigint_cannot_hold_is_refused() -> None:
    with pytest.raises(DataError), connection.cursor() as cursor:
        cursor.execute("SELECT usage_total(number) FROM (VALUES (9223372036854775807), (1::bigint)) AS of (number)")
