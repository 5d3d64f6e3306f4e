"""The pages of statements: reading, closing, correcting, taking away."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from control_plane.accounts.models import User
from control_plane.organizations.models import Role, Team
from control_plane.statements.models import ClosedStatement
from control_plane.usage.models import Adjustment
from tests.builders.tenants import a_person_of_role
from tests.control_plane.statements.conftest import NOW, Books, books
from tests.control_plane.web.conftest import SignIn

__all__ = ["books"]


@pytest.fixture
def filled(books: Books) -> Books:
    books.spend(datetime(2026, 10, 3, tzinfo=UTC), books.core, books.ada, 10)
    books.spend(datetime(2026, 10, 4, tzinfo=UTC), books.web, books.grace, 20, model="claude-opus-4-6")
    books.spend(datetime(2026, 11, 4, tzinfo=UTC), books.web, books.grace, 5)
    books.book(NOW)
    return books


@pytest.fixture
def owner(filled: Books, sign_in: SignIn) -> Client:
    return sign_in(filled.tenant.admin)


def test_a_statement_shows_cost_centres_and_the_usage_of_the_chosen_one(filled: Books, owner: Client) -> None:
    page = owner.get("/statements/2026-10")
    text = page.content.decode()
    assert "$30.00" in text
    assert "Choose a cost centre" in text
    chosen = owner.get("/statements/2026-10?centre=0815").content.decode()
    assert "claude-opus-4-6" in chosen
    assert filled.grace.email in chosen
    assert "claude-sonnet-4-6" not in chosen
    assert owner.get("/statements/2026-13").status_code == 404
    assert owner.get("/statements/2100-01").status_code == 404


def test_csv_and_focus_are_of_the_month(owner: Client) -> None:
    lines = b"".join(owner.get("/statements/2026-10?format=csv").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert lines[0].startswith("month,line,cost_centre")
    assert sum(",usage," in line for line in lines) == 2
    rows = b"".join(owner.get("/statements/2026-10?format=focus").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert rows[0].startswith("BilledCost,BillingAccountId")
    assert len(rows) == 3


def test_a_month_is_closed_by_typing_it_and_a_running_one_is_not(owner: Client) -> None:
    refused = owner.post("/statements/2026-11/close", {"confirm": "2026-11", "reason": "end of month"})
    assert refused.status_code == 422
    assert (
        "is still open; close it first" in refused.content.decode() or "can be closed from" in refused.content.decode()
    )
    assert owner.post("/statements/2026-10/close", {"confirm": "October", "reason": "x"}).status_code == 422
    assert not ClosedStatement.objects.exists()
    answer = owner.post("/statements/2026-10/close", {"confirm": "2026-10", "reason": "books"})
    assert answer["Location"] == "/statements/2026-10"
    assert "these sums never change" in owner.get("/statements/2026-10").content.decode()


def test_a_correction_is_booked_and_stands_on_the_statement(filled: Books, owner: Client) -> None:
    wrong = owner.post("/statements/correct", {"kind": "credit", "amount_usd": "3", "team": "nobody", "note": "Credit"})
    assert wrong.status_code == 422
    assert "no team of that name" in wrong.content.decode()
    given = {"kind": "credit", "amount_usd": "3", "team": "web", "principal": filled.grace.email, "note": "A credit"}
    assert owner.post("/statements/correct", given).status_code == 302
    made = Adjustment.objects.get()
    assert (made.cost_nano_usd, made.team_id, made.principal_id) == (-3_000_000_000, filled.web.id, filled.grace.id)
    month = f"{made.counted_at:%Y-%m}"
    rows = b"".join(owner.get(f"/statements/{month}?format=focus").streaming_content).decode().splitlines()  # type: ignore[arg-type]
    assert [row for row in rows if row.startswith("-3.000000000,")], "what is below zero is a number and no text"


def test_a_lead_sees_the_teams_they_lead_and_closes_nothing(filled: Books, sign_in: SignIn) -> None:
    lead = a_person_of_role(filled.tenant, Role.TEAM_LEAD, "lead@example.com")
    Team.objects.filter(id=filled.web.id).update(lead=lead)
    client = sign_in(lead)
    page = client.get("/statements/2026-10")
    assert [centre.name for centre in page.context["statement"].cost_centres] == ["0815"]
    assert not page.context["may_close"]
    assert client.get("/statements/2026-10/close").status_code == 404
    assert client.get("/statements/correct").status_code == 404
    rows = b"".join(client.get("/statements/2026-10?format=focus").streaming_content).decode()  # type: ignore[arg-type]
    assert "core" not in rows


def test_a_member_has_no_statements(filled: Books, sign_in: SignIn) -> None:
    grace: User = filled.grace
    assert sign_in(grace).get("/statements/2026-10").status_code == 404


def test_rest_says_the_same(filled: Books, owner: Client) -> None:
    month = owner.get("/api/v1/statements/2026-10").json()
    assert (month["used_usd"], month["closing_usd"], month["closed_at"]) == ("30.000000000", "30.000000000", None)
    assert [centre["cost_centre"] for centre in month["cost_centres"]] == ["0815", "4711"]
    assert [line["principal"] for line in month["usage"]] == [filled.grace.email, filled.ada.email]
    only = owner.get("/api/v1/statements/2026-10?cost_centre=4711").json()
    assert only["used_usd"] == "10.000000000"
    assert owner.get("/api/v1/statements/2026-10?cost_centre=nope").status_code == 400
    assert owner.get("/api/v1/statements/now").status_code == 400
    assert owner.get("/api/v1/statements/2026-10", headers={"accept": "text/csv"})["content-type"].startswith(
        "text/csv"
    )
    listed = owner.get("/api/v1/statements").json()["results"]
    assert listed[0]["closed_at"] is None
    assert "2026-10" in [one["month"] for one in listed]
