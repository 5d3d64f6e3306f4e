"""Mutes: days go on being found and shown, nobody is told, and it ends by itself."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.alerts.models import Finding
from control_plane.audit.models import Change
from control_plane.audit.services import Actor
from control_plane.forecasts.models import UnusualMute, UnusualSpend
from control_plane.forecasts.services import forecasts_forget, mute_lift, mute_set, unusual_find
from control_plane.organizations.models import Role, Team, TeamMembership
from tests.builders.tenants import Tenant, a_member, a_person_of_role, a_service_account
from tests.control_plane.forecasts.world import DOLLAR, NOW, at, spend_at, work_days

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
WEEK = TODAY + timedelta(days=7)


def because(tenant: Tenant, why: str = "A known migration.") -> Actor:
    return Actor(tenant.actor.kind, tenant.actor.id, tenant.actor.name, reason=why)


def a_wild_day(tenant: Tenant, person: User, day: date = TODAY) -> None:
    spend_at(tenant, work_days(date(2026, 9, 1), day - timedelta(days=1), 9), principal=person.id)
    spend_at(tenant, [(at(day, 10), 84)], principal=person.id)


def mute(tenant: Tenant, person: User, last_day: date = WEEK, now: datetime = NOW) -> UnusualMute:
    return mute_set(
        organization=tenant.organization, principal_id=person.id, last_day=last_day, by=because(tenant), now=now
    )


def test_a_muted_day_is_found_and_marked_and_told_to_nobody(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    mute(acme, ada)
    a_wild_day(acme, ada)

    for _ in range(2):
        assert unusual_find(organization=acme.organization, now=NOW) == 1

    assert UnusualSpend.objects.get().muted_at == NOW
    assert not Finding.objects.exists()


def test_once_lifted_a_day_that_is_still_judged_is_told(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    mute(acme, ada)
    a_wild_day(acme, ada)
    unusual_find(organization=acme.organization, now=NOW)

    mute_lift(mute=UnusualMute.objects.get(), by=acme.actor, now=NOW)
    unusual_find(organization=acme.organization, now=NOW)

    assert UnusualSpend.objects.get().muted_at is None
    assert Finding.objects.count() == 1
    told = [(change.action, change.subject_id, change.reason) for change in Change.objects.order_by("sequence")][-2:]
    assert told == [
        ("unusual_spend.muted", ada.id.hex, "A known migration."),
        ("unusual_spend.unmuted", ada.id.hex, ""),
    ]
    assert {change.subject_name for change in Change.objects.filter(action__startswith="unusual_spend.")} == {ada.email}


def test_it_ends_by_itself_and_its_days_stay_quiet(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    mute(acme, ada, last_day=TODAY)
    a_wild_day(acme, ada)
    unusual_find(organization=acme.organization, now=NOW)
    tomorrow = NOW + timedelta(days=1)

    # Yesterday is judged again; the new day is told.
    spend_at(acme, [(at(TODAY + timedelta(days=1), 8), 90)], principal=ada.id)
    unusual_find(organization=acme.organization, now=tomorrow)

    assert [(row.day, row.muted_at) for row in UnusualSpend.objects.order_by("day")] == [
        (TODAY, NOW),
        (TODAY + timedelta(days=1), None),
    ]
    assert Finding.objects.get().facts["day"] == (TODAY + timedelta(days=1)).isoformat()
    forecasts_forget(now=NOW + timedelta(days=5))
    assert not UnusualMute.objects.exists()


def test_a_day_that_was_told_is_marked_when_it_is_muted_and_told_once(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    a_wild_day(acme, ada)
    unusual_find(organization=acme.organization, now=NOW)
    mute(acme, ada)
    assert UnusualSpend.objects.get().muted_at == NOW

    mute_lift(mute=UnusualMute.objects.get(), by=acme.actor, now=NOW)
    unusual_find(organization=acme.organization, now=NOW)

    assert Finding.objects.count() == 1


def test_a_mute_takes_the_place_of_the_one_that_stands(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    mute(acme, ada)
    mute(acme, ada, last_day=TODAY)
    assert UnusualMute.objects.get().last_day == TODAY
    assert Change.objects.latest("sequence").before["last_day"] == WEEK.isoformat()


@pytest.mark.parametrize(
    ("last_day", "why", "field"),
    [
        (TODAY - timedelta(days=1), "known", "last_day"),
        (TODAY + timedelta(days=400), "known", "last_day"),
        (WEEK, "", "reason"),
    ],
)
def test_a_day_that_is_over_or_far_and_silence_without_a_reason_are_refused(
    acme: Tenant, last_day: date, why: str, field: str
) -> None:
    ada = a_member(acme, "ada@acme.example")
    with pytest.raises(ValidationError) as failure:
        mute_set(organization=acme.organization, principal_id=ada.id, last_day=last_day, by=because(acme, why), now=NOW)
    assert list(failure.value.message_dict) == [field]


# --- REST -----------------------------------------------------------------------------------------------------------


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def post(user: User, principal_id: Any, **given: Any) -> Any:
    body = {"principal": principal_id.hex, "days": 7, "reason": "A load test.", **given}
    return client_of(user).post(
        "/api/v1/unusual-spend-mutes", {name: value for name, value in body.items() if value is not None}, format="json"
    )


def test_muting_over_rest_is_listed_and_lifted(acme: Tenant, globex: Tenant) -> None:
    account = a_service_account(acme)
    made = post(acme.admin, account.id)
    assert made.status_code == 201, made.content
    told = made.json()
    assert (told["principal"], told["principal_kind"], told["reason"]) == (
        account.name,
        "service_account",
        "A load test.",
    )
    assert told["last_day"] == (timezone.now().date() + timedelta(days=7)).isoformat()
    assert [one["id"] for one in client_of(acme.admin).get("/api/v1/unusual-spend-mutes").json()["results"]] == [
        told["id"]
    ]
    address = f"/api/v1/unusual-spend-mutes/{told['id']}"
    assert client_of(globex.admin).get("/api/v1/unusual-spend-mutes").json()["results"] == []
    assert client_of(globex.admin).delete(address).status_code == 404
    assert client_of(acme.admin).delete(address).status_code == 204
    assert not UnusualMute.objects.exists()


def test_wrong_mutes_are_refused_with_their_field(acme: Tenant, globex: Tenant) -> None:
    ada, gus = a_member(acme, "ada@acme.example"), a_member(globex, "gus@globex.example")
    assert "principal" in str(post(acme.admin, gus.id).json())
    for given in ({"days": None}, {"last_day": WEEK.isoformat()}, {"reason": None}, {"days": 500}):
        assert post(acme.admin, ada.id, **given).status_code == 400
    assert not UnusualMute.objects.exists()


def test_a_lead_mutes_only_with_the_delegation_and_whom_no_other_team_has(acme: Tenant) -> None:
    lead, ada = a_person_of_role(acme, Role.TEAM_LEAD), a_member(acme, "ada@acme.example")
    auditor = a_person_of_role(acme, Role.AUDITOR)
    finance = a_person_of_role(acme, Role.FINANCE)
    for person in (lead, auditor, ada):
        assert post(person, ada.id).status_code == 403
    acme.organization.leads_may_set_budgets = True
    acme.organization.save()

    assert post(lead, ada.id).status_code == 201
    assert post(lead, lead.id).status_code == 403
    other = Team.objects.create(organization=acme.organization, name="another team")
    TeamMembership.objects.create(organization=acme.organization, team=other, user=ada)
    (mute_id,) = UnusualMute.objects.values_list("id", flat=True)
    assert client_of(lead).delete(f"/api/v1/unusual-spend-mutes/{mute_id.hex}").status_code == 403
    assert post(lead, ada.id).status_code == 403
    assert post(finance, ada.id).status_code == 201
    assert [len(client_of(one).get("/api/v1/unusual-spend-mutes").json()["results"]) for one in (ada, auditor)] == [
        1,
        1,
    ]


def test_findings_tell_whether_they_are_muted(acme: Tenant) -> None:
    ada = a_member(acme, "ada@acme.example")
    UnusualSpend.objects.create(
        organization_id=acme.organization.id,
        principal_id=ada.id,
        principal_kind="user",
        day=TODAY,
        spent_nano_usd=84 * DOLLAR,
        usual_nano_usd=9 * DOLLAR,
        line_nano_usd=30 * DOLLAR,
        compared="weekday",
        compared_days=8,
        found_at=NOW,
        muted_at=NOW,
    )
    client = client_of(acme.admin)
    (told,) = client.get("/api/v1/unusual-spend", {"is_muted": "true"}).json()["results"]
    assert told["muted_at"] is not None
    assert client.get("/api/v1/unusual-spend", {"is_muted": "false"}).json()["results"] == []
