"""From the inbox to the ledger and its roll-ups."""

import random
from datetime import timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.usage import aggregation, staging
from control_plane.usage.models import (
    ConversationSession,
    InboxBatch,
    KeyLastUse,
    QuarantinedEvent,
    UsageDay,
    UsageHour,
)
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import (
    LEDGER_DAYS,
    an_organization,
    assert_books_agree,
    assert_one_standing_row_each,
    book,
    ledger,
    put,
    put_and_book,
    shape,
)
from tests.control_plane.usage.events import (
    KEY,
    NOW,
    a_batch,
    a_refusal,
    a_row,
    an_event,
    estimated,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _organization(db: None) -> None:
    an_organization()


def test_a_batch_becomes_ledger_rows_and_leaves_the_inbox() -> None:
    booked = put_and_book(a_batch([an_event(1), a_refusal(2)]))

    assert (booked.batches, booked.events, booked.rows, booked.quarantined) == (1, 2, 2, 0)
    assert not InboxBatch.objects.exists()
    assert ledger()[0] == a_row(1)
    assert [row.outcome for row in ledger()] == ["served", "refused"]
    assert_books_agree()


def test_a_batch_that_comes_twice_adds_nothing() -> None:
    batch = a_batch([an_event(number) for number in range(20)])
    put_and_book(batch)
    before = list(UsageHour.objects.values())

    booked = put_and_book(batch, batch)

    assert (booked.batches, booked.rows) == (1, 0)
    assert list(UsageHour.objects.values()) == before
    assert_books_agree()


def test_a_batch_that_begins_alike_but_holds_more_is_no_repeat() -> None:
    put(a_batch([an_event(1)]), a_batch([an_event(1), an_event(2)]))

    assert InboxBatch.objects.count() == 2
    assert book().rows == 2


@pytest.mark.parametrize(
    ("sizes", "claims"),
    [([1] * 7, [3, 3, 1]), ([5, 1, 1], [5, 2]), ([2, 2, 1], [2, 3]), ([1, 1, 5], [2, 5])],
    ids=["small ones together", "a large one alone", "never beyond the bound", "a large one waits"],
)
def test_a_claim_takes_batches_up_to_so_many_events(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], claims: list[int]
) -> None:
    monkeypatch.setattr(aggregation, "MOST_EVENTS", 3)
    for first, size in enumerate(sizes):
        events = [an_event(100 * first + number) for number in range(size)]
        put(a_batch(events, first_sequence=1 + 100 * first))

    taken = [aggregation.book_claim(now=NOW, ledger_days=LEDGER_DAYS).events for _ in claims]

    assert taken == claims
    assert book().batches == 0
    assert_books_agree()


def test_a_final_takes_the_place_of_a_booked_estimate() -> None:
    event = an_event(1)
    put_and_book(a_batch([estimated(event)]))
    put_and_book(a_batch([event], first_sequence=2))

    assert shape() == [("01", "estimated", 1_000_000), ("01", "final", 3_000_000), ("01", "reversal", -1_000_000)]
    assert UsageDay.objects.filter(outcome="served").get().cost_nano_usd == 3_000_000
    undone = UsageDay.objects.get(outcome="internal")
    assert (undone.cost_nano_usd, undone.requests, undone.errors, undone.estimates) == (0, 0, 0, 0)
    assert_books_agree()


def test_an_estimate_after_the_final_is_dropped() -> None:
    event = an_event(1)
    put_and_book(a_batch([event]))
    put_and_book(a_batch([estimated(event)], first_sequence=2))

    assert shape() == [("01", "final", 3_000_000)]
    assert_books_agree()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_of_any_batches_gives_the_same_sums(data: st.DataObject) -> None:
    events = [an_event(number, session_id=f"s{number % 2}") for number in range(4)]
    reports = [*events, *(estimated(event) for event in events), a_refusal(9)]
    batches = data.draw(st.lists(st.lists(st.sampled_from(reports), max_size=5), max_size=5))
    with transaction.atomic():
        for number, batch in enumerate([*batches, reports]):
            put_and_book(a_batch(batch, first_sequence=1 + 10 * number))

        assert sum(row.cost_nano_usd for row in ledger()) == 4 * 3_000_000
        assert_one_standing_row_each()
        assert_books_agree()
        transaction.set_rollback(True)


def test_events_of_several_days_find_their_partitions() -> None:
    put_and_book(
        a_batch([an_event(1), an_event(2, at=NOW - timedelta(days=3)), an_event(3, at=NOW - timedelta(days=90))])
    )

    assert len({row.day for row in ledger()}) == 3
    assert_books_agree()


def test_odd_events_are_kept_aside_once_and_the_rest_is_booked() -> None:
    batch = a_batch([an_event(1), an_event(2, cost_nano_usd=-1), an_event(3, organization_id="ff" * 16)])
    first = put_and_book(batch)
    put_and_book(batch)

    assert (first.rows, first.quarantined) == (1, 2)
    odd = list(QuarantinedEvent.objects.order_by("sequence"))
    assert [(event.reason, event.sequence) for event in odd] == [("number_absurd", 2), ("organization_unknown", 3)]
    assert usage_pb2.UsageEvent.FromString(bytes(odd[0].payload)) == batch.events[1].event


def test_an_unreadable_batch_is_parked_and_holds_nobody_up() -> None:
    put(a_batch([an_event(1)]))
    broken = InboxBatch.objects.get()
    broken.pk = None
    broken.payload, broken.first_sequence = b"\xff\xff\xff", 7
    broken.save()
    put(a_batch([an_event(2)], first_sequence=9))

    booked = book()

    assert (booked.rows, booked.parked) == (2, 1)
    assert InboxBatch.objects.get().parked_reason == "the payload is no UsageBatch"
    assert book().batches == 0


def test_the_ledger_refuses_to_be_changed() -> None:
    put_and_book(a_batch([an_event(1)]))

    with (
        pytest.raises(ProgrammingError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE usage_ledger SET cost_nano_usd = 0")
    with (
        pytest.raises(ProgrammingError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM usage_ledger")


def test_sessions_and_last_uses_grow() -> None:
    later = NOW + timedelta(minutes=2)
    put_and_book(a_batch([an_event(1)]))
    put_and_book(a_batch([an_event(2, at=later, model="claude-haiku-4-5", agent_id="explorer")], first_sequence=2))

    session = ConversationSession.objects.get()
    assert (session.requests, session.cost_nano_usd, session.first_seen, session.last_seen) == (
        2,
        6_000_000,
        NOW,
        later,
    )
    assert session.model_names == ["claude-haiku-4-5", "claude-sonnet-4-6"]
    assert session.agent_ids == ["explorer"]
    use = KeyLastUse.objects.get()
    assert (use.key_id, use.used_at, use.client) == (KEY, later, "claude-code")


def test_an_older_event_does_not_turn_a_last_use_back() -> None:
    put_and_book(a_batch([an_event(2)]))
    put_and_book(a_batch([an_event(1, at=NOW - timedelta(hours=2))], first_sequence=2))

    assert KeyLastUse.objects.get().used_at == NOW


def test_a_worker_that_fails_in_the_middle_leaves_everything_in_the_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    put(a_batch([an_event(1), an_event(2)]))

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(staging, "delete_batches", fail)
    with pytest.raises(MemoryError):
        book()
    monkeypatch.undo()

    assert ledger() == []
    assert not UsageHour.objects.exists()
    assert book().rows == 2
    assert_books_agree()


def test_many_random_batches_agree() -> None:
    chance = random.Random(11)
    kinds = [
        lambda number: an_event(number, session_id=f"s{number % 9}", model=f"m{number % 4}", key_id=f"key{number % 6}"),
        lambda number: a_refusal(number),
        lambda number: an_event(number, outcome=usage_pb2.OUTCOME_FAILED, client_status=502, is_subscription=True),
        lambda number: estimated(an_event(number)),
    ]
    for batch in range(6):
        events = [chance.choice(kinds)(chance.randrange(400)) for _ in range(120)]
        put(a_batch(events, first_sequence=1 + 200 * batch))
    booked = book()

    assert booked.events == 720
    assert_one_standing_row_each()
    assert_books_agree()
