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
from control_plane.usage.selectors.parts import Parts, parts_of
from control_plane.usage.selectors.series import UnknownGrouping, usage_stack
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
    # Latencies of people are read from rows, as are parts of hours: for both it is asked whether a month is closed.
    with django_assert_num_queries(4):
        usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model")))
    with django_assert_num_queries(2):
        usage_series(SeriesQuery(EVERYONE, SINCE, UNTIL, group_by=("user", "model"), measures=("requests",)))
    hour = SINCE.replace(minute=0)
    with django_assert_num_queries(1):
        usage_series(SeriesQuery(EVERYONE, hour, hour + DAY, group_by=("user", "model"), measures=("requests",)))
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


@pytest.mark.parametrize("grouping", ["user", "failure"])
@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOW - timedelta(hours=24, minutes=23), NOW - timedelta(minutes=7)),
        (NOW - timedelta(hours=5, minutes=59), NOW + timedelta(minutes=10)),
        (NOW - timedelta(hours=8, minutes=15), NOW - timedelta(hours=7, minutes=12)),
    ],
    ids=["a day", "until now", "within an hour"],
)
def test_a_short_range_begins_and_ends_at_its_minute(
    since: datetime, until: datetime, grouping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_a_mixture()
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + timedelta(minutes=15))

    def sums(*groups: str, interval: Interval = Interval.TOTAL) -> dict[str, Measures]:
        found: dict[str, Measures] = {}
        for point in usage_series(SeriesQuery(EVERYONE, since, until, interval, BERLIN, group_by=groups)):
            found.setdefault(point.group[0], Measures()).merge(point.measures)
        return {name: measures for name, measures in found.items() if measures != Measures()}

    # What speaks of sessions is read from rows alone.
    truth = sums(grouping, "session")
    assert 0 < sum(measures.requests for measures in truth.values()) < 63
    assert sums(grouping) == truth
    assert sums(grouping, interval=Interval.HOUR) == truth
    stacked = usage_stack(
        SeriesQuery(EVERYONE, since, until, Interval.HOUR, BERLIN, group_by=(grouping,)), "requests", most=2
    )
    assert sum(point.value for point in stacked) == sum(measures.requests for measures in truth.values())


def test_a_short_range_of_a_tag_begins_at_its_minute_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOW + timedelta(minutes=15))
    hour = NOW - timedelta(hours=4)
    put_and_book(
        a_batch(
            [
                an_event(1, at=hour - timedelta(minutes=50), request_tags={"repository": "early"}),
                an_event(2, at=hour - timedelta(minutes=10), request_tags={"repository": "late"}),
                an_event(3, at=hour + timedelta(minutes=30), request_tags={"repository": "late"}),
                an_event(4, at=hour + timedelta(minutes=40), request_tags={}),
            ]
        )
    )
    query = SeriesQuery(EVERYONE, hour - timedelta(minutes=30), NOW, Interval.TOTAL, group_by=("metadata.repository",))
    found = {point.group[0]: point.measures.requests for point in usage_series(query) if point.measures.requests}
    assert found == {"late": 2, "": 1}


def test_a_range_is_divided_into_whole_hours_and_the_rest() -> None:
    at = datetime(2026, 11, 22, 10, 37, 20, tzinfo=UTC)
    hour = datetime(2026, 11, 22, 10, tzinfo=UTC)
    rolling = parts_of(at - timedelta(hours=6), at, at)
    begins = datetime(2026, 11, 22, 4, 37, tzinfo=UTC)
    assert rolling == Parts(hour - timedelta(hours=5), at, ((begins, hour - timedelta(hours=5)),))
    before = parts_of(at - timedelta(hours=12), at - timedelta(hours=6), at)
    assert before.ends[-1] == (datetime(2026, 11, 22, 4, tzinfo=UTC), begins)
    assert not parts_of(at - timedelta(minutes=120), at - timedelta(minutes=119), at).has_hours
    week = parts_of(at - timedelta(days=7), at, at)
    assert (week.since, week.ends) == (at - timedelta(days=7), ())
    assert parts_of(at - timedelta(days=40, hours=6), at - timedelta(days=40), at).ends == ()
