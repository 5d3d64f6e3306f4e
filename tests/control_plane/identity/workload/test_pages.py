"""Trusted CI jobs in the console: on the page of a service account."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from control_plane.identity.workload.models import WorkloadTrust
from control_plane.organizations.models import ServiceAccount
from tests.builders.tenants import Tenant, a_member
from tests.control_plane.identity.workload.issuer import AUDIENCE, Issuer


@pytest.fixture
def admin(tenant: Tenant) -> Client:
    client = Client()
    client.force_login(tenant.admin)
    return client


def page_of(account: ServiceAccount) -> str:
    return reverse("web:service-account", args=[account.id])


def entered(issuer: Issuer, /, **changes: Any) -> dict[str, Any]:
    return {
        "name": "main branch",
        "issuer": issuer.url,
        "audience": AUDIENCE,
        "conditions": "repository=acme/shop\nref=refs/heads/main\nref=refs/heads/release-*\n",
        "models": "claude-*, gpt-5.1",
        "lifetime": "900",
        "pinned_keys": "",
        "is_active": "on",
    } | changes


def test_an_account_without_trusts_says_what_they_are_for(admin: Client, account: ServiceAccount) -> None:
    page = admin.get(page_of(account)).content.decode()
    assert "switchyard key exchange" in page
    assert reverse("web:workload-trust-add", args=[account.id]) in page


def test_a_trust_is_entered_changed_and_taken_away(admin: Client, account: ServiceAccount, issuer: Issuer) -> None:
    form = admin.get(reverse("web:workload-trust-add", args=[account.id])).content.decode()
    assert f'value="{settings.SWITCHYARD.console_public_url}"' in form
    answer = admin.post(reverse("web:workload-trust-add", args=[account.id]), entered(issuer))
    assert answer.status_code == 302, answer.content.decode()
    trust = WorkloadTrust.objects.get()
    assert trust.conditions == {"repository": ["acme/shop"], "ref": ["refs/heads/main", "refs/heads/release-*"]}
    assert (trust.allowed_models, trust.lifetime_s) == (["claude-*", "gpt-5.1"], 900)
    page = admin.get(page_of(account)).content.decode()
    assert "ref=refs/heads/release-*" in page
    assert "15 min" in page
    edit = reverse("web:workload-trust", args=[account.id, trust.id])
    assert "ref=refs/heads/release-*" in admin.get(edit).content.decode()
    changed = entered(issuer, is_active="", pinned_keys=json.dumps(issuer.jwks()))
    assert admin.post(edit, changed).status_code == 302
    trust.refresh_from_db()
    assert not trust.is_active
    assert trust.pinned_keys == issuer.jwks()
    remove = reverse("web:workload-trust-delete", args=[account.id, trust.id])
    assert admin.post(remove, {"confirm": "something else"}).status_code == 422
    assert admin.post(remove, {"confirm": "main branch", "reason": "moved"}).status_code == 302
    assert not WorkloadTrust.objects.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"conditions": "repository"}, "is not claim=value"),
        ({"conditions": "repository=*"}, "fits strangers too"),
        ({"issuer": "http://169.254.169.254"}, "is not public"),
        (
            {"issuer": "https://token.actions.githubusercontent.com", "conditions": "ref=refs/heads/main"},
            "signs for everybody",
        ),
        ({"pinned_keys": "{"}, "no JSON"),
        ({"name": ""}, "required"),
    ],
)
def test_what_is_wrong_is_said_where_it_was_typed(
    admin: Client, account: ServiceAccount, issuer: Issuer, changes: dict[str, Any], told: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("control_plane.credentials.destination.resolve", lambda host, port: ["140.82.112.3"])
    answer = admin.post(reverse("web:workload-trust-add", args=[account.id]), entered(issuer, **changes))
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert not WorkloadTrust.objects.exists()


def test_neither_members_nor_another_organization_find_them(
    tenant: Tenant, other: Tenant, account: ServiceAccount, trust: WorkloadTrust
) -> None:
    addresses = [
        reverse("web:workload-trust-add", args=[account.id]),
        reverse("web:workload-trust", args=[account.id, trust.id]),
        reverse("web:workload-trust-delete", args=[account.id, trust.id]),
    ]
    for user in (a_member(tenant), other.admin):
        client = Client()
        client.force_login(user)
        for address in addresses:
            assert client.get(address).status_code == 404
            assert client.post(address, {"confirm": "main branch"}).status_code == 404
    assert WorkloadTrust.objects.filter(id=trust.id).exists()
