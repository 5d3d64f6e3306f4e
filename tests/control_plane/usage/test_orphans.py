"""Attempts of which only the counter store knows: estimated, shown as such, and replaced when the truth comes."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from control_plane.keys.models import VirtualKey
from control_plane.usage.aggregation import book_rows
from control_plane.usage.completeness import completeness, orphan_accept
from control_plane.usage.inbox import PostgresInbox, read_batch
from control_plane.usage.models import BudgetSpend, Orphan, QuarantinedEvent
from control_plane.usage.never_sent import NOTHING_WAS_SENT
from control_plane.usage.orphan_sweep import Swept, orphans_book
from control_plane.usage.selectors import ExchangeSearch, Scope, exchanges_page
from data_plane.counters.packing import member_of
from data_plane.counters.reference_contents import PodFacts
from data_plane.counters.renewing import renewal_of
from data_plane.policy.claims import Claims
from data_plane.policy.grant import Ask
from switchyard_contract.holds import due_key, held_key, lost_key, maker_text, read_hold, spool_name
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import SYSTEM, Tenant, a_key, a_tenant
from tests.control_plane.usage.books import assert_books_agree, assert_one_standing_row_each, ledger, put_and_book
from tests.control_plane.usage.events import BOOT, NOW, POD, a_batch, an_event, an_exchange_id
from tests.data_plane.counters.builders import RawStore, a_budget, a_rate, amounts

pytestmark = pytest.mark.django_db

START_US = int(NOW.timestamp() * 1_000_000)
BUDGET = "0e" * 16
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def store(counters_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(counters_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def pods(store: redis.Redis, counters_url: str) -> RawStore:
    """What pods say to the store."""
    return RawStore(counters_url)


@pytest.fixture
def tenant(db: None) -> Tenant:
    return a_tenant()


@pytest.fixture
def key(tenant: Tenant) -> VirtualKey:
    return a_key(tenant).key


def claims_of(tenant: Tenant, key: VirtualKey, *, has_budget: bool = True) -> Claims:
    return Claims(
        organization_id=tenant.organization.id.hex,
        key_id=key.key_id,
        generation=0,
        rates=(a_rate(100),),
        budgets=(a_budget(10, id=BUDGET, period="0"),) if has_budget else (),
        rules_seen=b"",
        valid_until_ms=0,
        model="claude-opus-4-8",
    )


def an_ask(number: int) -> Ask:
    return Ask(
        exchange_id=an_exchange_id(number, NOW),
        attempt=1,
        first=amounts(0.25),
        second=None,
        session_id="",
        is_tool_loop=False,
        is_further=False,
    )


def lapse(pods: RawStore, tenant: Tenant, after: timedelta = timedelta(seconds=121)) -> None:
    """Another pod speaks of the organization once nobody has renewed what is held."""
    at_us = START_US + int(after.total_seconds() * 1_000_000)
    pods.raw(renewal_of(tenant.organization.id.hex, [], generation=0, seen=(-1, 0), at_us=at_us))


def test_what_a_lost_pod_held_becomes_an_estimate_that_says_so(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    for number in (1, 2):
        pods.reserve(claims_of(tenant, key), an_ask(number), START_US)
    assert orphans_book(store=store, now=NOW) == Swept()
    lapse(pods, tenant)

    assert orphans_book(store=store, now=LATER) == Swept(booked=2)
    assert orphans_book(store=store, now=LATER) == Swept()

    row = ledger()[0]
    assert (row.kind, row.outcome, row.error_type, row.exchange_id) == (
        "orphan_estimated",
        "failed",
        "pod_lost",
        an_exchange_id(1, NOW),
    )
    assert (row.cost_nano_usd, row.model, row.key_id) == (250_000_000, "claude-opus-4-8", key.key_id)
    assert (row.principal_id, row.team_id) == (key.user_id, key.team_id)
    assert row.started_at == NOW
    assert BudgetSpend.objects.get().posted_nano_usd == 500_000_000
    assert [one.pod_id for one in Orphan.objects.all()] == [row.pod_id] * 2
    assert completeness(now=LATER).orphans == 2
    assert not store.exists(lost_key(tenant.organization.id.hex))
    assert_books_agree()
    shown = exchanges_page(ExchangeSearch(Scope(tenant.organization.id), since=NOW - timedelta(hours=1)))
    assert {one.kind for one in shown.exchanges} == {"orphan_estimated"}


def test_the_truth_takes_its_place_and_is_not_added(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key), an_ask(1), START_US)
    lapse(pods, tenant)
    orphans_book(store=store, now=LATER)

    charge = usage_pb2.Charge(budget_id=BUDGET, counter="", period="0")
    truth = an_event(
        1, at=NOW, organization_id=tenant.organization.id.hex, key_id=key.key_id, cost_nano_usd=7, charges=[charge]
    )
    put_and_book(a_batch([truth]))

    assert [(row.kind, row.cost_nano_usd) for row in ledger()] == [
        ("final", 7),
        ("orphan_estimated", 250_000_000),
        ("reversal", -250_000_000),
    ]
    assert BudgetSpend.objects.get().posted_nano_usd == 7
    assert Orphan.objects.get().settled_at is not None
    assert completeness(now=LATER).is_complete
    assert_one_standing_row_each()
    assert_books_agree()


def test_what_is_in_the_ledger_already_is_no_orphan(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key), an_ask(1), START_US)
    put_and_book(a_batch([an_event(1, at=NOW, organization_id=tenant.organization.id.hex)]))
    lapse(pods, tenant)

    assert orphans_book(store=store, now=LATER) == Swept(known=1)
    assert [row.kind for row in ledger()] == ["final"]
    assert not Orphan.objects.exists()
    assert not store.exists(lost_key(tenant.organization.id.hex))


def test_where_no_pod_is_left_the_overdue_is_read_from_where_it_is_held(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key, has_budget=False), an_ask(1), START_US)

    assert orphans_book(store=store, now=NOW + timedelta(seconds=179)) == Swept()
    assert orphans_book(store=store, now=NOW + timedelta(seconds=181)) == Swept(booked=1)
    assert ledger()[0].cost_nano_usd == 250_000_000
    # Only pods give back; when one does, it is known already.
    assert store.hlen(held_key(tenant.organization.id.hex)) == 1
    lapse(pods, tenant, timedelta(minutes=10))
    assert orphans_book(store=store, now=LATER) == Swept(known=1)
    assert len(ledger()) == 1


def test_a_pod_that_comes_back_speaks_for_itself(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    claims, ask = claims_of(tenant, key), an_ask(1)
    answer = pods.reserve(claims, ask, START_US)
    lapse(pods, tenant)
    pods.settle(claims, ask, answer, 0, 0, 0, START_US + 130_000_000, flags=0)

    assert orphans_book(store=store, now=LATER) == Swept()
    assert ledger() == []


def test_what_cannot_be_read_stays_and_stops_nothing(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key), an_ask(1), START_US)
    lapse(pods, tenant)
    name = lost_key(tenant.organization.id.hex)
    store.hset(name, "no member", b"x")
    store.hset(name, f"{an_exchange_id(2, NOW)}:1", b"\x93\x01\x02")

    assert orphans_book(store=store, now=LATER) == Swept(booked=1, unreadable=2)
    assert store.hlen(name) == 2


def test_a_pod_may_not_report_one(tenant: Tenant) -> None:
    said = an_event(organization_id=tenant.organization.id.hex, kind=usage_pb2.USAGE_KIND_ORPHAN_ESTIMATED)

    put_and_book(a_batch([said]))

    assert ledger() == []
    assert QuarantinedEvent.objects.get().reason == "kind_unknown"


def test_an_orphan_at_another_price_is_still_one(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key), an_ask(1), START_US)
    lapse(pods, tenant)
    orphans_book(store=store, now=LATER)
    with transaction.atomic():
        book_rows([replace(ledger()[0], revision=1, cost_nano_usd=9)], now=LATER)

    assert sum(row.cost_nano_usd for row in ledger()) == 9
    assert Orphan.objects.get().settled_at is None
    assert_books_agree()


def test_an_estimate_that_was_kept_is_still_replaced_by_a_truth(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    pods.reserve(claims_of(tenant, key), an_ask(1), START_US)
    lapse(pods, tenant)
    orphans_book(store=store, now=LATER)
    orphan_accept(orphan=Orphan.objects.get(), actor=SYSTEM, note="The host burned.", now=LATER)

    put_and_book(a_batch([an_event(1, at=NOW, organization_id=tenant.organization.id.hex)]))

    assert sum(row.cost_nano_usd for row in ledger()) == 3_000_000
    assert Orphan.objects.get().note == "The host burned."


def test_a_hold_names_the_key_the_pod_the_model_and_the_counters(
    tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
) -> None:
    ask = an_ask(1)
    pods.reserve(claims_of(tenant, key), ask, START_US)

    text = store.hget(held_key(tenant.organization.id.hex), member_of(ask))
    assert text is not None
    hold = read_hold(text)
    assert (hold.key_id, hold.model, hold.expected_nano_usd) == (key.key_id, "claude-opus-4-8", 250_000_000)
    assert [(one.budget_id, one.period, one.counter) for one in hold.budgets] == [(BUDGET, "0", "")]
    assert UUID(hold.budgets[0].budget_id)
    assert store.zscore(due_key(tenant.organization.id.hex), member_of(ask)) == START_US // 1000 + 120_000
    with pytest.raises(ValueError, match="cut off"):
        read_hold(text[:-1])


# What was never sent.


async def told(said: usage_pb2.UsageBatch) -> None:
    """Have the real inbox store a batch."""
    async with PostgresInbox(connection.settings_dict) as inbox:
        await inbox.store(read_batch(said))


def speak(
    run: int,
    whole_since: int,
    events: list[usage_pb2.UsageEvent] | None = None,
    first_sequence: int = 1,
    boot: bytes = BOOT,
) -> None:
    """The pod's spool reports, and says of its former runs that all they wrote is stored."""
    said = a_batch(events or [], first_sequence=first_sequence, boot=boot)
    said.former_runs.run, said.former_runs.whole_since = run, whole_since
    async_to_sync(told)(said)


def hold(pods: RawStore, tenant: Tenant, key: VirtualKey, number: int, run: int, *, boot: bytes = BOOT) -> None:
    """A run of the pod reserves, and is killed before it has written anything down."""
    maker = PodFacts(pod_id=maker_text(POD, boot, run))
    pods.reserve(claims_of(tenant, key), an_ask(number), START_US, pod=maker)


@pytest.mark.django_db(transaction=True)
class TestNeverSent:
    def test_what_a_run_held_and_its_disk_knows_nothing_of_is_no_orphan(
        self, tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
    ) -> None:
        hold(pods, tenant, key, 1, run=4)
        speak(run=5, whole_since=1)
        lapse(pods, tenant)

        assert orphans_book(store=store, now=LATER) == Swept(never_sent=1)
        assert ledger() == []
        assert not Orphan.objects.exists()
        assert not store.exists(lost_key(tenant.organization.id.hex))
        assert completeness(now=LATER).is_complete

    @pytest.mark.parametrize(
        "why", ["another disk", "the run that speaks", "before what is whole", "nothing is whole", "no word", "a gap"]
    )
    def test_where_that_is_not_known_it_is_estimated(
        self, tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore, why: str
    ) -> None:
        run = {"the run that speaks": 5, "before what is whole": 2}.get(why, 4)
        hold(pods, tenant, key, 1, run=run, boot=b"lost" * 4 if why == "another disk" else BOOT)
        if why == "a gap":
            speak(5, 3, [an_event(7, at=NOW, organization_id=tenant.organization.id.hex)], first_sequence=3)
        elif why != "no word":
            speak(run=5, whole_since=5 if why == "nothing is whole" else 3)
        lapse(pods, tenant)

        assert orphans_book(store=store, now=LATER) == Swept(booked=1)

    def test_an_estimate_is_taken_back_when_its_spool_speaks_again(
        self, tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
    ) -> None:
        hold(pods, tenant, key, 1, run=4)
        hold(pods, tenant, key, 2, run=4, boot=b"lost" * 4)
        lapse(pods, tenant)
        assert orphans_book(store=store, now=LATER) == Swept(booked=2)
        kept, false = Orphan.objects.get(exchange_id=an_exchange_id(2, NOW)), an_exchange_id(1, NOW)
        assert (kept.spool, kept.run) == (spool_name(b"lost" * 4), 4)

        speak(run=5, whole_since=1)
        assert orphans_book(store=store, now=LATER) == Swept(taken_back=1)
        assert orphans_book(store=store, now=LATER) == Swept()

        assert sum(row.cost_nano_usd for row in ledger()) == 250_000_000
        assert [(row.kind, row.cost_nano_usd) for row in ledger() if row.exchange_id == false] == [
            ("orphan_estimated", 250_000_000),
            ("reversal", -250_000_000),
        ]
        closed = Orphan.objects.get(exchange_id=false)
        assert (closed.settled_at, closed.settled_by, closed.note) == (LATER, "", NOTHING_WAS_SENT)
        assert BudgetSpend.objects.get().posted_nano_usd == 250_000_000
        assert_books_agree()
        shown = exchanges_page(ExchangeSearch(Scope(tenant.organization.id), since=NOW - timedelta(hours=1)))
        assert [one.id for one in shown.exchanges] == [kept.exchange_id]

    def test_a_truth_that_comes_after_all_is_booked_once(
        self, tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
    ) -> None:
        hold(pods, tenant, key, 1, run=4)
        lapse(pods, tenant)
        orphans_book(store=store, now=LATER)
        speak(run=5, whole_since=1)
        orphans_book(store=store, now=LATER)

        put_and_book(a_batch([an_event(1, at=NOW, organization_id=tenant.organization.id.hex, cost_nano_usd=7)]))

        assert [(row.kind, row.cost_nano_usd) for row in ledger()] == [
            ("final", 7),
            ("orphan_estimated", 250_000_000),
            ("reversal", -250_000_000),
        ]
        assert_books_agree()

    def test_what_came_before_is_not_taken_back(
        self, tenant: Tenant, key: VirtualKey, store: redis.Redis, pods: RawStore
    ) -> None:
        hold(pods, tenant, key, 1, run=4)
        lapse(pods, tenant)
        orphans_book(store=store, now=LATER)
        speak(run=5, whole_since=1)
        put_and_book(a_batch([an_event(1, at=NOW, organization_id=tenant.organization.id.hex, cost_nano_usd=7)]))

        assert orphans_book(store=store, now=LATER) == Swept()
        assert sum(row.cost_nano_usd for row in ledger()) == 7
        assert Orphan.objects.get().note == ""
