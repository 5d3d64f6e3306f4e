"""Why an exchange was allowed, refused, moved or charged so."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.usage.aggregation import book_waiting
from switchyard_contract.counters import Verdict
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant, a_member, a_tenant
from tests.control_plane.alerts.world import a_budget
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.charges import DAY_MS, a_budget_number, a_charge, a_rate, a_rule_seen, an_answer
from tests.control_plane.usage.events import a_batch, a_refusal, an_event, an_exchange_id

pytestmark = pytest.mark.django_db
RATE = UUID("c1" * 16)


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


def explain(tenant: Tenant, exchange_id: str, user: Any = None) -> Any:
    client = APIClient()
    client.force_login(user or tenant.admin)
    return client.get(f"/api/v1/exchanges/{exchange_id}/explain")


def booked(tenant: Tenant, event: usage_pb2.UsageEvent, owner: Any = None) -> str:
    event.organization_id = tenant.organization.id.hex
    event.principal_id = (owner or tenant.admin).id.hex
    put(a_batch([event]))
    now = timezone.now()
    assert book_waiting(now=now, ledger_days=LEDGER_DAYS).quarantined == 0
    return event.exchange_id


def test_a_refusal_names_its_rule_and_all_numbers_of_that_instant(acme: Tenant) -> None:
    budget = a_budget(acme, per=["principal"])
    trial = a_budget(acme, "trial", per=["session"])
    ada = a_member(acme, "ada@acme.example")
    at = timezone.now() - timedelta(minutes=1)
    rules = usage_pb2.RulesSeen(
        rules=[
            usage_pb2.RuleSeen(kind="access", id="a1" * 16, name="all", matched=True, verdict="allowed"),
            a_rule_seen(RATE, kind="rate", name="ci", limit=60, period="", resets_at_ms=0),
            a_rule_seen(budget.id, counter=ada.id.hex, limit=10_000_000_000),
            a_rule_seen(trial.id, name="trial", is_shadow=True, counter="{session}", limit=1_000_000_000),
            usage_pb2.RuleSeen(kind="budget", id="b9" * 16, name="opus", why_not="models"),
        ]
    )
    answer = an_answer(
        [a_rate(used=59)],
        [a_budget_number(posted=9_900_000, worst=200_000, refused=True), a_budget_number(refused=True, counted=False)],
        verdict=Verdict.DENIED,
        index=1,
    )
    event = a_refusal(1, at=at, reason="budget_exceeded", rules=rules, counters_answer=answer, session_id="s-1")

    explained = explain(acme, booked(acme, event)).json()

    assert (explained["outcome"], explained["reason"], explained["is_told"]) == ("refused", "budget_exceeded", True)
    assert explained["decided_at"] == datetime.fromtimestamp(DAY_MS / 1000 + 1, UTC).isoformat()
    assert explained["amounts"]["worst_usd"] == "0.500000000"
    by_name = {rule["name"]: rule for rule in explained["rules"]}
    assert list(by_name) == ["all", "ci", "engineer-daily", "trial", "opus"]
    assert by_name["ci"]["rate"] == {"counted": True, "used": 59, "retry_after_ms": 0}
    refusing = by_name["engineer-daily"]
    assert (refusing["verdict"], refusing["decided"], refusing["counter_text"]) == ("refused", True, "ada@acme.example")
    assert refusing["budget"] == {
        "posted_nano_usd": 9_900_000_000,
        "posted_usd": "9.900000000",
        "expected_usd": "0.100000000",
        "worst_usd": "0.200000000",
        "limit_usd": "10.000000000",
    }
    assert refusing["resets_at"] == "2026-11-22T00:00:00+00:00"
    shadow = by_name["trial"]
    assert (shadow["mode"], shadow["verdict"], shadow["decided"]) == ("shadow", "refused", False)
    assert (shadow["counter"], shadow["counter_text"]) == ("s-1", "session s-1")
    assert explained["would_have_refused"] == ["trial"]
    assert (by_name["opus"]["matched"], by_name["opus"]["said"]) == (False, "models")
    assert [rule["decided"] for rule in explained["rules"]].count(True) == 1


def test_a_refusal_repeats_what_the_caller_was_told_and_only_that(acme: Tenant) -> None:
    at, said = timezone.now() - timedelta(minutes=1), "Several providers serve “x”. Name one: a/x, b/x."
    refused = explain(acme, booked(acme, a_refusal(1, at=at, reason="no_target", error_text=said))).json()
    assert (refused["reason"], refused["told"]) == ("no_target", said)
    # A provider's own error is no word of ours.
    failed = an_event(
        2, at=at, outcome=usage_pb2.OUTCOME_FAILED, error_type="overloaded_error", error_text="Overloaded"
    )
    assert explain(acme, booked(acme, failed)).json()["told"] == ""
    failed = an_event(3, at=at, reason="upstream_truncated", error_type="overloaded_error", error_text="Overloaded")
    assert explain(acme, booked(acme, failed)).json()["told"] == ""


def test_a_turn_that_was_moved_shows_both_prices_and_what_was_dropped(acme: Tenant) -> None:
    budget = a_budget(acme)
    at = timezone.now() - timedelta(minutes=1)
    event = an_event(
        1,
        at=at,
        rules=usage_pb2.RulesSeen(rules=[a_rule_seen(budget.id, candidates=3)]),
        counters_answer=an_answer([], [a_budget_number()], candidate=2),
        downgrade=usage_pb2.Downgrade(
            budget_id=budget.id.hex,
            from_model="opus",
            to_model="haiku",
            is_taken=True,
            stay_nano_usd=90_000_000,
            move_nano_usd=20_000_000,
            why="cheaper with a cold cache too",
        ),
        dropped=[usage_pb2.Dropped(model="gpt-5.1-mini", why="another protocol")],
        charges=[a_charge(budget.id)],
        session_facts=usage_pb2.SessionFacts(turn=12, is_tool_loop=True),
    )

    explained = explain(acme, booked(acme, event)).json()

    assert explained["candidate"] == "downgrade"
    assert explained["rules"][0]["candidates"] == ["asked", "downgrade"]
    assert (explained["downgrade"]["stay_usd"], explained["downgrade"]["move_usd"]) == ("0.090000000", "0.020000000")
    assert explained["dropped"] == [{"model": "gpt-5.1-mini", "why": "another protocol"}]
    [charge] = explained["charges"]
    assert (charge["budget"], charge["cost_usd"]) == ("engineer-daily", "0.003000000")
    assert charge["period_starts_at"] == "2026-11-21T00:00:00+00:00"
    assert explained["session"]["turn"] == 12


def test_an_exchange_of_an_older_pod_says_that_nothing_was_told(acme: Tenant) -> None:
    exchange_id = booked(acme, an_event(1, at=timezone.now() - timedelta(minutes=1)))

    explained = explain(acme, exchange_id).json()

    assert (explained["is_told"], explained["rules"], explained["amounts"]) == (False, [], None)


def test_an_outage_says_which_rule_of_it_decided(acme: Tenant) -> None:
    event = an_event(
        1,
        at=timezone.now() - timedelta(minutes=1),
        degraded="bounded",
        counters_answer=an_answer([], [a_budget_number()], verdict=Verdict.OUTAGE_ADMITTED),
    )

    assert explain(acme, booked(acme, event)).json()["degraded"] == "bounded"


def test_others_exchanges_are_not_there(acme: Tenant) -> None:
    at = timezone.now() - timedelta(minutes=1)
    exchange_id = booked(acme, an_event(1, at=at))
    member = a_member(acme, "member@acme.example")
    own = booked(acme, an_event(2, at=at), member)

    assert explain(acme, exchange_id, member).status_code == 404
    assert explain(acme, own, member).status_code == 200
    assert explain(acme, an_exchange_id(3, at)).status_code == 404
    assert explain(acme, "nonsense").status_code == 404
    assert explain(a_tenant("globex"), exchange_id).status_code == 404
