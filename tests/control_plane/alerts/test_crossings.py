"""A stage is crossed once, by the booking that crosses it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control_plane.alerts.models import Delivery, StageCrossing
from control_plane.alerts.services import crossings_sweep
from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.rules.models import Mode
from control_plane.usage import staging
from control_plane.usage.aggregation import book_waiting
from tests.builders.tenants import Tenant
from tests.control_plane.alerts.world import DOLLAR, STAGES, a_budget, period_of, spend, spending
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import NOW
from tests.control_plane.usage.test_concurrency import in_threads

pytestmark = pytest.mark.django_db


def crossed() -> list[tuple[str, int, str]]:
    rows = StageCrossing.objects.order_by("counter", "at_percent")
    return [(row.counter, row.at_percent, row.action) for row in rows]


def a_raise(budget: Budget, dollars: int, *, counter: str = "", until: timedelta = timedelta(days=1)) -> BudgetRaise:
    now = timezone.now()
    return BudgetRaise.objects.create(
        organization=budget.organization,
        budget=budget,
        counter=counter,
        amount_nano_usd=dollars * DOLLAR,
        from_at=now - timedelta(hours=1),
        until_at=now + until,
    )


def test_a_line_is_crossed_when_the_sum_reaches_it_exactly(acme: Tenant) -> None:
    budget = a_budget(acme)

    spend(budget, 7.99)
    assert crossed() == []
    spend(budget, 0.01)

    crossing = StageCrossing.objects.get()
    assert (crossing.at_percent, crossing.action, crossing.notify) == (80, "alert", ["team_lead", "finance"])
    assert (crossing.posted_nano_usd, crossing.limit_nano_usd, crossing.percent) == (8 * DOLLAR, 10 * DOLLAR, 80)
    assert (crossing.next_percent, crossing.next_action) == (95, "downgrade")
    assert crossing.organization_id == acme.organization.id


def test_a_line_is_crossed_once_however_much_is_spent_beyond_it(acme: Tenant, hints: list[str]) -> None:
    budget = a_budget(acme)

    for _ in range(5):
        spend(budget, 1.7)

    assert crossed() == [("", 80, "alert")]
    spend(budget, 1.7)
    assert crossed() == [("", 80, "alert"), ("", 95, "downgrade"), ("", 100, "block")]
    assert set(hints) <= {"alerts.send"}


def test_one_booking_may_cross_every_line(acme: Tenant) -> None:
    spend(a_budget(acme), 12)

    assert crossed() == [("", 80, "alert"), ("", 95, "downgrade"), ("", 100, "block")]


def test_each_counter_and_each_period_has_lines_of_its_own(acme: Tenant) -> None:
    budget = a_budget(acme, per=["model"], stages=STAGES[:1])

    spend(budget, 8, counter="opus")
    spend(budget, 8, counter="sonnet")
    spend(budget, 8, counter="opus", at=NOW - timedelta(days=1))
    spend(budget, 8, counter="opus")

    assert StageCrossing.objects.count() == 3
    assert set(StageCrossing.objects.values_list("counter", "period_ms")) == {
        ("opus", int(period_of(budget))),
        ("sonnet", int(period_of(budget))),
        ("opus", int(period_of(budget, NOW - timedelta(days=1)))),
    }


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.OFF])
def test_a_budget_that_is_not_enforced_alerts_nobody(acme: Tenant, mode: Mode) -> None:
    budget = a_budget(acme, mode=mode)

    spend(budget, 9, is_shadow=mode is Mode.SHADOW)
    spend(budget, 9)

    assert crossed() == []


def test_what_was_spent_in_shadow_counts_once_the_budget_is_enforced(acme: Tenant) -> None:
    budget = a_budget(acme, mode=Mode.SHADOW)
    spend(budget, 7, is_shadow=True)
    Budget.objects.filter(id=budget.id).update(mode=Mode.ENFORCE)

    spend(budget, 1)

    assert crossed() == [("", 80, "alert")]


def test_a_raise_counts_in_the_limit_while_it_lasts(acme: Tenant) -> None:
    budget = a_budget(acme, per=["model"])
    more = a_raise(budget, 10, counter="opus")

    spend(budget, 9, counter="opus")
    spend(budget, 9, counter="sonnet")
    assert crossed() == [("sonnet", 80, "alert")]

    BudgetRaise.objects.filter(id=more.id).update(until_at=timezone.now() - timedelta(minutes=1))
    spend(budget, 0.1, counter="opus")
    assert ("opus", 80, "alert") in crossed()


def test_a_limit_that_is_lowered_crosses_lines_without_a_booking(acme: Tenant) -> None:
    budget = a_budget(acme)
    spend(budget, 5)
    Budget.objects.filter(id=budget.id).update(limit_nano_usd=5 * DOLLAR, updated_at=NOW)

    assert crossings_sweep(now=NOW) == 3
    assert crossings_sweep(now=NOW) == 0
    assert crossed() == [("", 80, "alert"), ("", 95, "downgrade"), ("", 100, "block")]


def test_a_raise_that_ends_crosses_lines_without_a_booking(acme: Tenant) -> None:
    budget = a_budget(acme)
    more = a_raise(budget, 10)
    spend(budget, 9)
    assert crossed() == []
    Budget.objects.filter(id=budget.id).update(updated_at=NOW - timedelta(days=1))
    BudgetRaise.objects.filter(id=more.id).update(from_at=NOW - timedelta(days=2), until_at=NOW - timedelta(minutes=1))

    assert crossings_sweep(now=NOW) == 1

    assert crossed() == [("", 80, "alert")]


def test_the_crossing_is_there_if_and_only_if_the_booking_is(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(ids: object) -> None:
        raise RuntimeError("the worker dies")

    budget = a_budget(acme)
    put(spending(budget, 9))
    with monkeypatch.context() as patched:
        patched.setattr(staging, "delete_batches", die)
        with pytest.raises(RuntimeError):
            book_waiting(now=NOW, ledger_days=LEDGER_DAYS)
    assert crossed() == []

    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert crossed() == [("", 80, "alert")]


def test_stages_that_cannot_be_read_stop_no_booking(acme: Tenant) -> None:
    good = a_budget(acme, "good")
    bad = a_budget(acme, "bad", stages=[{"nonsense": 1}])

    spend(bad, 9)
    spend(good, 9)

    assert crossed() == [("", 80, "alert")]


def test_a_budget_that_is_gone_crosses_nothing(acme: Tenant) -> None:
    budget = a_budget(acme)
    batch = spending(budget, 9)
    budget.delete()

    put(batch)
    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert crossed() == []


def test_another_organizations_events_do_not_move_a_budget(acme: Tenant, globex: Tenant) -> None:
    """The counter is named by the organization too: who names a foreign budget charges a counter of the own."""
    budget = a_budget(acme)
    batch = spending(budget, 9)
    batch.events[0].event.organization_id = globex.organization.id.hex

    put(batch)
    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert crossed() == []
    assert Delivery.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_many_bookings_over_a_line_at_once_cross_it_once(acme: Tenant) -> None:
    budget = a_budget(acme)
    for _ in range(30):
        put(spending(budget, 0.5))

    in_threads(6, lambda: book_waiting(now=NOW, ledger_days=LEDGER_DAYS))

    assert crossed() == [("", 80, "alert"), ("", 95, "downgrade"), ("", 100, "block")]
