"""Raises and wishes over REST."""

from typing import Any
from uuid import uuid4

from rest_framework.test import APIClient

from control_plane.budgets.models import BudgetRaise
from control_plane.organizations.models import Role
from switchyard_contract.counters import counter_of
from tests.control_plane.api.world import Tenant, a_person, as_user


def a_budget(tenant: Tenant, **fields: Any) -> None:
    body = {"name": "daily", "limit_usd": "10", "period": "day", "per": ["principal"], **fields}
    made = tenant.as_admin.post("/api/v1/budgets", body, format="json")
    assert made.status_code == 201, made.json()


def ask(client: APIClient, counter: str, **fields: Any) -> Any:
    body = {"budget": "daily", "counter": counter, "amount_usd": "5", "purpose": "The release is today.", **fields}
    return client.post("/api/v1/budget-requests", body, format="json")


def test_a_wish_becomes_a_raise_that_somebody_else_grants(acme: Tenant) -> None:
    a_budget(acme)
    counter = counter_of([acme.member.id.hex])

    asked = ask(acme.as_member, counter, decision_id="01JD0000000000000000000000")
    assert asked.status_code == 201, asked.json()
    address = f"/api/v1/budget-requests/{asked.json()['id']}"
    assert (asked.json()["state"], asked.json()["amount_usd"], asked.json()["requester"]) == (
        "pending",
        "5.00",
        acme.member.email,
    )
    assert ask(acme.as_member, counter).status_code == 409
    assert acme.as_member.post(f"{address}/approve", {}, format="json").status_code == 403
    waiting = acme.as_admin.get("/api/v1/budget-requests?state=pending&budget=daily").json()["results"]
    assert [row["id"] for row in waiting] == [asked.json()["id"]]

    granted = acme.as_admin.post(f"{address}/approve", {"amount_usd": "2.5", "note": "Until tonight."}, format="json")

    assert (granted.status_code, granted.json()["state"]) == (200, "approved")
    assert granted.json()["granted"]["amount_usd"] == "2.50"
    assert granted.json()["granted"]["counter"] == counter
    assert granted.json()["decided_by"] == acme.admin.email
    assert acme.as_admin.post(f"{address}/decline", {}, format="json").status_code == 409
    raises = acme.as_admin.get("/api/v1/budgets/daily/raises").json()
    assert [row["amount_nano_usd"] for row in raises] == [2_500_000_000]
    assert acme.as_admin.delete(f"/api/v1/budgets/daily/raises/{raises[0]['id']}").status_code == 204
    assert not BudgetRaise.objects.exists()
    assert acme.as_member.get(address).json()["granted"] is None


def test_a_wish_of_ones_own_is_for_others_to_grant(acme: Tenant) -> None:
    a_budget(acme)
    asked = ask(acme.as_admin, counter_of([acme.admin.id.hex])).json()

    refused = acme.as_admin.post(f"/api/v1/budget-requests/{asked['id']}/approve", {}, format="json")

    assert refused.status_code == 400
    assert "Somebody else" in refused.json()["detail"]
    granted = as_user(acme, acme.owner).post(f"/api/v1/budget-requests/{asked['id']}/approve", {}, format="json")
    assert granted.status_code == 200


def test_people_see_their_own_wishes_and_ask_for_budgets_that_are_theirs(acme: Tenant, globex: Tenant) -> None:
    a_budget(acme)
    a_budget(acme, name="finance-only", when={"subjects": ["role:finance"]})
    a_budget(globex)
    other = as_user(acme, a_person(acme, Role.MEMBER))
    asked = ask(acme.as_member, counter_of([acme.member.id.hex])).json()

    assert other.get("/api/v1/budget-requests").json()["results"] == []
    assert other.get(f"/api/v1/budget-requests/{asked['id']}").status_code == 404
    assert globex.as_admin.post(f"/api/v1/budget-requests/{asked['id']}/approve", {}, format="json").status_code == 404
    for budget in ("finance-only", "nowhere", uuid4().hex):
        refused = ask(acme.as_member, "", budget=budget)
        assert [error["field"] for error in refused.json()["errors"]] == ["budget"], budget
    wrong = ask(acme.as_member, "nonsense", amount_usd="-1", purpose="")
    assert {error["field"] for error in wrong.json()["errors"]} == {"purpose"}
    wrong = ask(acme.as_member, "nonsense", decision_id="x" * 40)
    assert [error["field"] for error in wrong.json()["errors"]] == ["counter"]
    assert acme.as_member.post(f"/api/v1/budget-requests/{asked['id']}/withdraw").json()["state"] == "withdrawn"


def test_a_budget_is_raised_for_a_while(acme: Tenant) -> None:
    a_budget(acme)
    address = "/api/v1/budgets/daily/raises"

    made = acme.as_admin.post(address, {"amount_usd": "5", "note": "Demo day"}, format="json")

    assert made.status_code == 201, made.json()
    assert (made.json()["counter"], made.json()["reason"]) == ("", "Demo day")
    assert made.json()["made_by"].startswith(acme.admin.email)
    acme.as_admin.post(address, {"amount_usd": "1", "counter": acme.account.id.hex}, format="json")
    # What is for everybody is everybody's to see; whose counter got more is not.
    assert [row["amount_usd"] for row in acme.as_member.get(address).json()] == ["5.00"]
    assert len(acme.as_admin.get(address).json()) == 2
    assert acme.as_member.post(address, {"amount_usd": "5"}, format="json").status_code == 403
    for body, field in (
        ({}, "amount_usd"),
        ({"amount_usd": "NaN"}, "amount_usd"),
        ({"amount_usd": "5", "counter": "a/b"}, "counter"),
        ({"amount_usd": "5", "until_at": "2020-01-01T00:00:00Z"}, "until"),
        ({"amount_usd": "5", "surprise": 1}, "surprise"),
    ):
        refused = acme.as_admin.post(address, body, format="json")
        assert (refused.status_code, [error["field"] for error in refused.json()["errors"]]) == (400, [field]), body
    assert acme.as_admin.delete(f"{address}/{uuid4().hex}").status_code == 404
