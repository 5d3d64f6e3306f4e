"""Nobody gives themselves or others more than they have, by the API: A02, A03, A04 and A14 of the catalogue."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from control_plane.organizations.models import Membership, Role, TeamMembership
from control_plane.organizations.services import INSTALLATION, membership_update, organization_update, team_update
from tests.control_plane.api.world import ACTOR, PASSWORD, Tenant, a_person, as_user


def patch(client: APIClient, address: str, body: Any) -> Any:
    return client.patch(f"/api/v1/{address}", body, format="json", headers={"X-Switchyard-Reason": "test"})


def post(client: APIClient, address: str, body: Any) -> Any:
    return client.post(f"/api/v1/{address}", body, format="json", headers={"X-Switchyard-Reason": "test"})


@pytest.fixture
def lead(acme: Tenant) -> APIClient:
    """The client of somebody who leads team Platform."""
    person = a_person(acme, Role.MEMBER, "lead@acme.example")
    team_update(team=acme.team, lead=person, actor=ACTOR)
    return as_user(acme, person)


@pytest.mark.parametrize("name", ["organization", "organization_id", "is_superuser", "is_staff", "spent", "hash", "id"])
@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("users", {"email": "x@acme.example"}),
        ("teams", {"name": "x"}),
        ("keys", {"name": "x"}),
        ("service-accounts", {"name": "x", "team": "Platform"}),
        ("admin-tokens", {"name": "x"}),
    ],
)
def test_fields_that_are_nobodys_to_set_are_refused(resource: str, body: Any, name: str, acme: Tenant) -> None:
    response = post(acme.as_owner, resource, {**body, name: "1"})
    assert response.status_code == 400
    assert name in {error["field"] for error in response.json()["errors"]}


@pytest.mark.parametrize("role", ["owner", "admin", "finance", "auditor", "team_lead"])
def test_nobody_promotes_themselves(role: str, acme: Tenant) -> None:
    member = patch(acme.as_member, f"memberships/{acme.membership.id.hex}", {"role": role})
    assert member.status_code == 403
    assert "members.manage" in member.json()["detail"]
    own = Membership.objects.get(user=acme.admin)
    admin = patch(acme.as_admin, f"memberships/{own.id.hex}", {"role": "owner"})
    assert admin.status_code == 403
    assert "owners.manage" in admin.json()["detail"]


def test_an_admin_makes_admins_but_no_owners_and_touches_none(acme: Tenant) -> None:
    owner = Membership.objects.get(user=acme.owner)
    member = acme.membership.id.hex
    assert patch(acme.as_admin, f"memberships/{member}", {"role": "admin"}).status_code == 200
    assert patch(acme.as_admin, f"memberships/{member}", {"role": "owner"}).status_code == 403
    assert post(acme.as_admin, "users", {"email": "new@acme.example", "role": "owner"}).status_code == 403
    assert patch(acme.as_admin, f"memberships/{owner.id.hex}", {"tags": {"a": "b"}}).status_code == 403
    assert acme.as_admin.delete(f"/api/v1/memberships/{owner.id.hex}").status_code == 403
    assert post(acme.as_admin, f"users/{acme.owner.id.hex}/deactivate", {"reason": "x"}).status_code == 403
    assert patch(acme.as_owner, f"memberships/{member}", {"role": "owner"}).status_code == 200


def test_the_last_owner_cannot_be_removed_or_deactivated(acme: Tenant) -> None:
    own = Membership.objects.get(user=acme.owner)
    assert acme.as_owner.delete(f"/api/v1/memberships/{own.id.hex}").status_code == 409
    assert post(acme.as_owner, f"users/{acme.owner.id.hex}/deactivate", {"reason": "x"}).status_code == 409
    assert acme.as_owner.delete(f"/api/v1/organizations/{acme.organization.id.hex}").status_code == 405


def test_a_lead_fills_the_own_team_once_that_is_delegated(acme: Tenant, lead: APIClient) -> None:
    newcomer = a_person(acme, Role.MEMBER, "new@acme.example")
    body, where = {"user": "new@acme.example"}, f"teams/{acme.team.id.hex}/members"
    refused = post(lead, where, body)
    assert refused.status_code == 403
    assert "team_members.manage" in refused.json()["detail"]

    organization_update(organization=acme.organization, leads_may_add_members=True, actor=ACTOR)

    assert post(lead, where, body).status_code == 201
    assert TeamMembership.objects.filter(team=acme.team, user=newcomer).exists()
    assert post(lead, "teams/Research/members", body).status_code == 404
    assert patch(lead, f"teams/{acme.team.id.hex}", {"name": "x"}).status_code == 403
    assert lead.delete(f"/api/v1/{where}/new@acme.example").status_code == 204


def test_a_lead_mints_service_keys_of_the_own_team_once_that_is_delegated(acme: Tenant, lead: APIClient) -> None:
    key = {"name": "x", "owner": {"service_account": "ci"}}
    assert post(lead, "keys", key).status_code == 403
    assert post(lead, "service-accounts", {"name": "bot", "team": "Platform"}).status_code == 403
    assert post(lead, f"keys/{acme.account_key.key_id}/rotate", {}).status_code == 403

    organization_update(organization=acme.organization, leads_may_mint_service_keys=True, actor=ACTOR)

    assert post(lead, "keys", key).status_code == 201
    assert post(lead, "service-accounts", {"name": "bot", "team": "Platform"}).status_code == 201
    assert post(lead, "service-accounts", {"name": "bat", "team": "Research"}).status_code == 400
    assert post(lead, f"keys/{acme.account_key.key_id}/rotate", {}).status_code == 201
    # Seen, since it is charged to the team; its owner's alone all the same.
    assert post(lead, f"keys/{acme.member_key.key_id}/revoke", {"reason": "x"}).status_code == 403
    assert post(lead, "keys", {"name": "x", "owner": {"user": acme.member.email}}).status_code == 403


def test_a_service_account_stays_in_teams_one_may_make_them_for(acme: Tenant, lead: APIClient) -> None:
    organization_update(organization=acme.organization, leads_may_mint_service_keys=True, actor=ACTOR)
    assert patch(lead, "service-accounts/ci", {"description": "x"}).status_code == 200
    assert patch(lead, "service-accounts/ci", {"team": "Research"}).status_code == 400


def test_a_change_of_role_bites_on_the_next_request_of_token_and_session(acme: Tenant) -> None:
    session, token = Client(), acme.as_admin
    session.force_login(acme.admin)
    own = Membership.objects.get(user=acme.admin)
    assert token.get("/api/v1/providers").status_code == 200
    assert session.get("/api/v1/providers").status_code == 200
    assert session.get("/providers").status_code == 200

    membership_update(membership=own, role=Role.MEMBER, actor=ACTOR, by=INSTALLATION)

    assert token.get("/api/v1/providers").status_code == 403
    assert session.get("/api/v1/providers").status_code == 403
    assert session.get("/providers").status_code == 404


def test_a_lead_who_leads_no_longer_sees_no_more_of_the_team(acme: Tenant, lead: APIClient) -> None:
    assert lead.get(f"/api/v1/keys/{acme.member_key.key_id}").status_code == 200
    team_update(team=acme.team, clears_lead=True, actor=ACTOR)
    assert lead.get(f"/api/v1/keys/{acme.member_key.key_id}").status_code == 404


def test_a_session_is_new_after_signing_in_and_dead_after_signing_out(acme: Tenant) -> None:
    client = Client()
    client.get("/sign-in")
    planted = client.session.session_key or ""
    client.post("/sign-in", {"email": acme.member.email, "password": PASSWORD})
    signed_in = client.session.session_key
    assert signed_in
    assert signed_in != planted
    cookies = client.cookies.output(header="", sep=";")
    client.post("/sign-out")
    again = Client()
    again.cookies.load(cookies)
    assert again.get("/my/keys").status_code == 302


def test_a_session_changes_nothing_without_its_token_from_this_origin(acme: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(acme.owner)
    body = {"name": "x"}
    assert client.post("/api/v1/teams", body, content_type="application/json").status_code == 403
    assert (
        client.post(
            "/api/v1/teams", body, content_type="application/json", headers={"Origin": "https://evil.example"}
        ).status_code
        == 403
    )
    assert client.get(f"/teams/{acme.team.id}/people/{acme.member.id}/remove").status_code == 405
    assert TeamMembership.objects.filter(team=acme.team, user=acme.member).exists()


def test_standing_costs_a_lead_one_query_and_others_none(acme: Tenant, lead: APIClient) -> None:
    def queries(client: APIClient) -> int:
        client.get("/api/v1/models")
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/api/v1/models").status_code == 200
        return len(captured)

    assert queries(acme.as_member) == queries(acme.as_admin)
    assert queries(lead) == queries(acme.as_member) + 1
