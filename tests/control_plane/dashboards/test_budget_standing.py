"""Where counters of budgets stand: REST, who sees which, and what the counter store adds."""

from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.budgets.models import Budget, BudgetRaise
from control_plane.dashboards import reserved
from control_plane.organizations.models import Role
from switchyard_contract.counters import budget_key
from tests.builders.tenants import Tenant, a_member, a_person_of_role, a_tenant
from tests.control_plane.alerts.world import DOLLAR, a_budget, period_of, spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(db: None) -> Tenant:
    return a_tenant("acme")


@pytest.fixture(autouse=True)
def store(counters_url: str) -> redis.Redis:
    """The counter store, empty."""
    found = redis.Redis.from_url(counters_url)
    found.flushdb()
    return found


def now_spend(budget: Budget, dollars: float, counter: str = "") -> None:
    now = timezone.now()
    spend(budget, dollars, counter=counter, at=now, now=now + timedelta(seconds=1))


def standing(tenant: Tenant, budget: Budget | str, user: User | None = None, **query: Any) -> Any:
    client = APIClient()
    client.force_login(user or tenant.admin)
    name = budget if isinstance(budget, str) else budget.id.hex
    return client.get(f"/api/v1/budgets/{name}/standing", query)


def test_spent_reserved_limit_stage_and_reset_of_each_counter(acme: Tenant, store: redis.Redis) -> None:
    ada = a_member(acme, "ada@acme.example")
    budget = a_budget(acme, per=["principal"])
    now_spend(budget, 8.5, ada.id.hex)
    now_spend(budget, 1, acme.admin.id.hex)
    period = period_of(budget, timezone.now())
    key = budget_key(acme.organization.id.hex, budget.id.hex, period, ada.id.hex)
    store.hset(key, mapping={"p": 8_500_000, "e": 200_000, "s": 1_250_000})

    answer = standing(acme, "engineer-daily").json()

    assert answer["period_starts_at"] is not None
    assert answer["resets_at"] > answer["period_starts_at"]
    first, second = answer["results"]
    assert (
        first.items()
        >= {
            "counter": ada.id.hex,
            "counter_text": "ada@acme.example",
            "spent_usd": "8.500000000",
            "reserved_usd": "1.250000000",
            "reserved_expected_usd": "0.200000000",
            "limit_usd": "10.000000000",
            "left_usd": "1.500000000",
            "percent": 85,
            "stage": {"at_percent": 80, "action": "alert"},
            "attempts": 1,
        }.items()
    )
    assert (second["percent"], second["stage"], second["reserved_usd"]) == (10, None, "0.000000000")


def test_a_raise_counts_in_the_limit_of_its_counter(acme: Tenant) -> None:
    budget = a_budget(acme, per=["model"])
    now = timezone.now()
    BudgetRaise.objects.create(
        organization=acme.organization,
        budget=budget,
        counter="opus",
        amount_nano_usd=10 * DOLLAR,
        from_at=now - timedelta(hours=1),
        until_at=now + timedelta(hours=1),
    )
    now_spend(budget, 9, "opus")
    now_spend(budget, 9, "sonnet")

    rows = {row["counter"]: row for row in standing(acme, budget).json()["results"]}

    assert (rows["opus"]["limit_usd"], rows["opus"]["percent"]) == ("20.000000000", 45)
    assert (rows["sonnet"]["limit_usd"], rows["sonnet"]["percent"]) == ("10.000000000", 90)


def test_a_store_out_of_reach_is_said_and_the_books_are_shown(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise redis.ConnectionError("away")

    budget = a_budget(acme)
    now_spend(budget, 2)
    monkeypatch.setattr(reserved.redis.Redis, "from_url", away)

    [row] = standing(acme, budget).json()["results"]

    assert (row["spent_usd"], row["reserved_usd"]) == ("2.000000000", None)


def test_a_budget_of_all_is_shown_before_anything_was_spent(acme: Tenant) -> None:
    [row] = standing(acme, a_budget(acme)).json()["results"]

    assert (row["spent_usd"], row["percent"], row["last_at"]) == ("0.000000000", 0, None)
    assert standing(acme, a_budget(acme, "each", per=["user"])).json()["results"] == []


def test_pages_give_the_fullest_first_and_each_once(acme: Tenant) -> None:
    budget = a_budget(acme, per=["model"])
    for number in range(5):
        now_spend(budget, number + 1, f"model-{number}")
    first = standing(acme, budget, limit=2).json()
    client = APIClient()
    client.force_login(acme.admin)
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()

    names = [row["counter"] for page in (first, second, third) for row in page["results"]]
    assert names == ["model-4", "model-3", "model-2", "model-1", "model-0"]
    assert third["next"] is None
    assert standing(acme, budget, cursor="nonsense").status_code == 400
    assert standing(acme, budget, cursor="bm9uc2Vuc2U=").status_code == 400


def test_people_see_their_own_counters_and_leads_their_teams(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    lead = a_person_of_role(acme, Role.TEAM_LEAD, "lead@acme.example")
    by_person, by_team, shared = (
        a_budget(acme, "people", per=["principal"]),
        a_budget(acme, "teams", per=["team"]),
        a_budget(acme, "shared", per=["model"]),
    )
    for user in (ada, lead, acme.admin):
        now_spend(by_person, 1, user.id.hex)
    now_spend(by_team, 1, acme.team.id.hex)
    now_spend(by_team, 1, "0f" * 16)
    now_spend(shared, 1, "opus")

    def seen(budget: Budget, user: User) -> list[str]:
        return [row["counter"] for row in standing(acme, budget, user).json()["results"]]

    assert seen(by_person, ada) == [ada.id.hex]
    assert seen(by_person, lead) == [lead.id.hex]
    assert seen(by_team, lead) == [acme.team.id.hex]
    assert seen(by_team, ada) == []
    assert seen(shared, ada) == ["opus"]
    assert len(seen(by_person, acme.admin)) == 3


def test_a_foreign_budget_is_not_there(acme: Tenant) -> None:
    other = a_tenant("globex")
    budget = a_budget(other)

    assert standing(acme, budget).status_code == 404
    assert standing(acme, "engineer-daily").status_code == 404
    assert standing(other, budget).status_code == 200
