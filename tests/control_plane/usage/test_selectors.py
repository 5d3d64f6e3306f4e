"""Questions about usage, answered from roll-ups and rows."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pytest_django import DjangoAssertNumQueries

from control_plane.usage.rollups import Measures
from control_plane.usage.selectors import (
    GROUPINGS,
    ExchangeSearch,
    Interval,
    Scope,
    SeriesQuery,
    exchange_by_id,
    exchanges_page,
    failed_authentications,
    inbox_standing,
    newest_exchange_of_key,
    usage_page,
    usage_series,
    usage_total,
)
from control_plane.usage.selectors.series import UnknownGrouping
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import an_organization, book, put, put_and_book
from tests.control_plane.usage.events import (
    KEY,
    NOW,
    ORGANIZATION,
    PRINCIPAL,
    a_batch,
    a_refusal,
    an_event,
    an_exchange_id,
    estimated,
)

pytestmark = pytest.mark.django_db

EVERYONE = Scope(ORGANIZATION)
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
SINCE, UNTIL = NOW - 2 * DAY + timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _organization(db: None) -> None:
    an_organization()


def put_a_mixture() -> None:
    """Sixty exchanges of two days: refusals, failures, second attempts, estimates that were replaced."""
    chance = random.Random(3)
    for number in range(60):
        at = NOW - timedelta(minutes=chance.randrange(60 * 40))
        event = an_event(
            number,
            at=at,
            session_id=f"s{number % 4}",
            model=f"m{number % 3}",
            client=chance.choice(["codex", "claude-code"]),
            first_token_us=chance.randrange(0, 10**6),
            is_subscription=chance.random() < 0.2,
        )
        events = [event]
        if number % 5 == 0:
            event.outcome, event.client_status = usage_pb2.OUTCOME_FAILED, 0
            events.append(an_event(number, at=at, attempt=2, session_id=event.session_id))
        if number % 7 == 0:
            put_and_book(a_batch([estimated(event)], first_sequence=5000 + number))
        put(a_batch(events, first_sequence=1 + 10 * number))
    put(a_batch([a_refusal(900 + number) for number in range(3)], first_sequence=3000))
    book()


@pytest.mark.parametrize("grouping", [*GROUPINGS, "session"])
def test_rows_and_roll_ups_say_the_same(grouping: str) -> None:
    put_a_mixture()
    by_session = usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, Interval.TOTAL, group_by=(grouping, "session")))
    summed: dict[str, Measures] = {}
    for point in by_session:
        summed.setdefault(point.group[0], Measures()).merge(point.measures)

    if grouping == "session":
        whole = usage_total(EVERYONE, since=SINCE, until=UNTIL)
        total = Measures()
        for measures in summed.values():
            total.merge(measures)
        assert total == whole
    else:
        from_rollups = usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, Interval.TOTAL, group_by=(grouping,)))
        found = {point.group[0]: point.measures for point in from_rollups}
        # Groups that were wholly taken back may stay as zeros.
        assert {name: one for name, one in found.items() if one != Measures()} == {
            name: one for name, one in summed.items() if one != Measures()
        }


def test_days_begin_where_the_reader_lives() -> None:
    put_and_book(
        a_batch(
            [
                an_event(1, at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC)),
                an_event(2, at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC)),
                an_event(3, at=datetime(2026, 11, 21, 9, 0, tzinfo=UTC)),
            ]
        )
    )

    def requests(zone: ZoneInfo) -> list[tuple[datetime | None, int]]:
        since = datetime(2026, 11, 20, tzinfo=zone)
        query = SeriesQuery(EVERYONE, since, since + 2 * DAY, Interval.DAY, zone)
        return [(point.start, point.measures.requests) for point in usage_series(query)]

    assert requests(ZoneInfo("UTC")) == [
        (datetime(2026, 11, 20, tzinfo=UTC), 2),
        (datetime(2026, 11, 21, tzinfo=UTC), 1),
    ]
    assert requests(BERLIN) == [
        (datetime(2026, 11, 20, tzinfo=BERLIN), 1),
        (datetime(2026, 11, 21, tzinfo=BERLIN), 2),
    ]


def test_a_scope_of_one_person_holds_nobody_elses_usage() -> None:
    other = UUID("0e" * 16)
    put_and_book(a_batch([an_event(1), an_event(2, principal_id=other.hex)]))
    own = Scope(ORGANIZATION, frozenset({PRINCIPAL}))

    assert usage_total(own, since=SINCE, until=UNTIL).requests == 1
    page = exchanges_page(ExchangeSearch(own, since=SINCE))
    assert [one.last.principal_id for one in page.exchanges] == [PRINCIPAL]
    assert exchange_by_id(own, an_exchange_id(2)) is None
    assert usage_total(Scope(ORGANIZATION, frozenset()), since=SINCE, until=UNTIL) == Measures()


def test_a_range_that_is_empty_has_no_points() -> None:
    assert usage_series(SeriesQuery(EVERYONE, UNTIL, SINCE)) == []
    assert usage_total(EVERYONE, since=SINCE, until=UNTIL) == Measures()


def test_an_unknown_grouping_is_no_column() -> None:
    with pytest.raises(UnknownGrouping):
        usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("organization_id",)))


def test_attempts_fold_into_one_exchange() -> None:
    failed = an_event(1, outcome=usage_pb2.OUTCOME_FAILED, upstream_status=529, duration_us=700_000)
    served = an_event(1, attempt=2, provider_name="second", model="claude-haiku-4-5")
    served.started_at_ms += 800
    put_and_book(a_batch([failed, served]))

    exchange = exchange_by_id(EVERYONE, an_exchange_id(1))

    assert exchange is not None
    assert (exchange.attempt_count, exchange.last.provider_name, exchange.last.model) == (
        2,
        "second",
        "claude-haiku-4-5",
    )
    assert (exchange.cost_nano_usd, exchange.tokens.cache_read) == (6_000_000, 2000)
    assert (exchange.duration_us, exchange.first_token_us) == (2_800_000, 1_200_000)


def test_an_estimate_that_was_replaced_is_not_found() -> None:
    put_and_book(a_batch([estimated(an_event(1))]))
    before = exchanges_page(ExchangeSearch(EVERYONE, since=SINCE, kind="estimated")).exchanges
    put_and_book(a_batch([an_event(1)], first_sequence=2))

    assert [one.kind for one in before] == ["estimated"]
    assert exchanges_page(ExchangeSearch(EVERYONE, since=SINCE, kind="estimated")).exchanges == ()
    (exchange,) = exchanges_page(ExchangeSearch(EVERYONE, since=SINCE)).exchanges
    assert (exchange.kind, exchange.cost_nano_usd) == ("final", 3_000_000)


def test_a_request_id_finds_its_exchange_however_old() -> None:
    old = NOW - 200 * DAY
    put_and_book(a_batch([an_event(1, at=old, upstream_request_id="req_1"), an_event(2)]))

    ours = exchanges_page(ExchangeSearch(EVERYONE, request_id=an_exchange_id(1, old))).exchanges
    theirs = exchanges_page(ExchangeSearch(EVERYONE, since=old - DAY, request_id="req_1")).exchanges

    assert [one.id for one in ours] == [one.id for one in theirs] == [an_exchange_id(1, old)]


def test_the_newest_exchange_of_a_key_since_an_instant() -> None:
    put_and_book(a_batch([an_event(1), an_event(2, at=NOW + timedelta(seconds=9)), an_event(3, key_id="other")]))

    newest = newest_exchange_of_key(ORGANIZATION, KEY, since=NOW - timedelta(minutes=1))

    assert newest is not None
    assert newest.id == an_exchange_id(2, NOW + timedelta(seconds=9))
    assert newest_exchange_of_key(ORGANIZATION, KEY, since=NOW + timedelta(minutes=1)) is None


def test_a_series_and_a_page_are_few_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    put_a_mixture()
    # Latencies of people are read from rows, for which it is asked whether a month is closed.
    with django_assert_num_queries(3):
        usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model")))
    with django_assert_num_queries(1):
        usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model"), measures=("requests",)))
    with django_assert_num_queries(2):
        exchanges_page(ExchangeSearch(EVERYONE, since=SINCE), limit=40)


def test_the_standing_of_the_inbox_counts_what_waits() -> None:
    put(a_batch([an_event(1), an_event(2)]))
    standing = inbox_standing()

    assert (standing.waiting_batches, standing.waiting_events, standing.parked_batches) == (1, 2, 0)
    assert standing.oldest_received_at is not None
    book()
    assert inbox_standing().waiting_batches == 0
    assert failed_authentications(since=SINCE) == []


def test_few_sums_and_all_sums_name_the_same_groups_in_the_same_order() -> None:
    put_a_mixture()
    whole = usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model")))
    few = SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model"), measures=("requests",), most_points=2)
    found, after = [], None
    while True:
        page = usage_page(few, after=after)
        found += page.points
        if (after := page.next) is None:
            break

    assert [(one.start, one.group, one.measures.requests, one.measures.cost_nano_usd) for one in found] == [
        (one.start, one.group, one.measures.requests, one.measures.cost_nano_usd) for one in whole
    ]
