"""Admin tokens: what a scope lets through, that nobody gives more than they have, and when tokens end."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from rest_framework.test import APIClient

from control_plane.keys.models import AdminToken
from control_plane.organizations.models import Membership, Role
from tests.control_plane.api.world import Tenant, client

TOKENS = "/api/v1/admin-tokens"


def mint(by: APIClient, **body: Any) -> Any:
    response = by.post(TOKENS, {"name": "script", **body}, format="json")
    assert response.status_code == 201, response.content
    return response.json()


def days_left(text: str) -> float:
    return (datetime.fromisoformat(text) - timezone.now()) / timedelta(days=1)


def test_a_token_may_what_its_scopes_say(acme: Tenant) -> None:
    reader = client(mint(acme.as_admin, scopes=["keys.read", "teams.read"])["token"])

    assert reader.get("/api/v1/keys").status_code == 200
    assert reader.get("/api/v1/teams").status_code == 200
    assert reader.get("/api/v1/providers").status_code == 403
    assert reader.get("/api/v1/audit").status_code == 403
    assert reader.post("/api/v1/teams", {"name": "x"}, format="json").status_code == 403
    assert reader.post("/api/v1/keys", {"name": "x"}, format="json").status_code == 403


def test_nobody_hands_on_more_than_they_have(acme: Tenant) -> None:
    refused = acme.as_member.post(TOKENS, {"name": "x", "scopes": ["keys.read", "providers.read"]}, format="json")
    assert refused.status_code == 403
    assert "providers.read" in refused.json()["detail"]

    narrow = client(mint(acme.as_admin, scopes=["tokens.manage", "keys.read"])["token"])
    assert narrow.post(TOKENS, {"name": "x", "scopes": ["keys.manage"]}, format="json").status_code == 403
    assert narrow.post(TOKENS, {"name": "x", "scopes": ["*"]}, format="json").status_code == 400
    # Left out means what the maker has, so a token never gives birth to a wider one.
    assert sorted(mint(narrow)["scopes"]) == ["keys.read", "tokens.manage"]


def test_a_scope_is_worth_what_the_role_is_worth_now(acme: Tenant) -> None:
    token = client(mint(acme.as_admin, scopes=["providers.read", "keys.read"])["token"])
    assert token.get("/api/v1/providers").status_code == 200

    Membership.objects.filter(user=acme.admin).update(role=Role.MEMBER)

    assert token.get("/api/v1/providers").status_code == 403
    assert token.get("/api/v1/keys").status_code == 200


def test_a_token_ends_in_ninety_days_or_what_the_organization_allows(acme: Tenant) -> None:
    assert 89 < days_left(mint(acme.as_admin)["expires_at"]) <= 90
    assert 89 < days_left(mint(acme.as_admin, expires_at=None)["expires_at"]) <= 90
    assert acme.as_admin.patch("/api/v1/key-rules", {"max_token_days": 7}, format="json").status_code == 200

    assert 6 < days_left(mint(acme.as_admin)["expires_at"]) <= 7
    late = (timezone.now() + timedelta(days=8)).isoformat()
    refused = acme.as_admin.post(TOKENS, {"name": "x", "expires_at": late}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "expires_at"


def test_an_ended_token_is_a_401(acme: Tenant) -> None:
    made = mint(acme.as_admin)
    AdminToken.objects.filter(id=made["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))

    assert client(made["token"]).get("/api/v1/keys").status_code == 401
    ids = [row["id"] for row in acme.as_admin.get(f"{TOKENS}?in_force=true").json()["results"]]
    assert made["id"] not in ids


def test_its_last_use_is_shown(acme: Tenant) -> None:
    made = mint(acme.as_admin)
    assert made["last_used_at"] is None

    client(made["token"]).get("/api/v1/keys")

    assert acme.as_admin.get(f"{TOKENS}/{made['id']}").json()["last_used_at"] is not None
