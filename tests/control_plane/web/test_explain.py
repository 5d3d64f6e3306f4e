"""The part of an exchange's page that says why it went as it did."""

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.usage.aggregation import book_waiting
from switchyard_contract.counters import Verdict
from switchyard_contract.v1 import usage_pb2
from tests.builders.tenants import Tenant
from tests.control_plane.usage.books import LEDGER_DAYS, put
from tests.control_plane.usage.charges import a_budget_number, a_charge, a_rate, a_rule_seen, an_answer
from tests.control_plane.usage.events import a_batch, a_refusal, an_event
from tests.control_plane.web.test_budgets import a_budget


def booked(tenant: Tenant, event: usage_pb2.UsageEvent) -> str:
    event.organization_id, event.principal_id = tenant.organization.id.hex, tenant.admin.id.hex
    put(a_batch([event]))
    assert book_waiting(now=timezone.now(), ledger_days=LEDGER_DAYS).quarantined == 0
    return reverse("web:exchange", args=[event.exchange_id])


def test_a_refusal_names_its_rule_with_the_numbers_of_then(admin_client: Client, tenant: Tenant) -> None:
    budget = a_budget(tenant)
    rules = usage_pb2.RulesSeen(
        rules=[
            usage_pb2.RuleSeen(kind="access", id="a1" * 16, name="all", matched=True, verdict="allowed"),
            usage_pb2.RuleSeen(kind="rate", id="c1" * 16, name="ci", matched=True, limit=60, candidates=1),
            a_rule_seen(budget.id, name="daily", counter=tenant.admin.id.hex),
            usage_pb2.RuleSeen(kind="budget", id="b9" * 16, name="opus", why_not="models"),
        ]
    )
    answer = an_answer(
        [a_rate(used=59)], [a_budget_number(posted=10_010_000, refused=True)], verdict=Verdict.DENIED, index=1
    )
    at = timezone.now() - timedelta(minutes=1)
    page = admin_client.get(
        booked(tenant, a_refusal(1, at=at, reason="budget_exceeded", rules=rules, counters_answer=answer))
    )
    explained = page.context["explained"]
    assert explained.sentence == "Budget daily refused it."
    lines = {line.rule.name: line for line in explained.matched}
    assert (lines["daily"].word, lines["ci"].used, lines["all"].word) == ("refused", "59 of 60", "allowed")
    assert lines["daily"].gauge is not None
    assert lines["daily"].gauge.percent == 100
    assert [line.rule.name for line in explained.others] == ["opus"]
    text = page.content.decode()
    assert "$10.01" in text
    assert reverse("web:rule", args=["budgets", budget.id]) in text


def test_a_move_to_a_cheaper_model_shows_both_prices(admin_client: Client, tenant: Tenant) -> None:
    budget = a_budget(tenant)
    event = an_event(
        2,
        at=timezone.now() - timedelta(minutes=1),
        rules=usage_pb2.RulesSeen(rules=[a_rule_seen(budget.id, name="daily", candidates=3)]),
        counters_answer=an_answer([], [a_budget_number()], candidate=2),
        downgrade=usage_pb2.Downgrade(
            budget_id=budget.id.hex,
            from_model="claude-opus-4-6",
            to_model="claude-haiku-4-5",
            is_taken=True,
            stay_nano_usd=70_000_000,
            move_nano_usd=30_000_000,
            why="cheaper",
        ),
        dropped=[usage_pb2.Dropped(model="gpt-5.1-mini", why="another protocol")],
        charges=[a_charge(budget.id, tenant.admin.id.hex)],
    )
    page = admin_client.get(booked(tenant, event)).content.decode()
    for told in ("daily moved it from claude-opus-4-6", "$0.0700", "$0.0300", "$0.0400 cheaper to move"):
        assert told in page
    assert "another protocol" in page
    assert "Its cost counts in" in page


def test_an_exchange_of_before_says_nothing_of_rules(admin_client: Client, tenant: Tenant) -> None:
    page = admin_client.get(booked(tenant, an_event(3, at=timezone.now() - timedelta(minutes=1))))
    assert page.status_code == 200
    assert 'id="explain"' not in page.content.decode()


def test_a_refusal_says_word_for_word_what_the_caller_was_told(admin_client: Client, tenant: Tenant) -> None:
    at = timezone.now() - timedelta(minutes=1)
    said = (
        "The budget “daily” has no room for this request: $8.98 of $10.00 a day is taken, and it may cost $1.05. Ask "
        "for more at https://console.example/budgets/1/request?counter=a&decision=b."
    )
    page = admin_client.get(booked(tenant, a_refusal(1, at=at, reason="budget_exceeded", error_text=said)))

    text = page.content.decode()
    assert "<b>budget_exceeded</b>: The budget “daily” has no room for this request: $8.98 of $10.00 a day" in text
    assert '<a class="link" href="https://console.example/budgets/1/request?counter=a&amp;decision=b"' in text
    assert "these words, with status 403" in text
    assert "The budget is spent." not in text


def test_what_the_caller_wrote_is_no_markup(admin_client: Client, tenant: Tenant) -> None:
    at = timezone.now() - timedelta(minutes=1)
    said = "No model “<script>alert(1)</script>” is offered here, <a href=x> https://a.example/<b>."
    page = admin_client.get(booked(tenant, a_refusal(1, at=at, reason="no_target", error_text=said)))

    text = page.content.decode()
    assert "“&lt;script&gt;alert(1)&lt;/script&gt;” is offered here, &lt;a href=x&gt; " in text
    assert "<b>." not in text


def test_where_nobody_knows_what_was_told_the_reason_speaks(admin_client: Client, tenant: Tenant) -> None:
    at = timezone.now() - timedelta(minutes=1)
    page = admin_client.get(booked(tenant, a_refusal(1, at=at, reason="no_target", client_status=404)))

    assert "<b>no_target</b>: No provider here serves that model." in page.content.decode()


def test_what_was_never_sent_has_no_numbers_of_an_attempt(admin_client: Client, tenant: Tenant) -> None:
    at = timezone.now() - timedelta(minutes=1)
    page = admin_client.get(booked(tenant, a_refusal(1, at=at, reason="model_not_allowed", client_status=403)))

    text = page.content.decode()
    assert "The gateway answered 403 by itself" in text
    assert "No provider was asked." in text
    assert "Upstream id" not in text


def test_a_rate_that_flows_off_is_not_called_empty_when_it_refuses(admin_client: Client, tenant: Tenant) -> None:
    rules = usage_pb2.RulesSeen(
        rules=[usage_pb2.RuleSeen(kind="rate", id="c1" * 16, name="slow", matched=True, limit=1, candidates=1)]
    )
    refused = a_rate(used=0, refused=True, retry_after_ms=59_700)
    answer = an_answer([refused], [], verdict=Verdict.DENIED, index=0)
    at = timezone.now() - timedelta(minutes=1)
    page = admin_client.get(
        booked(tenant, a_refusal(1, at=at, reason="rate_limited", rules=rules, counters_answer=answer))
    )

    (line,) = page.context["explained"].matched
    assert line.used == "no room, of 1; fits again after 59.7 s"
