"""What was posted to the counters of budgets is the sum of the ledger's rows that name them."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from control_plane.usage import listening, staging
from control_plane.usage.decisions import charges_of
from control_plane.usage.models import BudgetSpend, LedgerEntry
from control_plane.usage.refusals import BudgetRefusal
from control_plane.usage.spending import Counter, Posted
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.books import an_organization, book, ledger, put, put_and_book
from tests.control_plane.usage.charges import (
    BUDGET,
    DAY_MS,
    OTHER_BUDGET,
    a_budget_number,
    a_charge,
    a_rate,
    a_rule_seen,
    an_answer,
)
from tests.control_plane.usage.events import NOW, ORGANIZATION, a_batch, a_refusal, an_event, estimated
from tests.control_plane.usage.test_concurrency import in_threads


def spent() -> dict[tuple[str, str, int], tuple[int, int]]:
    """Posted and count of every counter."""
    return {
        (row.budget_id.hex[:2], row.counter, row.period_ms): (row.posted_nano_usd, row.count)
        for row in BudgetSpend.objects.all()
    }


def assert_spending_agrees() -> None:
    """C2: each counter is the sum of the rows that name it."""
    cost: Tally[Counter] = Tally()
    count: Tally[Counter] = Tally()
    for row in ledger():
        for charge in charges_of(row.decision):
            counter = Counter.of(row.organization_id, charge)
            cost[counter] += row.cost_nano_usd
            count[counter] += row.sign
    assert {row.id: (row.posted_nano_usd, row.count) for row in BudgetSpend.objects.all()} == {
        counter.id: (cost[counter], count[counter]) for counter in cost
    }


@contextmanager
def heard() -> Iterator[list[Posted]]:
    """What listeners are told while the block runs."""
    said: list[Posted] = []

    def hear(posted: Sequence[Posted], _refused: Sequence[BudgetRefusal]) -> None:
        said.extend(posted)

    listening.listen_to_spending(hear)
    try:
        yield said
    finally:
        listening._listeners.remove(hear)


@pytest.mark.django_db
def test_a_cost_counts_in_every_counter_that_the_event_names() -> None:
    an_organization()

    put_and_book(
        a_batch(
            [
                an_event(1, charges=[a_charge(), a_charge(OTHER_BUDGET, "ada", period_ms=0)]),
                an_event(2, charges=[a_charge(), a_charge(OTHER_BUDGET, "bob", period_ms=0)]),
                an_event(3),
            ]
        )
    )

    assert spent() == {
        ("b1", "", DAY_MS): (6_000_000, 2),
        ("b2", "ada", 0): (3_000_000, 1),
        ("b2", "bob", 0): (3_000_000, 1),
    }
    assert_spending_agrees()


@pytest.mark.django_db
def test_what_comes_twice_counts_once() -> None:
    an_organization()
    events = [an_event(1, charges=[a_charge()])]

    put_and_book(a_batch(events))
    put_and_book(a_batch(events, first_sequence=7))

    assert spent() == {("b1", "", DAY_MS): (3_000_000, 1)}


@pytest.mark.django_db
def test_a_surer_row_moves_the_cost_to_the_counters_that_it_names() -> None:
    an_organization()
    event = an_event(1, charges=[a_charge(counter="sonnet")])
    put_and_book(a_batch([estimated(an_event(1, charges=[a_charge(counter="opus")]))]))
    assert spent() == {("b1", "opus", DAY_MS): (1_000_000, 1)}

    put_and_book(a_batch([event], first_sequence=2))

    assert spent() == {("b1", "opus", DAY_MS): (0, 0), ("b1", "sonnet", DAY_MS): (3_000_000, 1)}
    assert_spending_agrees()


@pytest.mark.django_db
def test_an_event_that_comes_days_late_counts_in_the_period_that_it_names() -> None:
    an_organization()
    then = NOW - timedelta(days=3)
    old = DAY_MS - 3 * 86_400_000

    put_and_book(a_batch([an_event(1, at=then, charges=[a_charge(period_ms=old)])]))

    assert spent() == {("b1", "", old): (3_000_000, 1)}


@pytest.mark.django_db
def test_a_budget_goes_on_where_its_shadow_was() -> None:
    an_organization()

    put_and_book(a_batch([an_event(1, charges=[a_charge(is_shadow=True)]), an_event(2, charges=[a_charge()])]))

    assert spent() == {("b1", "", DAY_MS): (6_000_000, 2)}


@pytest.mark.django_db
def test_a_shadow_that_would_have_refused_counts_nothing() -> None:
    an_organization()
    rules = usage_pb2.RulesSeen(
        rules=[
            a_rule_seen(kind="access", period="", limit=0, resets_at_ms=0, candidates=0, verdict="allowed"),
            a_rule_seen(kind="rate", id="r1"),
            a_rule_seen(BUDGET, is_shadow=True, counter="{session}"),
            a_rule_seen(OTHER_BUDGET, is_shadow=True),
        ]
    )
    said = an_answer([a_rate()], [a_budget_number(counted=False, refused=True), a_budget_number()])
    charges = [a_charge(counter="session-1", is_shadow=True), a_charge(OTHER_BUDGET, is_shadow=True)]

    put_and_book(a_batch([an_event(1, charges=charges, rules=rules, counters_answer=said)]))

    assert spent() == {("b2", "", DAY_MS): (3_000_000, 1)}


@pytest.mark.django_db
def test_listeners_hear_where_each_counter_stands_and_are_part_of_the_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(ids: object) -> None:
        raise RuntimeError("the worker dies")

    an_organization()
    put_and_book(a_batch([an_event(1, charges=[a_charge()])]))
    put(a_batch([an_event(2, charges=[a_charge()]), an_event(3, charges=[a_charge()])], first_sequence=2))

    with heard() as said, monkeypatch.context() as patched:
        patched.setattr(staging, "delete_batches", die)
        with pytest.raises(RuntimeError):
            book()
    assert [(one.posted_nano_usd, one.added_nano_usd) for one in said] == [(9_000_000, 6_000_000)]
    assert spent() == {("b1", "", DAY_MS): (3_000_000, 1)}

    with heard() as said:
        book()
    counter = Counter(ORGANIZATION, BUDGET, "", DAY_MS)
    assert said == [Posted(counter, 9_000_000, 6_000_000)]


@pytest.mark.django_db
def test_a_refusal_charges_nothing() -> None:
    an_organization()

    put_and_book(a_batch([a_refusal(1)]))

    assert spent() == {}
    assert LedgerEntry.objects.get().decision is None


charges = some.lists(
    some.builds(
        a_charge,
        some.sampled_from([BUDGET, OTHER_BUDGET]),
        some.sampled_from(["", "ada", "bob/opus"]),
        period_ms=some.sampled_from([0, DAY_MS, DAY_MS - 86_400_000]),
        is_shadow=some.booleans(),
    ),
    max_size=4,
)
reported = some.builds(
    lambda number, charged, cost, is_estimate: _reported(number, charged, cost, is_estimate),
    some.integers(1, 6),
    charges,
    some.integers(0, 10**12),
    some.booleans(),
)


def _reported(
    number: int, charged: list[usage_pb2.Charge], cost_nano_usd: int, is_estimate: bool
) -> usage_pb2.UsageEvent:
    event = an_event(number, charges=charged, cost_nano_usd=cost_nano_usd)
    return estimated(event, cost_nano_usd) if is_estimate else event


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=some.lists(some.lists(reported, min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_sum_of_a_counter_is_the_sum_of_its_rows_whatever_comes_in_which_order(
    batches: list[list[usage_pb2.UsageEvent]],
) -> None:
    with transaction.atomic():
        an_organization()
        for number, events in enumerate(batches):
            put_and_book(a_batch(events, boot=f"boot-{number}".encode()))
            assert_spending_agrees()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_eight_aggregators_add_to_one_counter_and_nothing_is_lost() -> None:
    an_organization()
    for number in range(48):
        events = [an_event(number * 10 + at, charges=[a_charge(), a_charge(OTHER_BUDGET, str(at))]) for at in range(10)]
        put(a_batch(events, boot=f"boot-{number}".encode()))

    in_threads(8, book)

    assert spent()["b1", "", DAY_MS] == (480 * 3_000_000, 480)
    assert_spending_agrees()
