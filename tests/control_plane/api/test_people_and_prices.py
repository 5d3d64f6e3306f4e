"""People are renamed, shut out, and leave by themselves; an organization's own prices are set and ended."""

import pytest
from django.utils import timezone

from control_plane.audit.models import Change
from control_plane.catalog.models import OrganizationPrice
from control_plane.organizations.models import Membership
from control_plane.organizations.services import INSTALLATION, membership_add
from control_plane.snapshots.selectors import policy_rows
from tests.control_plane.api.world import ACTOR, Tenant, as_user, client

PRICE = {
    "vendor": "anthropic",
    "model": "claude-sonnet-4-6",
    "rates": {"input": 2_500_000_000, "output": 12_000_000_000},
}


def test_a_person_is_renamed_in_the_audit_of_the_organization_too(acme: Tenant) -> None:
    answer = acme.as_admin.patch("/api/v1/users/member@acme.example", {"name": "Grace"}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "Grace")
    change = Change.objects.get(organization_id=acme.organization.id, action="user.renamed")
    assert (change.before, change.after) == ({"name": ""}, {"name": "Grace"})


def test_a_person_is_shut_out_and_let_in_by_patch(acme: Tenant) -> None:
    address = "/api/v1/users/member@acme.example"
    assert acme.as_admin.patch(address, {"is_active": False}, format="json").json()["is_active"] is False
    assert acme.as_member.get("/api/v1/keys").status_code == 401
    assert acme.as_admin.patch(address, {"is_active": True}, format="json").json()["is_active"] is True


def test_somebody_who_is_elsewhere_too_is_not_ours_to_change(acme: Tenant, globex: Tenant) -> None:
    membership_add(organization=globex.organization, user=acme.member, actor=ACTOR, by=INSTALLATION)
    assert acme.as_admin.patch("/api/v1/users/member@acme.example", {"name": "x"}, format="json").status_code == 409


def test_an_older_version_of_a_person_is_not_overwritten(acme: Tenant) -> None:
    address = "/api/v1/users/member@acme.example"
    etag = acme.as_admin.get(address).headers["ETag"]
    first = acme.as_admin.patch(address, {"name": "One"}, format="json", headers={"If-Match": etag})
    second = acme.as_admin.patch(address, {"name": "Two"}, format="json", headers={"If-Match": etag})
    assert (first.status_code, second.status_code) == (200, 412)


def test_anybody_leaves_by_themselves_and_nobody_takes_others_along(acme: Tenant) -> None:
    others = Membership.objects.get(user=acme.admin)
    assert acme.as_member.delete(f"/api/v1/memberships/{others.id.hex}").status_code == 404
    key = acme.member_key
    assert acme.as_member.delete(f"/api/v1/memberships/{acme.membership.id.hex}").status_code == 204
    key.refresh_from_db()
    assert key.is_revoked
    assert not Membership.objects.filter(user=acme.member).exists()


def test_the_last_owner_stays(acme: Tenant) -> None:
    refused = acme.as_owner.delete("/api/v1/memberships/owner@acme.example")
    assert refused.status_code in (400, 409)
    assert Membership.objects.filter(user=acme.owner).exists()


def test_a_token_with_few_scopes_does_not_leave_for_its_person(acme: Tenant) -> None:
    token = acme.as_member.post(
        "/api/v1/admin-tokens", {"name": "few", "scopes": ["members.read"]}, format="json"
    ).json()["token"]
    assert client(token).delete(f"/api/v1/memberships/{acme.membership.id.hex}").status_code == 403


def test_a_price_of_ones_own_is_set_told_to_pods_and_ended(acme: Tenant) -> None:
    owner = as_user(acme, acme.owner)
    made = owner.post("/api/v1/prices", PRICE, format="json")
    assert made.status_code == 201, made.content
    assert made.json()["rates"] == PRICE["rates"]
    assert owner.get(f"/api/v1/prices/{made.json()['id']}").status_code == 200
    (told,) = policy_rows(acme.organization, timezone.now()).prices
    assert told.version == made.json()["version"]

    assert owner.delete(f"/api/v1/prices/{made.json()['id']}").status_code == 204
    assert owner.get("/api/v1/prices").json()["results"] == []
    again = owner.post("/api/v1/prices", PRICE, format="json")
    assert again.status_code == 201
    row = OrganizationPrice.objects.get(id=again.json()["id"])
    assert (row.valid_to, row.superseded_at) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"rates": {"input": 1}}, "rates.output"),
        ({"rates": {"input": -1, "output": 1}}, "rates.input"),
        ({"rates": {"input": 1.5, "output": 1}}, "rates.input"),
        ({"valid_from": "2026-02-01T00:00:00Z", "valid_to": "2026-01-01T00:00:00Z"}, "valid_to"),
        ({"bands": [{"from_prompt_tokens": 2, "rates": {}}, {"from_prompt_tokens": 1, "rates": {}}]}, "bands"),
        ({"tiers": [{"tier": "batch"}, {"tier": "batch"}]}, "tiers"),
    ],
)
def test_a_wrong_price_is_refused_with_its_field(acme: Tenant, wrong: dict[str, object], field: str) -> None:
    refused = acme.as_owner.post("/api/v1/prices", {**PRICE, **wrong}, format="json")
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


def test_prices_are_for_those_who_see_to_money(acme: Tenant) -> None:
    assert acme.as_member.get("/api/v1/prices").status_code == 200
    assert acme.as_member.post("/api/v1/prices", PRICE, format="json").status_code == 403
