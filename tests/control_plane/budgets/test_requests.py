"""Raises that end by themselves; wishes that somebody else decides about."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.audit.models import Change
from control_plane.budgets.models import Budget, BudgetRaise, BudgetRequest, RequestState
from control_plane.budgets.services import (
    AlreadyDecided,
    AskedAlready,
    budget_create,
    budget_raise_add,
    budget_raise_end,
    budget_request_approve,
    budget_request_decline,
    budget_request_make,
    budget_request_withdraw,
)
from control_plane.organizations.models import Membership, Role
from control_plane.organizations.roles import Standing
from control_plane.organizations.selectors import standing_of
from control_plane.organizations.services import organization_update, team_create
from control_plane.snapshots.compile import compile_policy
from control_plane.snapshots.selectors import policy_rows
from switchyard_contract.counters import counter_of
from switchyard_contract.quantity import NanoUsd, nano_usd
from tests.builders.tenants import Tenant, a_key, a_member, a_person_of_role, a_tenant

pytestmark = pytest.mark.django_db
FIVE = nano_usd("5")


@pytest.fixture
def tenant() -> Tenant:
    return a_tenant()


def a_budget(tenant: Tenant, name: str = "daily", **fields: object) -> Budget:
    spec = {"limit_usd": "10", "period": "day", "per": ["principal"], "timezone": "Europe/Berlin", **fields}
    return budget_create(organization=tenant.organization, name=name, spec=spec, actor=tenant.actor)


def standing(tenant: Tenant, user: User) -> Standing:
    membership = Membership.objects.select_related("organization").get(organization=tenant.organization, user=user)
    return standing_of(membership)


def ask(budget: Budget, user: User, amount: NanoUsd = FIVE, *, counter: str | None = None) -> BudgetRequest:
    return budget_request_make(
        budget=budget,
        requester=user,
        amount=amount,
        counter=counter_of([user.id.hex]) if counter is None else counter,
        reason="The release is today.",
        decision_id="01JD0000000000000000000000",
        actor=actor_of(user),
    )


def approve(tenant: Tenant, wish: BudgetRequest, user: User, amount: NanoUsd | None = None) -> BudgetRequest:
    return budget_request_approve(
        request=wish, approver=user, standing=standing(tenant, user), actor=actor_of(user), amount=amount, note="Fine."
    )


def test_a_raise_ends_with_the_period_and_reaches_the_pods(tenant: Tenant) -> None:
    budget = a_budget(tenant)

    made = budget_raise_add(budget=budget, amount=FIVE, actor=tenant.actor, reason="release")

    midnight = made.until_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert timedelta(0) < made.until_at - timezone.now() <= timedelta(hours=25)
    told = compile_policy(policy_rows(tenant.organization, timezone.now())).budgets[0].raises
    assert [(each.counter, each.amount_nano_usd, each.id) for each in told] == [("", FIVE, made.id.hex)]
    after = compile_policy(policy_rows(tenant.organization, made.until_at + timedelta(seconds=1)))
    assert list(after.budgets[0].raises) == []


def test_a_raise_is_taken_back(tenant: Tenant) -> None:
    made = budget_raise_add(budget=a_budget(tenant), amount=FIVE, actor=tenant.actor)

    budget_raise_end(budget_raise=made, actor=tenant.actor)

    assert not BudgetRaise.objects.exists()
    actions = Change.objects.filter(subject_kind="budget_raise").order_by("sequence").values_list("action", flat=True)
    assert list(actions) == ["budget.raised", "budget.raise_ended"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": NanoUsd(-1)}, "amount_usd"),
        ({"amount": nano_usd("1000000000")}, "amount_usd"),
        ({"until_at": datetime(2020, 1, 1, tzinfo=UTC)}, "until"),
        ({"until_at": datetime(2120, 1, 1, tzinfo=UTC)}, "until"),
        ({"counter": "not an id"}, "counter"),
        ({"counter": "a/b"}, "counter"),
    ],
)
def test_a_raise_of_nothing_is_refused(tenant: Tenant, fields: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        budget_raise_add(**{"budget": a_budget(tenant), "amount": FIVE, "actor": tenant.actor, **fields})  # type: ignore[arg-type]  # one each

    assert list(refused.value.message_dict) == [field]


def test_a_wish_is_granted_by_somebody_else(tenant: Tenant) -> None:
    ada = a_member(tenant)
    budget = a_budget(tenant)
    wish = ask(budget, ada)

    granted = approve(tenant, wish, tenant.admin)

    assert (granted.state, granted.decided_by, granted.note) == (RequestState.APPROVED, tenant.admin, "Fine.")
    assert granted.granted is not None
    assert (granted.granted.counter, granted.granted.amount_nano_usd) == (ada.id.hex, FIVE)
    assert granted.granted.made_by == actor_of(tenant.admin).name
    with pytest.raises(AlreadyDecided):
        budget_request_decline(request=wish, decider=tenant.admin, actor=tenant.actor)
    assert BudgetRaise.objects.count() == 1


def test_another_amount_may_be_granted_and_a_no_has_a_note(tenant: Tenant) -> None:
    ada = a_member(tenant)
    budget = a_budget(tenant)
    granted = approve(tenant, ask(budget, ada), tenant.admin, nano_usd("2")).granted
    declined = budget_request_decline(
        request=ask(budget, ada), decider=tenant.admin, actor=tenant.actor, note="Use Haiku."
    )

    assert granted is not None
    assert granted.amount_nano_usd == nano_usd("2")
    assert (declined.state, declined.note, declined.granted) == (RequestState.DECLINED, "Use Haiku.", None)


def test_nobody_grants_their_own_wish_unless_nobody_else_could(tenant: Tenant) -> None:
    budget = a_budget(tenant)
    alone = approve(tenant, ask(budget, tenant.admin), tenant.admin)
    assert alone.state == RequestState.APPROVED

    finance = a_person_of_role(tenant, Role.FINANCE)
    wish = ask(budget, tenant.admin)
    with pytest.raises(ValidationError, match="Somebody else"):
        approve(tenant, wish, tenant.admin)
    assert approve(tenant, wish, finance).state == RequestState.APPROVED


def test_a_wish_is_about_what_one_spends_and_is_made_once(tenant: Tenant) -> None:
    ada, bob = a_member(tenant), a_member(tenant)
    budget = a_budget(tenant)
    ask(budget, ada)

    with pytest.raises(AskedAlready):
        ask(budget, ada)
    with pytest.raises(ValidationError, match="of another principal"):
        ask(budget, ada, counter=bob.id.hex)
    teams = a_budget(tenant, "teams", per=["team", "model"])
    elsewhere = team_create(organization=tenant.organization, name="elsewhere", actor=tenant.actor)
    assert ask(teams, ada, counter=counter_of([tenant.team.id.hex, "claude/opus"])).state == RequestState.PENDING
    with pytest.raises(ValidationError, match="of another team"):
        ask(teams, ada, counter=counter_of([elsewhere.id.hex, "claude-opus"]))
    keys = a_budget(tenant, "keys", per=["key"])
    assert ask(keys, ada, counter=a_key(tenant, user=ada).key.key_id).state == RequestState.PENDING
    with pytest.raises(ValidationError, match="of another key"):
        ask(keys, ada, counter=a_key(tenant, user=bob).key.key_id)


def test_a_wish_needs_an_amount_a_reason_and_a_budget_that_is_on(tenant: Tenant) -> None:
    budget = a_budget(tenant, mode="off")

    with pytest.raises(ValidationError) as refused:
        budget_request_make(
            budget=budget, requester=tenant.admin, amount=NanoUsd(0), reason=" ", actor=tenant.actor, counter="x"
        )

    assert set(refused.value.message_dict) == {"amount_usd", "reason", "budget", "counter"}


def test_only_whoever_asked_takes_it_back(tenant: Tenant) -> None:
    ada = a_member(tenant)
    wish = ask(a_budget(tenant), ada)

    with pytest.raises(ValidationError, match="Only whoever asked"):
        budget_request_withdraw(request=wish, requester=tenant.admin, actor=tenant.actor)
    assert budget_request_withdraw(request=wish, requester=ada, actor=actor_of(ada)).state == RequestState.WITHDRAWN


def test_a_leads_right_to_raise_ends_at_the_teams_own_budget(tenant: Tenant) -> None:
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    ada = a_member(tenant)
    organization_update(organization=tenant.organization, leads_may_set_budgets=True, actor=tenant.actor)
    of_team = {"when": {"subjects": ["team:platform"]}}
    a_budget(tenant, "whole", limit_usd="15", per=[], **of_team)
    mine = a_budget(tenant, "mine", team="platform", **of_team)
    others = a_budget(tenant, "others")

    assert approve(tenant, ask(mine, ada), lead, nano_usd("4")).state == RequestState.APPROVED
    with pytest.raises(ValidationError, match=r"leaves 1\.00"):
        approve(tenant, ask(mine, ada), lead, nano_usd("2"))
    with pytest.raises(ValidationError, match="may not raise"):
        approve(tenant, ask(others, ada), lead)
