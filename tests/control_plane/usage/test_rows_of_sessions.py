"""Rows of a session are found by whose it is and when it was seen: all of them, and none of another session's."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from control_plane.sessions.selectors.listing import SessionQuery, newest_first, sessions_matching
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors import ExchangeSearch, Scope, exchanges_page, session_curve
from tests.control_plane.usage.books import an_organization, put_and_book
from tests.control_plane.usage.events import KEY, NOW, ORGANIZATION, a_batch, an_event, an_exchange_id

pytestmark = pytest.mark.django_db

OTHER_KEY = "Key000000002"
HOUR = timedelta(hours=1)


def ids(*numbers: int) -> set[str]:
    return {an_exchange_id(number, NOW - HOUR * (number // 10)) for number in numbers}


@pytest.fixture(autouse=True)
def _rows(db: None) -> None:
    an_organization()
    events = [an_event(number, session_id="one") for number in range(3)]
    events += [an_event(number, session_id="one", at=NOW - HOUR) for number in (10, 11)]
    # The key had another owner then; another key's session is called the same; another session is between.
    events += [an_event(20, session_id="one", at=NOW - 2 * HOUR, principal_id=UUID(int=9).hex)]
    events += [an_event(3, session_id="one", key_id=OTHER_KEY), an_event(4, session_id="two")]
    put_and_book(a_batch(events))


def test_a_session_is_all_of_its_rows_whoever_owned_the_key() -> None:
    scope = Scope(ORGANIZATION)
    mine = ConversationSession.objects.get(session_id="one", key_id=KEY)
    assert {point.exchange_id for point in session_curve(scope, mine)} == ids(0, 1, 2, 10, 11, 20)


def test_an_exchange_that_waited_for_hours_before_its_first_attempt_is_in_its_session() -> None:
    admitted = an_exchange_id(40, NOW - 2 * HOUR)
    put_and_book(a_batch([an_event(40, session_id="slow", at=NOW, exchange_id=admitted)]))
    slow = ConversationSession.objects.get(session_id="slow")
    assert [point.exchange_id for point in session_curve(Scope(ORGANIZATION), slow)] == [admitted]


@pytest.mark.parametrize(("name", "numbers"), [("one", (0, 1, 2, 3, 10, 11, 20)), ("two", (4,)), ("nobody", ())])
def test_exchanges_of_a_name_are_those_of_all_sessions_called_so(name: str, numbers: tuple[int, ...]) -> None:
    search = ExchangeSearch(Scope(ORGANIZATION), since=NOW - 5 * HOUR, session_id=name)
    assert {each.id for each in exchanges_page(search).exchanges} == ids(*numbers)


def test_sessions_come_newest_first_page_by_page() -> None:
    put_and_book(a_batch([an_event(30 + n, session_id=f"s{n}", at=NOW - n * HOUR / 4) for n in range(1, 9)]))
    rows = sessions_matching(SessionQuery(Scope(ORGANIZATION), since=NOW - HOUR * 7 / 4))
    expected = list(rows.order_by("-last_seen", "id").values_list("id", flat=True))
    assert len(expected) == 3 + 7

    found: list[UUID] = []
    after = None
    while page := list(newest_first(rows, after)[:3]):
        found += [each.id for each in page]
        after = (page[-1].last_seen, page[-1].id)
    assert found == expected


def test_a_session_that_goes_on_stays_where_it_is() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'usage_conversationsession'")
        indexed = " ".join(row[0] for row in cursor.fetchall())
    # An update that changes what is indexed would have to write into every index.
    assert "last_seen" not in indexed
    assert "moved_at" not in indexed
    put_and_book(a_batch([an_event(5, session_id="two", at=NOW + timedelta(seconds=1))]))
    later = ConversationSession.objects.get(session_id="two")
    assert (later.requests, later.last_seen) == (2, NOW + timedelta(seconds=1))
    assert later.moved_part <= later.moved_at < later.moved_part + timedelta(minutes=10)
    assert later.seen_hour <= later.last_seen < later.seen_hour + HOUR
