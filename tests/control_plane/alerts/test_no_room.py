"""A budget that refuses before its line is posted is told: once, together with the line itself."""

from datetime import timedelta
from typing import Any

import pytest

from control_plane.alerts.models import Delivery, StageCrossing
from control_plane.alerts.services import crossings_dispatch
from control_plane.alerts.tasks import send_alerts
from control_plane.budgets.models import Bound
from control_plane.rules.models import Mode
from control_plane.usage.aggregation import book_waiting
from switchyard_contract.counters import Verdict
from tests.builders.tenants import Tenant
from tests.control_plane.alerts.test_api import client_of
from tests.control_plane.alerts.world import (
    DOLLAR,
    STAGES,
    a_budget,
    a_mail_channel,
    a_webhook,
    period_of,
    refuse,
    refusing,
    spend,
    spending,
)
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.events import NOW
from tests.control_plane.usage.test_concurrency import in_threads
from tests.fakes.mail_server import MailServer
from tests.fakes.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.django_db
BLOCK: list[dict[str, Any]] = [{"at": 100, "do": "block"}]


def told() -> list[tuple[str, str, bool]]:
    """Counter, line, and whether it was refused before the line was reached."""
    rows = StageCrossing.objects.order_by("counter", "at_percent", "action")
    return [(row.counter, row.action, row.is_refusal) for row in rows]


def test_a_nearly_spent_budget_that_has_no_room_blocks_with_its_numbers_of_then(acme: Tenant) -> None:
    budget = a_budget(acme, stages=BLOCK)

    refuse(budget, 9.8, reserved=0.15, wanted=0.3)

    crossing = StageCrossing.objects.get()
    assert (crossing.action, crossing.at_percent, crossing.percent) == ("block", 100, 98)
    assert (crossing.posted_nano_usd, crossing.limit_nano_usd) == (9_800_000_000, 10 * DOLLAR)
    assert (crossing.reserved_nano_usd, crossing.wanted_nano_usd) == (150_000_000, 300_000_000)
    assert crossing.period_ms == int(period_of(budget))
    assert (crossing.next_percent, crossing.organization_id) == (None, acme.organization.id)


def test_a_line_that_is_reached_after_the_refusal_is_not_told_again(acme: Tenant) -> None:
    budget = a_budget(acme)
    spend(budget, 9.8)
    refuse(budget, 9.8)
    refuse(budget, 9.8)
    spend(budget, 0.2)

    assert told() == [("", "alert", False), ("", "downgrade", False), ("", "block", True)]


def test_a_refusal_after_the_line_is_nothing_new(acme: Tenant) -> None:
    budget = a_budget(acme)
    spend(budget, 10)
    refuse(budget, 10)
    refuse(budget, 9.9)

    assert told() == [("", "alert", False), ("", "downgrade", False), ("", "block", False)]


def test_in_one_booking_the_line_comes_before_the_refusal(acme: Tenant) -> None:
    budget = a_budget(acme, stages=BLOCK)
    put(refusing(budget, 9.9))
    put(spending(budget, 10))

    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert told() == [("", "block", False)]


def test_what_is_reported_twice_is_told_once(acme: Tenant) -> None:
    batch = refusing(a_budget(acme, stages=BLOCK), 9.9)
    for _ in range(3):
        put(batch)
        book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert told() == [("", "block", True)]


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.OFF])
def test_a_budget_that_is_not_enforced_tells_nobody(acme: Tenant, mode: Mode) -> None:
    budget = a_budget(acme, stages=BLOCK, mode=mode)

    refuse(budget, 9.9)

    assert told() == []


def test_a_shadow_that_would_have_refused_tells_nobody_even_if_it_is_enforced_by_now(acme: Tenant) -> None:
    refuse(a_budget(acme, stages=BLOCK), 9.9, is_shadow=True)

    assert told() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "rate_limited"},
        {"reason": "session_cap"},
        {"verdict": Verdict.ADMITTED},
        {"verdict": Verdict.OUTAGE_DENIED, "reason": "counters_unavailable"},
        {"outcome": 3},
    ],
    ids=["rate", "cap", "moved", "outage", "cut"],
)
def test_only_what_a_budget_refused_counts(acme: Tenant, changes: dict[str, Any]) -> None:
    refuse(a_budget(acme, stages=BLOCK), 9.9, **changes)

    assert told() == []


def test_a_budget_that_blocks_no_more_tells_nothing(acme: Tenant) -> None:
    refuse(a_budget(acme, stages=STAGES[:1]), 9.9)

    assert told() == []


def test_each_counter_and_each_period_is_told_for_itself(acme: Tenant) -> None:
    budget = a_budget(acme, per=["session"], stages=BLOCK)
    for session_id in ("a/1", "b"):
        refuse(budget, 9.9, counter="{session}", session_id=session_id)
        refuse(budget, 9.9, counter="{session}", session_id=session_id)
    refuse(budget, 9.9, counter="{session}", session_id="b", at=NOW - timedelta(days=1))
    # As the charge of an exchange in that session would name it.
    spend(budget, 10, counter="a%2F1")

    assert told() == [("a%2F1", "block", True), ("b", "block", True), ("b", "block", True)]


def test_another_organizations_refusals_do_not_speak_of_a_budget(acme: Tenant, globex: Tenant) -> None:
    batch = refusing(a_budget(acme, stages=BLOCK), 9.9)
    batch.events[0].event.organization_id = globex.organization.id.hex
    put(batch)

    book_waiting(now=NOW, ledger_days=LEDGER_DAYS)

    assert told() == []


def test_what_finds_no_room_beside_others_far_below_the_line_is_told_to_its_caller_alone(acme: Tenant) -> None:
    refuse(a_budget(acme, stages=BLOCK), 5, reserved=4.8, wanted=0.5)

    assert told() == []


def test_a_request_too_large_for_the_budget_is_told_and_leaves_the_line_to_be_told(acme: Tenant) -> None:
    budget = a_budget(acme, stages=BLOCK)

    refuse(budget, 5, wanted=6)
    refuse(budget, 6, wanted=6)
    assert told() == [("", "no_room", True)]

    refuse(budget, 9.9)
    assert told() == [("", "block", True), ("", "no_room", True)]


def test_a_strict_budget_is_measured_by_the_worst_case(acme: Tenant) -> None:
    refuse(a_budget(acme, "calibrated", stages=BLOCK), 5, wanted=3)
    refuse(a_budget(acme, "strict", stages=BLOCK, bound=Bound.STRICT), 5, wanted=3)

    crossing = StageCrossing.objects.get()
    assert (crossing.budget_name, crossing.wanted_nano_usd) == ("strict", 6 * DOLLAR)


def test_where_only_what_is_expected_did_not_fit_that_is_said(acme: Tenant) -> None:
    """A calibrated budget has a second line, for what is to be expected; grace may have lifted the first."""
    refuse(a_budget(acme, stages=BLOCK), 9.9, reserved=0.04, wanted=0.05)

    crossing = StageCrossing.objects.get()
    assert (crossing.reserved_nano_usd, crossing.wanted_nano_usd) == (20_000_000, 25_000_000)


def test_a_raise_of_then_counts_and_a_tolerance_too(acme: Tenant) -> None:
    budget = a_budget(acme, stages=[{"at": 110, "do": "block"}])

    refuse(budget, 17.8, limit=20, wanted=1)
    assert told() == []
    refuse(budget, 21.9, limit=20, wanted=1)

    crossing = StageCrossing.objects.get()
    assert (crossing.at_percent, crossing.percent, crossing.limit_nano_usd) == (110, 109, 20 * DOLLAR)


def test_counters_that_know_more_than_the_books_reach_the_line_for_them(acme: Tenant) -> None:
    """An event that never comes is in no sum, and the budget refuses all the same."""
    budget = a_budget(acme, stages=BLOCK)
    spend(budget, 9.5)
    refuse(budget, 10.01)

    crossing = StageCrossing.objects.get()
    assert (crossing.action, crossing.is_refusal, crossing.percent) == ("block", False, 100)


def test_stages_that_cannot_be_read_stop_no_booking(acme: Tenant) -> None:
    refuse(a_budget(acme, "bad", stages=[{"nonsense": 1}]), 9.9)
    refuse(a_budget(acme, "good", stages=BLOCK), 9.9)

    assert told() == [("", "block", True)]


@pytest.mark.parametrize(
    ("stages", "names"),
    [
        ([{"at": 100, "do": "block", "notify": ["pager"]}, *STAGES[:1]], {"pager"}),
        ([{**STAGES[0], "notify": ["finance"]}, *BLOCK], {"finance"}),
        (BLOCK, {"admin@acme.example.com"}),
    ],
    ids=["the stage's own", "the budget's", "the team's lead"],
)
def test_who_is_told(acme: Tenant, stages: list[dict[str, Any]], names: set[str]) -> None:
    a_mail_channel(acme)
    a_mail_channel(acme, "pager")
    refuse(a_budget(acme, stages=stages), 9.9)

    crossings_dispatch(now=NOW)

    assert set(Delivery.objects.values_list("recipient_name", flat=True)) == names


def test_mail_and_webhook_say_which_of_the_two_it_is(
    acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver
) -> None:
    a_mail_channel(acme)
    a_webhook(acme, webhook_receiver.url)
    notify = ["finance", "hook"]
    budget = a_budget(acme, stages=[{**BLOCK[0], "notify": notify}])
    refuse(budget, 9.8, reserved=0.15, wanted=0.3)
    send_alerts()

    [sent] = mail.mails
    assert sent.subject == "engineer-daily: refuses work at 98 % of $10.00"
    assert sent.text.replace("\r\n", "\n") == (
        "Budget: engineer-daily, Acme\n"
        "Spent: $9.80 of $10.00 (98 %)\n"
        "Reserved: $0.1500 by requests that were running\n"
        "Asked for: a request that may cost $0.3000, which does not fit\n"
        "Reset: Sunday 22 November 2026 00:00 Europe/Berlin (2026-11-21 23:00 UTC)\n"
        "\n"
        "It refuses work: 98 % is spent, and what is asked for does not fit into the rest.\n"
        "This stands for the stage at 100 %, which is not told again in this period.\n"
        "\n"
        f"The budget: http://127.0.0.1:8000/budgets/{budget.id}\n"
    )
    [call] = webhook_receiver.calls
    assert (call.body["event"], call.body["stage"]) == (
        "budget.stage_crossed",
        {"at_percent": 100, "action": "block"},
    )
    assert (call.body["percent"], call.body["refused"]["wanted_usd"]) == (98, "0.300000000")
    assert call.body["refused"]["reserved_nano_usd"] == 150_000_000
    [row] = client_of(acme).get("/api/v1/alert-deliveries?channel=finance").json()["results"]
    assert (row["stage"], row["is_refusal"], row["spent_usd"]) == (100, True, "9.800000000")


def test_a_request_too_large_is_no_stage(acme: Tenant, mail: MailServer, webhook_receiver: WebhookReceiver) -> None:
    a_mail_channel(acme)
    a_webhook(acme, webhook_receiver.url)
    refuse(a_budget(acme, stages=[{**BLOCK[0], "notify": ["finance", "hook"]}]), 2, wanted=9)
    send_alerts()

    [sent] = mail.mails
    assert sent.subject == "engineer-daily: no room for a request of $9.00"
    assert "It refused a request that would not have fitted although nothing else ran." in sent.text
    [call] = webhook_receiver.calls
    assert call.body["event"] == "budget.no_room"
    assert "stage" not in call.body
    [row] = client_of(acme).get("/api/v1/alert-deliveries?channel=finance").json()["results"]
    assert (row["stage"], row["is_refusal"]) == (None, True)


@pytest.mark.django_db(transaction=True)
def test_many_bookings_that_post_and_refuse_at_once_tell_each_line_once(acme: Tenant) -> None:
    budgets = [a_budget(acme, name, stages=BLOCK) for name in ("one", "two")]
    for number in range(24):
        put(refusing(budgets[number % 2], 9.9))
        put(spending(budgets[(number + 1) % 2], 1))

    in_threads(6, lambda: book_waiting(now=NOW, ledger_days=LEDGER_DAYS))

    assert StageCrossing.objects.count() == 2
    assert set(StageCrossing.objects.values_list("budget_name", "action")) == {("one", "block"), ("two", "block")}
