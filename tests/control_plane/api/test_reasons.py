"""Why something was done: how it is said, where it ends up, and where it must be said."""

from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from control_plane.audit.models import Change
from control_plane.declarative.tasks import sweep
from control_plane.identity.services.connections import OidcFacts, connection_create
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Role
from control_plane.organizations.services import team_update
from tests.control_plane.api.world import ACTOR, Tenant


def reason_of(tenant: Tenant, action: str) -> str:
    change = Change.objects.filter(organization_id=tenant.organization.id, action=action).order_by("-sequence").first()
    assert change is not None
    return change.reason


def test_a_reason_comes_with_any_change(acme: Tenant) -> None:
    admin = acme.as_admin
    admin.patch("/api/v1/teams/Platform", {"cost_centre": "1", "reason": "moved to EMEA"}, format="json")
    assert reason_of(acme, "team.updated") == "moved to EMEA"

    admin.patch(
        "/api/v1/teams/Platform", {"cost_centre": "2"}, headers={"X-Switchyard-Reason": "L%C3%BCcke"}, format="json"
    )
    assert reason_of(acme, "team.updated") == "Lücke"

    assert admin.delete("/api/v1/virtual-models/sonnet?reason=unused").status_code == 204
    assert reason_of(acme, "virtual_model.deleted") == "unused"


def test_the_reason_of_a_revocation_is_on_the_key_too(acme: Tenant) -> None:
    address = f"/api/v1/keys/{acme.member_key.key_id}/revoke"
    acme.as_admin.post(address, {}, headers={"X-Switchyard-Reason": "laptop lost"}, format="json")

    assert VirtualKey.objects.get(id=acme.member_key.id).revoke_reason == "laptop lost"
    assert reason_of(acme, "key.revoked") == "laptop lost"


@pytest.mark.parametrize("reason", [5, ["x"], "x" * 1001])
def test_what_is_no_reason_is_refused(acme: Tenant, reason: Any) -> None:
    response = acme.as_admin.patch("/api/v1/teams/Platform", {"cost_centre": "1", "reason": reason}, format="json")

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "reason"


DANGEROUS: list[tuple[str, str, Any]] = [
    ("post", "keys/KEY/revoke", {}),
    ("post", "keys/revoke", {"keys": ["KEY"]}),
    ("post", "organizations/acme/disable", {}),
    ("post", "users/member@acme.example/deactivate", {}),
    ("patch", "users/member@acme.example", {"is_active": False}),
    ("patch", "memberships/member@acme.example", {"role": "admin"}),
    ("delete", "memberships/member@acme.example", None),
    ("patch", "providers/anthropic-main", {"credential": {"value": "sk-ant-another"}}),
    ("delete", "providers/anthropic-main", None),
    ("delete", "virtual-models/sonnet", None),
]


@pytest.mark.parametrize(("method", "address", "body"), DANGEROUS, ids=[f"{one[0]} {one[1]}" for one in DANGEROUS])
def test_dangerous_actions_need_a_reason_where_the_installation_says_so(
    acme: Tenant, settings: Settings, method: str, address: str, body: Any
) -> None:
    settings.SWITCHYARD = replace(settings.SWITCHYARD, requires_reasons=True)
    key_id = acme.member_key.key_id
    body = {"keys": [key_id]} if body and "keys" in body else body
    send = getattr(acme.as_admin, method)
    address = f"/api/v1/{address.replace('KEY', key_id)}"

    refused = send(address, body, format="json")

    assert refused.status_code == 400, refused.content
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]
    told = send(address, body, format="json", headers={"X-Switchyard-Reason": "because"})
    # A provider that a route still leads to stays, for a reason of its own.
    assert told.status_code in (200, 204) or told.json()["errors"][0]["field"] == "provider", told.content


def test_going_back_to_a_revision_needs_a_reason_and_looking_at_it_none(acme: Tenant, settings: Settings) -> None:
    settings.SWITCHYARD = replace(settings.SWITCHYARD, requires_reasons=True)
    owner = acme.as_owner
    team_update(team=acme.team, cost_centre="9", actor=ACTOR)
    sweep()
    number = owner.get("/api/v1/policy-revisions").json()["results"][0]["number"]
    address = f"/api/v1/policy-revisions/{number}/restore"

    assert owner.post(address, {"dry_run": True}, format="json").status_code == 200
    refused = owner.post(address, {}, format="json")
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]
    assert owner.post(address, {"reason": "the old costs"}, format="json").status_code == 200


def test_enforcing_single_sign_on_needs_a_reason(acme: Tenant, settings: Settings) -> None:
    settings.SWITCHYARD = replace(settings.SWITCHYARD, requires_reasons=True)
    connection = connection_create(
        organization=acme.organization,
        name="Okta",
        facts=OidcFacts("https://93.184.216.34", "client"),
        domains=("acme.example",),
        actor=ACTOR,
        grantor=Role.OWNER,
    )
    address = f"/api/v1/identity-connections/{connection.id.hex}/enforce"
    body = {"break_glass_owner": acme.owner.email}

    refused = acme.as_owner.post(address, body, format="json")
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]
    told = acme.as_owner.post(address, {**body, "reason": "rolled out"}, format="json")
    assert [error["field"] for error in told.json()["errors"]] == ["connection"]  # it was never tested


def test_changes_of_daily_life_need_none(acme: Tenant, settings: Settings) -> None:
    settings.SWITCHYARD = replace(settings.SWITCHYARD, requires_reasons=True)
    admin = acme.as_admin

    assert admin.patch("/api/v1/teams/Platform", {"cost_centre": "7"}, format="json").status_code == 200
    changed = admin.patch("/api/v1/memberships/member@acme.example", {"role": "finance"}, format="json")
    assert changed.status_code == 200
    assert admin.delete(f"/api/v1/admin-tokens/{own_token(acme)}").status_code == 204


def own_token(acme: Tenant) -> str:
    return str(acme.as_admin.get("/api/v1/admin-tokens?user=admin@acme.example").json()["results"][0]["id"])
