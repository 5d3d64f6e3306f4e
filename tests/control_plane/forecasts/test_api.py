"""REST: forecasts in force, one with its course and drivers, history with scores, unusual spend; who sees which."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.forecasts.models import Forecast, UnusualSpend
from control_plane.forecasts.services import forecasts_make
from control_plane.organizations.models import Role
from tests.builders.tenants import Tenant, a_member, a_person_of_role
from tests.control_plane.forecasts.test_making import a_monthly
from tests.control_plane.forecasts.world import DOLLAR, post, spend_at, work_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """The API asks the clock, so these worlds are of today."""
    return timezone.now()


def get(tenant: Tenant, path: str, user: User | None = None, **query: Any) -> Any:
    client = APIClient()
    client.force_login(user or tenant.admin)
    return client.get(f"/api/v1/{path}", query)


def spend_lately(tenant: Tenant, now: datetime, dollars: float = 20, **more: Any) -> None:
    days = work_days(now.date() - timedelta(days=60), now.date() - timedelta(days=1), dollars)
    spend_at(tenant, days, **more)


def test_the_list_has_the_newest_of_each_and_one_has_course_and_drivers(acme: Tenant, now: datetime) -> None:
    ada = a_member(acme, "ada@acme.example")
    budget = a_monthly(acme, per=["principal"])
    spend_lately(acme, now, principal=ada.id)
    post(budget, 150, ada.id.hex, now=now)
    for moment in (now - timedelta(days=1), now):
        forecasts_make(organization=acme.organization, now=moment)

    results = get(acme, "forecasts").json()["results"]
    assert {(one["budget"], one["counter_text"]) for one in results} == {(None, ""), ("monthly", "ada@acme.example")}
    (mine,) = get(acme, "forecasts", budget="monthly").json()["results"]
    assert mine["spent_usd"] == "150.000000000"
    assert float(mine["p10_usd"]) <= float(mine["p50_usd"]) <= float(mine["p90_usd"])
    (whole,) = get(acme, "forecasts", budget="organization").json()["results"]
    assert (whole["budget_id"], whole["timezone"]) == (None, "UTC")

    one = get(acme, f"forecasts/{whole['id']}").json()
    assert one["course"][0]["spent_usd"] == "0.000000000"
    assert one["course"][-1]["p50_usd"] == one["p50_usd"]
    assert all(set(driver) >= {"kind", "name", "expected_usd"} for driver in one["drivers"])


def test_history_tells_what_became_of_past_forecasts_and_the_score(acme: Tenant, now: datetime) -> None:
    spend_lately(acme, now)
    forecasts_make(organization=acme.organization, now=now)
    row = Forecast.objects.get()
    for number, actual in enumerate((100, 100, 100, 400)):
        Forecast.objects.create(
            organization_id=row.organization_id,
            subject_id=row.subject_id,
            period_unit="month",
            timezone="UTC",
            period_ms=1,
            ends_at=now - timedelta(days=30),
            day=date(2026, 1, 1 + number),
            as_of=now - timedelta(days=40 - number),
            spent_nano_usd=0,
            p10_nano_usd=80 * DOLLAR,
            p50_nano_usd=90 * DOLLAR,
            p90_nano_usd=120 * DOLLAR,
            actual_nano_usd=actual * DOLLAR,
            scored_at=now,
        )

    history = get(acme, f"forecasts/{row.id.hex}/history").json()

    assert history["score"] == {"forecasts": 4, "inside": 3, "inside_percent": 75, "error_percent": 10}
    assert [one["is_inside"] for one in history["results"]] == [None, False, True, True, True]
    assert history["results"][1]["actual_usd"] == "400.000000000"


def test_where_there_is_no_band_it_says_why(acme: Tenant, now: datetime) -> None:
    spend_at(acme, [(now - timedelta(days=1), 5)])
    forecasts_make(organization=acme.organization, now=now)

    (one,) = get(acme, "forecasts").json()["results"]

    assert (one["why_none"], one["days_needed"], one["p50_usd"]) == ("few_days", 2, None)
    assert one["why_none_text"].startswith("2 more days needed")


def test_a_budget_s_standing_has_its_forecast(acme: Tenant, now: datetime) -> None:
    budget, hourly = a_monthly(acme), a_monthly(acme, "hourly", period="hour")
    spend_lately(acme, now)
    post(budget, 100, now=now)
    post(hourly, 1, now=now)
    forecasts_make(organization=acme.organization, now=now)

    (counter,) = get(acme, "budgets/monthly/standing").json()["results"]
    row = Forecast.objects.get(budget_id=budget.id)
    assert counter["forecast"]["id"] == row.id.hex
    assert counter["forecast"]["p50_nano_usd"] == row.p50_nano_usd
    assert counter["forecast"]["spent_at"].keys() == {"p10", "p50", "p90"}
    assert get(acme, "budgets/hourly/standing").json()["results"][0]["forecast"] is None


def test_each_sees_what_is_theirs(acme: Tenant, globex: Tenant, now: datetime) -> None:
    ada, grace = a_member(acme, "ada@acme.example"), a_member(acme, "grace@acme.example")
    lead, auditor = (a_person_of_role(acme, role) for role in (Role.TEAM_LEAD, Role.AUDITOR))
    each, shared = a_monthly(acme, "each", per=["principal"]), a_monthly(acme, "shared")
    others = a_monthly(acme, "others", when={"subjects": ["team:" + "ff" * 16]})
    spend_lately(acme, now, principal=ada.id)
    for person in (ada, grace):
        post(each, 10, person.id.hex, now=now)
    forecasts_make(organization=acme.organization, now=now)

    def seen(tenant: Tenant, user: User | None = None) -> set[tuple[str | None, str]]:
        results = get(tenant, "forecasts", user).json()["results"]
        return {(one["budget"], one["counter_text"]) for one in results}

    everything = {(None, ""), (shared.name, ""), (others.name, ""), ("each", ada.email), ("each", grace.email)}
    assert seen(acme) == seen(acme, auditor) == everything
    assert seen(acme, ada) == {("shared", ""), ("each", ada.email)}
    assert seen(acme, lead) == {("shared", ""), ("each", ada.email), ("each", grace.email)}
    assert seen(globex) == set()

    hers = Forecast.objects.get(counter=grace.id.hex)
    for path in (f"forecasts/{hers.id.hex}", f"forecasts/{hers.id.hex}/history"):
        assert get(acme, path, grace).status_code == 200
        assert get(acme, path, ada).status_code == 404
        assert get(globex, path).status_code == 404


def a_finding(tenant: Tenant, user: User, now: datetime) -> UnusualSpend:
    return UnusualSpend.objects.create(
        organization_id=tenant.organization.id,
        principal_id=user.id,
        principal_kind="user",
        team_id=tenant.team.id,
        day=now.date(),
        spent_nano_usd=84 * DOLLAR,
        usual_nano_usd=9 * DOLLAR,
        line_nano_usd=30 * DOLLAR,
        compared="weekday",
        compared_days=8,
        model="claude-opus-4-8",
        found_at=now,
    )


def test_a_finding_is_seen_and_decided_by_those_who_may(acme: Tenant, globex: Tenant, now: datetime) -> None:
    ada = a_member(acme, "ada@acme.example")
    lead = a_person_of_role(acme, Role.TEAM_LEAD)
    finding = a_finding(acme, ada, now)
    (told,) = get(acme, "unusual-spend").json()["results"]
    assert (told["principal"], told["spent_usd"], told["state"]) == (ada.email, "84.000000000", "open")
    assert [len(get(acme, "unusual-spend", user).json()["results"]) for user in (ada, lead)] == [1, 1]
    assert get(globex, "unusual-spend").json()["results"] == []

    def decide(tenant: Tenant, user: User, state: str) -> Any:
        client = APIClient()
        client.force_login(user)
        return client.post(f"/api/v1/unusual-spend/{finding.id.hex}/decide", {"state": state}, format="json")

    assert decide(acme, ada, "dismissed").status_code == 403
    assert decide(globex, globex.admin, "dismissed").status_code == 404
    assert decide(acme, acme.admin, "gone").status_code == 400
    decided = decide(acme, lead, "dismissed").json()
    assert (decided["state"], bool(decided["decided_by"])) == ("dismissed", True)
    assert Change.objects.filter(action="unusual_spend.decided").count() == 1
    assert get(acme, "unusual-spend", state="open").json()["results"] == []
    assert decide(acme, lead, "open").json()["decided_at"] is None
