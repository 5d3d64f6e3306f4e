"""REST: identity connections."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import SecondFactor, User
from control_plane.identity.models import IdentityConnection
from control_plane.keys.services import admin_token_mint
from control_plane.organizations.models import Role
from tests.builders.tenants import Tenant, a_person_of_role
from tests.control_plane.identity.browsing import an_oidc_connection
from tests.fakes.identity_provider import CLIENT_SECRET, IdentityProvider

pytestmark = pytest.mark.django_db
WHERE = "/api/v1/identity-connections"


class Api:
    """The API with a person's token."""

    def __init__(self, tenant: Tenant, user: User) -> None:
        made = admin_token_mint(organization=tenant.organization, user=user, name="test", actor=tenant.actor)
        self._headers = {"Authorization": f"Bearer {made.token}"}

    def __call__(self, method: str, path: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
        answer = Client().generic(
            method, f"{WHERE}{path}", data=_json(body), content_type="application/json",
            headers={**self._headers, **headers},
        )  # fmt: skip
        return answer.status_code, answer.json() if answer.content else None


def _json(body: Any) -> str:
    return "" if body is None else json.dumps(body)


@pytest.fixture
def api(tenant: Tenant) -> Api:
    return Api(tenant, tenant.admin)


def an_oidc_body(provider: IdentityProvider, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "oidc",
        "name": "Okta",
        "vendor": "okta",
        "issuer": provider.issuer,
        "client_id": "client",
        "secret": CLIENT_SECRET,
        "domains": ["acme.example"],
        "mappings": [{"group": "eng", "team": "platform"}, {"group": "fin", "role": "finance"}],
        **changes,
    }


def test_a_connection_from_making_to_removing(api: Api, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    status, made = api("POST", body=an_oidc_body(identity_provider))
    assert status == 201, made
    assert made["has_secret"] is True
    assert CLIENT_SECRET not in str(made)
    assert made["mappings"] == [
        {"group": "eng", "team": "platform", "role": None},
        {"group": "fin", "team": None, "role": "finance"},
    ]
    connection = IdentityConnection.objects.get()
    assert made["addresses"]["callback_url"] == f"http://testserver/sign-in/sso/{connection.id}/callback"
    assert [row["name"] for row in api("GET")[1]["results"]] == ["Okta"]
    status, changed = api("PATCH", "/Okta", {"name": "Okta EU", "mappings": []})
    assert (status, changed["name"], changed["mappings"]) == (200, "Okta EU", [])
    assert api("PATCH", "/Okta EU", {"name": "x"}, **{"If-Match": '"stale"'})[0] == 412
    assert api("DELETE", f"/{made['id']}")[0] == 204
    assert api("GET")[1]["results"] == []


def test_saml_by_metadata(api: Api, identity_provider: IdentityProvider) -> None:
    body = {"kind": "saml", "name": "Entra", "domains": ["acme.example"]}
    assert api("POST", body={**body, "metadata": "<a/>"})[0] == 400
    assert api("POST", body=body)[0] == 400
    assert api("POST", body={**body, "issuer": "x", "metadata_url": identity_provider.metadata_url})[0] == 400
    status, made = api("POST", body={**body, "metadata_url": identity_provider.metadata_url})
    assert (status, made["issuer"]) == (201, identity_provider.entity_id)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": "http://169.254.169.254/"}, "issuer"),
        ({"domains": ["gmail.com"]}, "domains"),
        ({"mappings": [{"group": "x"}]}, "mappings"),
        ({"mappings": [{"group": "x", "team": "nowhere"}]}, "mappings"),
        ({"is_enforced": True}, "is_enforced"),
        ({"organization": "x"}, "organization"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    changes: dict[str, Any], field: str, api: Api, identity_provider: IdentityProvider
) -> None:
    status, problem = api("POST", body=an_oidc_body(identity_provider, **changes))
    assert status == 400
    assert any(error["field"].startswith(field) for error in problem["errors"]), problem
    assert not IdentityConnection.objects.exists()


def test_an_admin_gives_no_more_than_they_have(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    api = Api(tenant, a_person_of_role(tenant, Role.ADMIN))
    owners = [{"group": "root", "role": "owner"}]
    assert api("POST", body=an_oidc_body(identity_provider, mappings=owners))[0] == 400
    assert not IdentityConnection.objects.exists()


def test_enforcing_and_relaxing(api: Api, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    owner = a_person_of_role(tenant, Role.OWNER, "owner@acme.example")
    assert api("POST", "/Okta/enforce", {"break_glass_owner": owner.email})[0] == 400
    IdentityConnection.objects.update(tested_at=timezone.now())
    SecondFactor.objects.create(
        user=owner, sealed_key_version=1, sealed_nonce=b"", sealed_ciphertext=b"", confirmed_at=timezone.now()
    )
    status, row = api("POST", "/Okta/enforce", {"break_glass_owner": owner.email})
    assert (status, row["is_enforced"], row["break_glass_owner"]) == (200, True, owner.email)
    assert api("DELETE", "/Okta")[0] == 400
    assert api("POST", f"/{connection.id.hex}/relax", {"reason": "moving"})[1]["is_enforced"] is False


def test_who_may_not_sees_nothing(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    an_oidc_connection(tenant, identity_provider)
    auditor, member = (Api(tenant, a_person_of_role(tenant, role)) for role in (Role.AUDITOR, Role.MEMBER))
    assert auditor("GET", "/Okta")[0] == 200
    assert auditor("PATCH", "/Okta", {"name": "x"})[0] == 403
    assert member("GET")[0] == 403
    assert member("GET", "/Okta")[0] == 404


def test_connections_of_another_organization_are_not_there(
    api: Api, other: Tenant, identity_provider: IdentityProvider
) -> None:
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    assert api("GET")[1]["results"] == []
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/enforce"), ("POST", "/relax")):
        assert api(method, f"/{theirs.id.hex}{path}", {})[0] == 404, (method, path)
