"""Another organization's objects are not there: every address, every foreign id, each role."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from control_plane.fleet.models import Pod, PodShard
from tests.control_plane.api.world import Tenant, book_usage, session_of

Named = Callable[[Tenant], str]

OBJECTS: dict[str, list[Named]] = {
    "organizations": [lambda t: t.organization.id.hex, lambda t: t.organization.slug],
    "teams": [lambda t: t.team.id.hex],
    "users": [lambda t: t.member.id.hex, lambda t: t.member.email],
    "memberships": [lambda t: t.membership.id.hex, lambda t: t.member.email],
    "service-accounts": [lambda t: t.account.id.hex],
    "keys": [lambda t: t.member_key.key_id, lambda t: t.member_key.id.hex],
    "providers": [lambda t: t.provider.id.hex],
    "virtual-models": [lambda t: t.virtual_model.id.hex],
    "snapshots": [lambda t: t.snapshot.id.hex],
    "sessions": [lambda t: session_of(t).id.hex],
}
DETAIL: dict[str, list[tuple[str, str, Any]]] = {
    "organizations": [("patch", "", {"name": "x"}), ("post", "/disable", {}), ("post", "/enable", {})],
    "teams": [
        ("patch", "", {"name": "x"}),
        ("get", "/members", None),
        ("post", "/members", {"user": "member@acme.example"}),
        ("delete", "/members/member@acme.example", None),
    ],
    "users": [("post", "/deactivate", {}), ("post", "/reactivate", {})],
    "memberships": [("patch", "", {"role": "admin"}), ("delete", "", None)],
    "service-accounts": [("patch", "", {"name": "x"})],
    "keys": [("patch", "", {"name": "x"}), ("post", "/rotate", {}), ("post", "/revoke", {})],
    "providers": [("patch", "", {"name": "x"}), ("delete", "", None)],
    "virtual-models": [
        ("patch", "", {"targets": [{"model": "anthropic-main/claude-haiku-4-5"}]}),
        ("delete", "", None),
    ],
}
LISTS = [
    "organizations",
    "teams",
    "users",
    "memberships",
    "service-accounts",
    "keys",
    "admin-tokens",
    "providers",
    "virtual-models",
    "exchanges",
    "sessions",
    "audit",
    "snapshots",
    "models",
]
NOT_FOR_MEMBERS = ("service-accounts", "providers", "audit", "pods", "snapshots")


def call(client: APIClient, method: str, address: str, body: Any = None) -> int:
    response = getattr(client, method)(f"/api/v1/{address}", data=body, format="json")
    return int(response.status_code)


@pytest.mark.parametrize("resource", OBJECTS)
def test_a_foreign_id_is_answered_like_one_that_never_was(resource: str, acme: Tenant, globex: Tenant) -> None:
    book_usage(globex)
    for name in OBJECTS[resource]:
        foreign = name(globex)
        # The id is right: its own organization finds it.
        assert call(globex.as_admin, "get", f"{resource}/{foreign}") == 200
        for method, suffix, body in [("get", "", None), *DETAIL.get(resource, [])]:
            address = f"{resource}/{foreign}{suffix}"
            assert call(acme.as_admin, method, address, body) == 404, (method, address)
            # A member may be told first that this is for admins; never anything of the object.
            assert call(acme.as_member, method, address, body) in (403, 404), (method, address)


def test_a_foreign_exchange_and_token_are_not_there(acme: Tenant, globex: Tenant) -> None:
    exchange = book_usage(globex)["newest own"]
    token_id = globex.as_admin.get("/api/v1/admin-tokens").json()["results"][0]["id"]

    assert call(globex.as_admin, "get", f"exchanges/{exchange}") == 200
    for client in (acme.as_admin, acme.as_member):
        assert call(client, "get", f"exchanges/{exchange}") == 404
        assert call(client, "delete", f"admin-tokens/{token_id}") == 404


@pytest.mark.parametrize("resource", LISTS)
def test_lists_hold_nothing_foreign(resource: str, acme: Tenant, globex: Tenant) -> None:
    book_usage(acme)
    book_usage(globex, salt=100)
    for client in (acme.as_admin, acme.as_member):
        response = client.get(f"/api/v1/{resource}?limit=200")
        if response.status_code == 403:
            assert resource in NOT_FOR_MEMBERS
            continue
        text = response.content.decode()
        assert response.status_code == 200
        for foreign in (
            globex.organization.id.hex,
            globex.team.id.hex,
            globex.member.id.hex,
            globex.member_key.key_id,
            globex.provider.id.hex,
            "globex",
        ):
            assert foreign not in text


def test_filters_with_foreign_ids_find_nothing(acme: Tenant, globex: Tenant) -> None:
    book_usage(acme)
    book_usage(globex, salt=100)
    for question in (
        f"user={globex.member.id.hex}",
        f"user={globex.member.email}",
        f"team={globex.team.id.hex}",
        f"key={globex.member_key.key_id}",
        f"key={globex.member_key.id.hex}",
        f"provider={globex.provider.id.hex}",
    ):
        assert acme.as_admin.get(f"/api/v1/exchanges?{question}").json()["results"] == [], question
        assert acme.as_admin.get(f"/api/v1/usage?{question}").json()["total"]["requests"] == 0, question
    assert acme.as_admin.get(f"/api/v1/keys?user={globex.member.email}").json()["results"] == []


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("keys", {"name": "x", "owner": {"user": "member@globex.example"}}),
        ("service-accounts", {"name": "x", "team": "TEAM"}),
        ("teams", {"name": "x", "lead": "member@globex.example"}),
        ("keys", {"name": "x", "team": "TEAM"}),
    ],
)
def test_a_body_cannot_name_foreign_objects(resource: str, body: Any, acme: Tenant, globex: Tenant) -> None:
    body = {name: globex.team.id.hex if value == "TEAM" else value for name, value in body.items()}

    assert call(acme.as_admin, "post", resource, body) == 400


def test_a_virtual_model_cannot_lead_to_a_foreign_provider(acme: Tenant, globex: Tenant) -> None:
    acme.virtual_model.delete()
    acme.provider.delete()

    body = {"name": "x", "targets": [{"model": "anthropic-main/claude-sonnet-4-6"}]}
    assert call(acme.as_admin, "post", "virtual-models", body) == 400


def test_a_pod_shows_the_shards_of_the_own_organization(acme: Tenant, globex: Tenant) -> None:
    pod = Pod.objects.create(pod_id="pod-1")
    for shard in ("global", f"org/{acme.organization.id.hex}/deny", f"org/{globex.organization.id.hex}/deny"):
        PodShard.objects.create(pod=pod, shard=shard)

    (found,) = acme.as_admin.get("/api/v1/pods").json()["results"]

    assert [shard["shard"] for shard in found["shards"]] == ["global", f"org/{acme.organization.id.hex}/deny"]


def test_a_member_sees_what_is_theirs(acme: Tenant) -> None:
    exchanges = book_usage(acme)
    member = acme.as_member

    def values(resource: str, name: str) -> list[Any]:
        return [row[name] for row in member.get(f"/api/v1/{resource}").json()["results"]]

    assert values("keys", "id") == [acme.member_key.key_id]
    assert values("teams", "name") == ["Platform"]
    assert values("users", "email") == [acme.member.email]
    assert values("memberships", "user") == [acme.member.email]
    assert set(values("exchanges", "user")) == {acme.member.email}
    assert set(values("sessions", "user")) == {acme.member.email}
    assert member.get("/api/v1/usage").json()["total"]["requests"] == 4
    assert call(member, "get", f"exchanges/{exchanges['account']}") == 404
    assert call(member, "get", f"keys/{acme.account_key.key_id}") == 404
    assert call(member, "post", f"keys/{acme.account_key.key_id}/revoke", {}) == 404
    for resource in NOT_FOR_MEMBERS:
        assert call(member, "get", resource) == 403
    for resource, body in (
        ("teams", {"name": "x"}),
        ("users", {"email": "x@acme.example"}),
        ("organizations", {"slug": "x", "name": "x"}),
        ("virtual-models", {"name": "x", "targets": [{"model": "a/b"}]}),
    ):
        assert call(member, "post", resource, body) == 403
    assert call(member, "patch", f"memberships/{acme.membership.id.hex}", {"role": "admin"}) == 403


def test_a_member_cannot_mint_for_others(acme: Tenant) -> None:
    for body in (
        {"name": "x", "owner": {"user": acme.admin.email}},
        {"name": "x", "owner": {"service_account": "ci"}},
        {"name": "x", "team": "Research"},
    ):
        assert call(acme.as_member, "post", "keys", body) == 400


def test_no_address_answers_without_authentication(acme: Tenant) -> None:
    anonymous = APIClient()
    checked = 0
    for pattern in _addresses():
        if pattern.split("/")[0] in ("schema", "docs", ""):
            continue
        checked += 1
        response = anonymous.get(f"/api/v1/{pattern}")
        assert response.status_code in (401, 405), pattern
        if response.status_code == 401:
            assert response["WWW-Authenticate"] == "Bearer"
            assert response["Content-Type"] == "application/problem+json"
    assert checked > 30


def _addresses() -> set[str]:
    """Every address below /api/v1/, as Django knows it, with something in place of the variables."""
    resolver = get_resolver()
    (api,) = [found for found in resolver.url_patterns if str(found.pattern) == "api/v1/"]
    found = set()
    for pattern in api.url_patterns:  # type: ignore[union-attr]  # api/v1/ is an include
        text = str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix("/?")
        for variable in ("(?P<pk>[^/]+)", "(?P<pk>.+?)", "(?P<user>[^/]+)"):
            text = text.replace(variable, "0a" * 16)
        if "(?P" not in text:
            found.add(text)
    return found
