"""Budgets in the console: gauges, who sees which counters, raises, requests for more and what is decided about them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.alerts.models import Delivery, StageCrossing
from control_plane.budgets.models import Budget, BudgetRaise, BudgetRequest
from control_plane.budgets.services import BUDGETS, budget_raise_add, budget_request_make
from control_plane.organizations.models import TeamMembership
from control_plane.organizations.roles import Role
from control_plane.rules.periods import PeriodRule, period_at
from control_plane.rules.services import rule_create
from control_plane.usage.models import BudgetSpend
from control_plane.usage.spending import Counter
from control_plane.web.budget_view import Gauge, StageMark
from switchyard_contract.counters import counter_of
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd
from tests.builders.tenants import Tenant, a_key, a_member, a_person_of_role
from tests.control_plane.web.conftest import SignIn

USD = NANO_PER_USD


def a_budget(tenant: Tenant, name: str = "daily", **spec: Any) -> Budget:
    given = {"limit_usd": "10", "period": "day", "per": ["principal"], **spec}
    return rule_create(BUDGETS, organization=tenant.organization, name=name, spec=given, actor=actor_of(tenant.admin))


def spend(budget: Budget, dollars: float, *values: str) -> str:
    """Post to a counter in the present period."""
    span = period_at(PeriodRule(budget.period, budget.timezone, budget.anchor), timezone.now())
    counter = Counter(budget.organization_id, budget.id, counter_of(values), int(span.id))
    BudgetSpend.objects.create(
        id=counter.id,
        organization_id=budget.organization_id,
        budget_id=budget.id,
        counter=counter.counter,
        period_ms=counter.period_ms,
        posted_nano_usd=int(dollars * USD),
        count=3,
        last_at=timezone.now(),
    )
    return counter.counter


def page_of(client: Client, budget: Budget, query: str = "") -> Any:
    return client.get(reverse("web:budget", args=[budget.id]) + query)


def test_a_gauge_tells_where_it_stands_in_a_word() -> None:
    stages = tuple(StageMark(at, do, at * USD, is_reached=at <= 96) for at, do in ((80, "alert"), (95, "downgrade")))
    gauge = Gauge(96 * USD, 100 * USD, stages, 2 * USD)
    assert (gauge.percent, gauge.word, gauge.tone, gauge.left_nano_usd) == (96, "downgrades", "look", 4 * USD)
    assert (gauge.spent_width, gauge.reserved_width) == ("96.00%", "2.00%")
    assert Gauge(0, USD, ()).word == "fine"
    over = Gauge(3 * USD, 2 * USD, (StageMark(100, "block", 2 * USD, is_reached=True),))
    assert (over.word, over.tone, over.spent_width) == ("stopped", "stopped", "100.00%")
    assert Gauge(3 * USD, 2 * USD, over.stages, is_enforced=False).word == "would have stopped"


def test_the_fullest_counters_come_first_and_are_found_by_name(
    admin_client: Client, tenant: Tenant, member: User
) -> None:
    budget = a_budget(tenant)
    spend(budget, 9.7, member.id.hex)
    spend(budget, 2, tenant.admin.id.hex)
    answer = page_of(admin_client, budget)
    shown = [(row.name, row.gauge.percent, row.gauge.word) for row in answer.context["page"].rows]
    assert shown == [(member.email, 97, "told"), (tenant.admin.email, 20, "fine")]
    assert (answer.context["page"].near, answer.context["page"].total) == (1, 2)
    found = page_of(admin_client, budget, f"?q={member.email[:5]}").context["page"].rows
    assert [row.name for row in found] == [member.email]
    assert page_of(admin_client, budget, "?q=nobody").context["page"].rows == []


def test_counters_are_paged_by_keyset(admin_client: Client, tenant: Tenant) -> None:
    budget = a_budget(tenant, per=["model"])
    for number in range(60):
        spend(budget, number % 7, f"model-{number:02}")
    seen, query = [], ""
    for _ in range(5):
        page = page_of(admin_client, budget, query).context["page"]
        seen += [(row.gauge.spent_nano_usd, row.name) for row in page.rows]
        if not page.next:
            break
        query = f"?after={page.next}"
    assert len(seen) == len(set(seen)) == 60
    assert [amount for amount, _ in seen] == sorted((amount for amount, _ in seen), reverse=True)


def test_a_raise_counts_into_the_limit_while_it_lasts(admin_client: Client, tenant: Tenant, member: User) -> None:
    budget = a_budget(tenant)
    counter = spend(budget, 9.7, member.id.hex)
    where = reverse("web:budget-raise", args=[budget.id])
    data = {"amount_usd": "$5", "counter": counter, "ends": "period", "reason": "a deadline"}
    assert admin_client.post(where, data).status_code == 302
    assert page_of(admin_client, budget).context["page"].near == 0
    spend(budget, 9.6, tenant.admin.id.hex)
    page = page_of(admin_client, budget).context["page"]
    (row,) = [row for row in page.rows if row.counter == counter]
    assert (row.gauge.limit_nano_usd, row.gauge.percent, row.raised_nano_usd) == (15 * USD, 64, 5 * USD)
    # Who has more is near another line than the rest.
    assert page.near == 1
    BudgetSpend.objects.filter(counter=counter).update(posted_nano_usd=12 * USD)
    assert page_of(admin_client, budget).context["page"].near == 2
    made = BudgetRaise.objects.get(budget=budget)
    assert made.reason == "a deadline"
    admin_client.post(reverse("web:budget-raise-end", args=[budget.id, made.id]))
    assert not BudgetRaise.objects.filter(budget=budget).exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_usd": "-5"}, "amount_usd"),
        ({"amount_usd": "nan"}, "amount_usd"),
        ({"amount_usd": ""}, "amount_usd"),
        ({"ends": "day"}, "until"),
        ({"ends": "day", "until": "2020-01-01"}, "until"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_bad_raise_is_refused_by_field(
    changes: dict[str, str], field: str, admin_client: Client, tenant: Tenant
) -> None:
    budget = a_budget(tenant)
    data = {"amount_usd": "5", "ends": "period", "reason": "a test"} | changes
    answer = admin_client.post(reverse("web:budget-raise", args=[budget.id]), data)
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert not BudgetRaise.objects.exists()


def test_a_member_sees_what_holds_them_and_nobody_elses(member_client: Client, member: User, tenant: Tenant) -> None:
    a_key(tenant, user=member)
    daily = a_budget(tenant)
    spend(daily, 4, member.id.hex)
    spend(daily, 9, tenant.admin.id.hex)
    team = a_budget(tenant, "teams", per=["team"], limit_usd="100", when={"subjects": [f"team:{tenant.team.name}"]})
    elsewhere = a_budget(tenant, "elsewhere", when={"subjects": ["role:admin"]})
    a_budget(tenant, "spared", when={"not": {"subjects": [f"user:{member.email}"]}})
    shadow = a_budget(tenant, "shadow", mode="shadow")

    mine = {(present.budget.name, row.name) for present, row in member_client.get("/my/usage").context["budgets"]}
    assert mine == {("daily", member.email), ("teams", tenant.team.name)}
    (row,) = page_of(member_client, daily).context["page"].rows
    assert row.name == member.email
    assert tenant.admin.email not in page_of(member_client, daily).content.decode()
    assert page_of(member_client, team).status_code == 200
    assert page_of(member_client, elsewhere).status_code == 404
    assert page_of(member_client, shadow).status_code == 404
    assert member_client.get("/budgets").status_code == 404


def test_lines_that_were_reached_stand_with_who_was_told(
    admin_client: Client, member_client: Client, member: User, tenant: Tenant
) -> None:
    a_key(tenant, user=member)
    budget = a_budget(tenant)
    spend(budget, 9, member.id.hex)
    crossing = StageCrossing.objects.create(
        organization_id=tenant.organization.id,
        budget_id=budget.id,
        budget_name=budget.name,
        spend_id=BudgetSpend.objects.get().id,
        counter=member.id.hex,
        counter_text="somebody of the crossing",
        period_ms=0,
        period_unit="day",
        timezone="UTC",
        anchor=0,
        at_percent=80,
        action="alert",
        posted_nano_usd=9 * USD,
        limit_nano_usd=10 * USD,
        crossed_at=timezone.now(),
    )
    at = timezone.now()
    for name, state in (("lead@example.com", "delivered"), ("finance", "given_up")):
        Delivery.objects.create(
            organization=tenant.organization, crossing=crossing, type="email", recipient=name, recipient_name=name,
            state=state, due_at=at, give_up_at=at,
        )  # fmt: skip

    page = page_of(admin_client, budget).content.decode()
    assert "Lines that were reached" in page
    assert "80 %, alert" in page
    assert "somebody of the crossing" in page
    assert "finance (could not be reached)" in page
    # Whose limits others reach is for those who decide about them.
    assert "somebody of the crossing" not in page_of(member_client, budget).content.decode()

    StageCrossing.objects.update(at_percent=100, action="block", wanted_nano_usd=2 * USD, reserved_nano_usd=0)
    Delivery.objects.filter(recipient="finance").update(recipient=tenant.admin.email)
    assert "work refused: it did not fit" in page_of(admin_client, budget).content.decode()
    assert f"{budget.name} has no room for what is asked for at 90 %" in admin_client.get("/notices").content.decode()


def test_a_team_lead_sees_the_own_people(tenant: Tenant, sign_in: SignIn) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    tenant.team.lead = lead
    tenant.team.save()
    grace, stranger = a_member(tenant, "grace@example.com"), a_member(tenant, "stranger@example.com")
    TeamMembership.objects.filter(user=stranger).delete()
    budget = a_budget(tenant)
    spend(budget, 5, grace.id.hex)
    spend(budget, 6, stranger.id.hex)
    client = sign_in(lead)
    assert [row.name for row in page_of(client, budget).context["page"].rows] == [grace.email]
    listed = client.get("/budgets").context["rows"]
    assert [fullest.name for _, _, _, fullest in listed] == [grace.email]


def test_more_is_asked_for_from_a_refusal_and_granted(
    member_client: Client, admin_client: Client, member: User, tenant: Tenant
) -> None:
    budget = a_budget(tenant)
    counter = spend(budget, 10.2, member.id.hex)
    where = reverse("web:budget-request", args=[budget.id]) + f"?counter={counter}&decision=01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert "$10.20" in member_client.get(where).content.decode()
    assert member_client.post(where, {"amount_usd": "", "reason": ""}).status_code == 422
    assert member_client.post(where, {"amount_usd": "5", "reason": "the release"}).status_code == 302
    asked = BudgetRequest.objects.get(budget=budget)
    assert (asked.counter, asked.requester, asked.decision_id) == (counter, member, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert "nobody has decided yet" in member_client.get(where).content.decode().lower()

    titles = [notice.title for notice in admin_client.get("/notices").context["notices"]]
    assert any("asks for $5.00 more" in title for title in titles)
    # Both tabs lead whoever decides to what waits.
    for address in ("/budgets", "/budgets/requests"):
        assert "/budgets/requests?state=pending" in admin_client.get(address).content.decode()
        assert "?state=pending" not in member_client.get(address).content.decode()
    decide = reverse("web:budget-request-decide", args=[asked.id])
    assert admin_client.get(decide).context["form"]["amount_usd"].value() == "5.00"
    last_day = (timezone.localdate() + timedelta(days=2)).isoformat()
    data = {"decision": "approve", "amount_usd": "3", "ends": "day", "until": last_day, "note": "Three must do."}
    assert admin_client.post(decide, data).status_code == 302
    asked.refresh_from_db()
    assert asked.granted is not None
    assert (asked.state, asked.granted.amount_nano_usd, asked.granted.counter) == ("approved", 3 * USD, counter)
    titles = [notice.title for notice in member_client.get("/notices").context["notices"]]
    assert any("$3.00 more of daily: granted" in title for title in titles)
    assert "Three must do." in member_client.get("/budgets/requests").content.decode()
    # Once decided, nothing changes it.
    assert admin_client.post(decide, data).status_code == 422


def test_a_no_needs_a_word_and_a_wish_can_be_taken_back(
    member_client: Client, admin_client: Client, member: User, tenant: Tenant
) -> None:
    budget = a_budget(tenant)

    def ask() -> BudgetRequest:
        return budget_request_make(
            budget=budget,
            requester=member,
            amount=NanoUsd(5 * USD),
            reason="the release",
            counter=member.id.hex,
            actor=actor_of(member),
        )

    first = ask()
    decide = reverse("web:budget-request-decide", args=[first.id])
    assert admin_client.post(decide, {"decision": "decline", "no-note": ""}).status_code == 422
    assert admin_client.post(decide, {"decision": "decline", "no-note": "Not this week."}).status_code == 302
    first.refresh_from_db()
    assert (first.state, first.note) == ("declined", "Not this week.")
    second = ask()
    back = reverse("web:budget-request-withdraw", args=[second.id])
    assert admin_client.post(back).status_code == 404
    assert member_client.post(back).status_code == 302
    second.refresh_from_db()
    assert second.state == "withdrawn"


def test_nobody_asks_for_a_counter_of_somebody_else(member_client: Client, member: User, tenant: Tenant) -> None:
    budget = a_budget(tenant)
    where = reverse("web:budget-request", args=[budget.id]) + f"?counter={tenant.admin.id.hex}"
    member_client.post(where, {"amount_usd": "5", "reason": "the release"})
    assert BudgetRequest.objects.get(budget=budget).counter == member.id.hex


def test_another_organizations_budgets_are_not_there(admin_client: Client, tenant: Tenant, other: Tenant) -> None:
    foreign = a_budget(other, "foreign")
    made = budget_raise_add(budget=foreign, amount=NanoUsd(USD), actor=actor_of(other.admin), reason="x")
    asked = budget_request_make(
        budget=foreign,
        requester=other.admin,
        amount=NanoUsd(USD),
        reason="the release",
        counter=other.admin.id.hex,
        actor=actor_of(other.admin),
    )
    for name in ("budget", "budget-request", "budget-raise"):
        assert admin_client.get(reverse(f"web:{name}", args=[foreign.id])).status_code == 404
        assert admin_client.post(reverse(f"web:{name}", args=[foreign.id]), {}).status_code in (404, 405)
    decide = reverse("web:budget-request-decide", args=[asked.id])
    assert admin_client.get(decide).status_code == admin_client.post(decide, {}).status_code == 404
    assert admin_client.post(reverse("web:budget-request-withdraw", args=[asked.id])).status_code == 404
    own = a_budget(tenant)
    for budget_id in (foreign.id, own.id):
        assert admin_client.post(reverse("web:budget-raise-end", args=[budget_id, made.id])).status_code == 404
    for where in ("/budgets", "/budgets/requests"):
        assert "foreign" not in admin_client.get(where).content.decode()
    assert BudgetRaise.objects.filter(id=made.id).exists()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.MEMBER, Role.TEAM_LEAD])
def test_who_may_not_decide_is_not_asked(role: Role, tenant: Tenant, sign_in: SignIn) -> None:
    budget = a_budget(tenant)
    asked = budget_request_make(
        budget=budget,
        requester=tenant.admin,
        amount=NanoUsd(USD),
        reason="the release",
        counter=tenant.admin.id.hex,
        actor=actor_of(tenant.admin),
    )
    client = sign_in(a_person_of_role(tenant, role))
    assert client.get(reverse("web:budget-request-decide", args=[asked.id])).status_code == 404
    assert client.get(reverse("web:budget-raise", args=[budget.id])).status_code == 404
    assert client.post(reverse("web:budget-raise", args=[budget.id]), {"amount_usd": "5"}).status_code == 404
    assert [notice.title for notice in client.get("/notices").context["notices"]] == []


def test_a_budget_says_from_when_on_it_counts(admin_client: Client, tenant: Tenant) -> None:
    budget = a_budget(tenant, period="month")
    page = reverse("web:budget", args=[budget.id])
    assert "What was spent before it was made" in admin_client.get(page).content.decode()

    Budget.objects.filter(id=budget.id).update(created_at=timezone.now() - timedelta(days=40))
    assert "before it was made" not in admin_client.get(page).content.decode()
