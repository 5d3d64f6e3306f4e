"""Trusts over REST, and the conditions that must not let strangers in."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from control_plane.audit.models import Change
from control_plane.identity.workload.models import WorkloadTrust
from control_plane.identity.workload.patterns import WrongConditions, checked_conditions, unfit_claim
from control_plane.keys.services import admin_token_mint
from tests.builders.tenants import Tenant, a_member, a_service_account
from tests.control_plane.identity.workload.issuer import AUDIENCE, Issuer

GITHUB = "https://token.actions.githubusercontent.com"


def client_of(tenant: Tenant, user: Any = None) -> APIClient:
    minted = admin_token_mint(
        organization=tenant.organization, user=user or tenant.admin, name="test", actor=tenant.actor
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {minted.token}")
    return client


def a_body(issuer: Issuer, /, **changes: Any) -> dict[str, Any]:
    return {
        "service_account": "ci",
        "name": "main branch",
        "issuer": issuer.url,
        "audience": AUDIENCE,
        "conditions": {"repository": "acme/shop"},
    } | changes


def test_a_trust_is_made_changed_and_taken_away(tenant: Tenant, account: Any, issuer: Issuer) -> None:
    client = client_of(tenant)
    made = client.post("/api/v1/workload-trusts", a_body(issuer), format="json")
    assert made.status_code == 201, made.content
    assert made.json()["conditions"] == {"repository": ["acme/shop"]}
    path = f"/api/v1/workload-trusts/{made.json()['id']}"
    changed = client.patch(path, {"lifetime_seconds": 600, "models": ["gpt-*"]}, format="json")
    assert changed.status_code == 200, changed.content
    assert (changed.json()["lifetime_seconds"], changed.json()["models"]) == (600, ["gpt-*"])
    assert changed.json()["issuer"] == issuer.url
    stale = client.patch(path, {"lifetime_seconds": 700}, format="json", headers={"If-Match": made["ETag"]})
    assert stale.status_code == 412
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    actions = Change.objects.filter(subject_kind="workload_trust").values_list("action", flat=True)
    assert list(actions) == ["workload_trust.added", "workload_trust.updated", "workload_trust.removed"]


def test_another_organizations_trust_is_not_there(
    tenant: Tenant, other: Tenant, trust: WorkloadTrust, issuer: Issuer
) -> None:
    client = client_of(other)
    path = f"/api/v1/workload-trusts/{trust.id.hex}"
    assert client.get(path).status_code == 404
    assert client.patch(path, {"lifetime_seconds": 600}, format="json").status_code == 404
    assert client.delete(path).status_code == 404
    assert client.get("/api/v1/workload-trusts").json()["results"] == []
    assert client.post("/api/v1/workload-trusts", a_body(issuer), format="json").status_code == 400


def test_a_member_neither_sees_nor_makes_trusts(tenant: Tenant, trust: WorkloadTrust, issuer: Issuer) -> None:
    client = client_of(tenant, a_member(tenant))
    assert client.get("/api/v1/workload-trusts").status_code in (403, 404)
    assert client.post("/api/v1/workload-trusts", a_body(issuer), format="json").status_code in (403, 404)
    assert client.delete(f"/api/v1/workload-trusts/{trust.id.hex}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": "http://169.254.169.254"}, "issuer"),
        ({"issuer": "ftp://example.com"}, "issuer"),
        ({"issuer": "https://user:pass@example.com"}, "issuer"),
        ({"audience": " "}, "audience"),
        ({"conditions": {}}, "conditions"),
        ({"conditions": {"repository": "*"}}, "conditions"),
        ({"conditions": {"repository": 5}}, "conditions"),
        ({"lifetime_seconds": 3601}, "lifetime_seconds"),
        ({"lifetime_seconds": 5}, "lifetime_seconds"),
        ({"models": [""]}, "models"),
        ({"pinned_keys": {"keys": []}}, "pinned_keys"),
        ({"pinned_keys": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "pinned_keys"),
        ({"name": "a/b"}, "name"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_is_wrong_is_told_by_field(
    tenant: Tenant, account: Any, issuer: Issuer, changes: dict[str, Any], field: str
) -> None:
    answer = client_of(tenant).post("/api/v1/workload-trusts", a_body(issuer, **changes), format="json")
    assert answer.status_code == 400, answer.content
    assert field in [error["field"].partition("[")[0] for error in answer.json()["errors"]], answer.json()
    assert not WorkloadTrust.objects.exists()


def test_a_private_key_is_not_stored(tenant: Tenant, account: Any, issuer: Issuer) -> None:
    body = a_body(issuer, pinned_keys={"keys": [{**issuer.public("rsa-1"), "d": "c2VjcmV0"}]})
    answer = client_of(tenant).post("/api/v1/workload-trusts", body, format="json")
    assert "private" in answer.json()["detail"]


def test_one_account_has_at_most_one_trust_of_a_name(tenant: Tenant, trust: WorkloadTrust, issuer: Issuer) -> None:
    a_service_account(tenant, "nightly")
    client = client_of(tenant)
    again = client.post("/api/v1/workload-trusts", a_body(issuer), format="json")
    assert again.status_code in (400, 409)
    assert (
        client.post("/api/v1/workload-trusts", a_body(issuer, service_account="nightly"), format="json").status_code
        == 201
    )


@pytest.mark.parametrize(
    "conditions",
    [
        {"ref": "refs/heads/main"},
        {"repository": "*/shop"},
        {"sub": "*"},
        {"environment": "production", "workflow": "deploy"},
    ],
)
def test_an_issuer_of_the_whole_world_needs_to_know_whose_jobs(conditions: dict[str, Any]) -> None:
    with pytest.raises(WrongConditions, match=r"everybody|begins with"):
        checked_conditions(conditions, GITHUB)
    checked_conditions({**conditions, "repository_owner_id": "1234"}, GITHUB)


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("refs/heads/main", "refs/heads/main", True),
        ("refs/heads/main", "refs/heads/main2", False),
        ("refs/heads/main", "refs/heads/main\n", False),
        ("refs/heads/*", "refs/heads/main", True),
        ("refs/heads/*", "refs/heads/team/x", False),
        ("refs/heads/**", "refs/heads/team/x", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/x/y:ref:refs/heads/main", False),
        ("a.c", "abc", False),
        ("a[b]c", "abc", False),
        ("v?", "v1", True),
        ("true", True, True),
        ("12", 12, True),
        ("a", ["b", "a"], True),
        ("a", {"a": 1}, False),
        ("a", None, False),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, value: Any, fits: bool) -> None:
    assert (unfit_claim({"claim": [pattern]}, {"claim": value}) == "") is fits
