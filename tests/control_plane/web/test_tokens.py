"""The page of one's API tokens: make, show once, revoke; nobody else's are there."""

import re

from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from control_plane.accounts.models import User
from control_plane.audit.models import Change
from control_plane.keys.models import AdminToken
from control_plane.keys.services import admin_token_mint
from tests.builders.tenants import Tenant


def make(client: Client, **more: object) -> str:
    answer = client.post(reverse("web:token-mint"), {"name": "report", "expires": "30", "reach": "everything", **more})
    assert answer.status_code == 200, answer.content
    found = re.search(r"syapi_[A-Za-z0-9]+", answer.content.decode())
    assert found is not None
    return found.group()


def test_a_token_is_shown_once_and_works(member_client: Client, member: User) -> None:
    text = make(member_client)

    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    assert api.get("/api/v1/keys").status_code == 200
    assert text not in member_client.get(reverse("web:tokens")).content.decode()
    assert AdminToken.objects.get().user == member


def test_only_rights_one_has_can_be_ticked(member_client: Client) -> None:
    make(member_client, reach="chosen", scopes=["keys.read"])
    assert AdminToken.objects.get().scopes == ["keys.read"]

    wide = {"name": "x", "expires": "30", "reach": "chosen", "scopes": ["audit.read"]}
    assert member_client.post(reverse("web:token-mint"), wide).status_code == 422
    none = {"name": "x", "expires": "30", "reach": "chosen"}
    assert member_client.post(reverse("web:token-mint"), none).status_code == 422
    assert AdminToken.objects.count() == 1


def test_revoking_needs_a_reason(member_client: Client) -> None:
    make(member_client)
    where = reverse("web:token-revoke", args=[AdminToken.objects.get().id])

    assert member_client.post(where, {}).status_code == 422
    assert member_client.post(where, {"reason": "leaked"}).status_code == 302

    assert AdminToken.objects.get().revoked_at is not None
    assert Change.objects.get(action="admin_token.revoked").reason == "leaked"
    assert member_client.get(where).status_code == 404


def test_tokens_of_others_are_not_there(
    tenant: Tenant, other: Tenant, member: User, member_client: Client, admin_client: Client
) -> None:
    admins = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="of admin", actor=tenant.actor)
    foreign = admin_token_mint(organization=other.organization, user=other.admin, name="foreign", actor=other.actor)
    make(member_client)

    assert "of admin" not in member_client.get(reverse("web:tokens") + "?which=everybody").content.decode()
    for client, token in ((member_client, admins), (member_client, foreign), (admin_client, foreign)):
        assert client.get(reverse("web:token-revoke", args=[token.record.id])).status_code == 404
    own = admin_client.get(reverse("web:tokens")).content.decode()
    everybodys = admin_client.get(reverse("web:tokens") + "?which=everybody").content.decode()
    assert "report" not in own
    assert "report" in everybodys
    assert "foreign" not in everybodys
