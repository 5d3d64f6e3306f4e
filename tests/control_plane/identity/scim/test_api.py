"""REST: scim-tokens and scim-groups."""

import pytest
from rest_framework.test import APIClient

from control_plane.identity.scim.models import ScimGroup, ScimToken
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Membership, Role
from tests.builders.tenants import SYSTEM, Tenant, a_person_of_role
from tests.control_plane.identity.scim.provider import Provider


def client_of(tenant: Tenant, role: Role | None = None) -> APIClient:
    user = tenant.admin if role is None else a_person_of_role(tenant, role)
    token = admin_token_mint(organization=tenant.organization, user=user, name="t", actor=SYSTEM).token
    found = APIClient()
    found.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return found


def test_a_token_is_minted_shown_once_listed_and_revoked(tenant: Tenant) -> None:
    owner = client_of(tenant)
    made = owner.post("/api/v1/scim-tokens", {"name": "Okta"}).json()
    assert made["token"].startswith("syscim_")
    assert made["endpoint"].endswith("/scim/v2")
    assert made["reaches_owners"] is True
    [listed] = owner.get("/api/v1/scim-tokens").json()["results"]
    assert "token" not in listed
    assert (listed["name"], listed["last_used_at"], listed["revoked_at"]) == ("Okta", None, None)
    assert owner.delete(f"/api/v1/scim-tokens/{made['id']}").status_code == 204
    assert owner.get("/api/v1/scim-tokens?is_revoked=false").json()["results"] == []
    assert ScimToken.objects.get().revoked_at is not None


def test_a_group_gives_the_role_that_is_set(provider: Provider) -> None:
    owner = client_of(provider.tenant)
    made = provider.add_group("Admins", provider.add_user("ada@acme.example.com"))
    [listed] = owner.get("/api/v1/scim-groups").json()["results"]
    assert (listed["name"], listed["team"], listed["role"]) == ("Admins", "Admins", "")
    address = f"/api/v1/scim-groups/{made['id']}"
    assert owner.patch(address, {"role": "finance"}).json()["role"] == "finance"
    assert Membership.objects.get(user__email="ada@acme.example.com").role == Role.FINANCE
    assert owner.patch(address, {"role": "owner"}).status_code == 400
    assert owner.patch(address, {"role": ""}).json()["role"] == ""


@pytest.mark.parametrize(
    ("role", "reads", "changes"),
    [
        (Role.ADMIN, 200, 201),
        (Role.AUDITOR, 200, 403),
        (Role.FINANCE, 403, 403),
        (Role.TEAM_LEAD, 403, 403),
        (Role.MEMBER, 403, 403),
    ],
)
def test_who_may_connect_a_directory(tenant: Tenant, role: Role, reads: int, changes: int) -> None:
    caller = client_of(tenant, role)
    assert caller.get("/api/v1/scim-tokens").status_code == reads
    assert caller.get("/api/v1/scim-groups").status_code == reads
    assert caller.post("/api/v1/scim-tokens", {"name": "x"}).status_code == changes
    assert ScimToken.objects.filter(reaches_owners=True).count() == 0


def test_foreign_ids_are_not_there(tenant: Tenant, other: Provider) -> None:
    owner = client_of(tenant)
    group = other.add_group("Theirs")
    assert owner.delete(f"/api/v1/scim-tokens/{other.record.id}").status_code == 404
    assert owner.patch(f"/api/v1/scim-groups/{group['id']}", {"role": "admin"}).status_code == 404
    assert owner.get("/api/v1/scim-groups").json()["results"] == []
    assert ScimGroup.objects.get().role == ""
