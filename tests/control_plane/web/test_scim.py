"""The pages SCIM: what they show, who may do what, and what is shown once."""

import re
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from control_plane.audit.models import Change
from control_plane.identity.scim.models import ScimGroup, ScimToken
from control_plane.identity.scim.services import scim_token_mint
from control_plane.organizations.models import Membership, Role
from control_plane.organizations.services import INSTALLATION
from tests.builders.tenants import SYSTEM, Tenant, a_person_of_role
from tests.control_plane.identity.scim.provider import Provider, a_provider
from tests.control_plane.web.conftest import SignIn

TOKEN = re.compile(r"syscim_[0-9A-Za-z]{50}")


@pytest.fixture
def provider(tenant: Tenant) -> Provider:
    return a_provider(tenant)


def test_without_a_token_the_page_says_what_to_do(admin_client: Client) -> None:
    page = admin_client.get("/scim").content.decode()
    assert "No directory is connected" in page
    assert "/scim/v2" in page


def test_a_token_is_shown_once_and_works(admin_client: Client, tenant: Tenant) -> None:
    answer = admin_client.post("/scim/tokens/new", {"name": "Entra", "expires": "365"})
    found = TOKEN.search(answer.content.decode())
    assert found is not None
    assert answer.headers["Cache-Control"].startswith(("no-store", "max-age=0"))
    record = ScimToken.objects.get()
    assert (record.organization, record.reaches_owners) == (tenant.organization, True)
    assert record.expires_at is not None
    for page in ("/scim", "/audit"):
        assert TOKEN.search(admin_client.get(page).content.decode()) is None
    users = Client().get("/scim/v2/Users", headers={"authorization": f"Bearer {found[0]}"})
    assert users.status_code == 200
    page = admin_client.get("/scim").content.decode()
    assert "GET /scim/v2/Users" in page
    assert "in force" in page


def test_a_token_of_an_admin_leaves_owners_alone(tenant: Tenant, sign_in: SignIn) -> None:
    admin = sign_in(a_person_of_role(tenant, Role.ADMIN))
    assert "leaves owners alone" in admin.get("/scim/tokens/new").content.decode()
    admin.post("/scim/tokens/new", {"name": "Entra", "expires": "never"})
    assert ScimToken.objects.get().reaches_owners is False
    assert "leaves owners alone" in admin.get("/scim").content.decode()


def test_a_token_is_revoked_by_typing_its_name(admin_client: Client, provider: Provider) -> None:
    where = reverse("web:scim-token-revoke", args=[provider.record.id])
    assert "It is the last one" in admin_client.get(where).content.decode()
    assert admin_client.post(where, {"confirm": "entra", "reason": "x"}).status_code == 422
    assert provider.send("GET", "/Users").status_code == 200
    answer = admin_client.post(where, {"confirm": "Entra", "reason": "rotated"})
    assert urlsplit(answer["Location"]).path == "/scim"
    assert provider.send("GET", "/Users").status_code == 401
    assert Change.objects.get(action="scim_token.revoked").reason == "rotated"
    assert admin_client.get(where).status_code == 404


def test_the_last_error_is_there_to_read(admin_client: Client, provider: Provider) -> None:
    provider.send("POST", "/Users", {"active": True})
    assert "400 invalidValue userName is required" in admin_client.get("/scim").content.decode()


def test_people_are_listed_with_what_they_are(admin_client: Client, provider: Provider) -> None:
    provider.add_user("ada@acme.example.com", displayName="Ada Lovelace")
    gone = provider.add_user("grace@acme.example.com")
    provider.patch(f"/Users/{gone['id']}", {"op": "replace", "value": {"active": False}})
    every = admin_client.get("/scim/people").content.decode()
    assert "Ada Lovelace" in every
    assert "deactivated" in every
    only = admin_client.get("/scim/people?state=deactivated").content.decode()
    assert "grace@acme.example.com" in only
    assert "ada@acme.example.com" not in only
    assert "ada@acme.example.com" in admin_client.get("/scim/people?q=lovelace").content.decode()


def test_what_a_group_gives_is_chosen_here(admin_client: Client, provider: Provider) -> None:
    ada = provider.add_user("ada@acme.example.com")
    made = provider.add_group("Admins", ada)
    assert "Admins" in admin_client.get("/scim/groups").content.decode()
    where = reverse("web:scim-group-role", args=[made["id"]])
    assert "1 person" in admin_client.get(where).content.decode()
    assert admin_client.post(where, {"role": "admin", "reason": ""}).status_code == 422
    assert admin_client.post(where, {"role": "owner", "reason": "x"}).status_code == 422
    assert admin_client.post(where, {"role": "admin", "reason": "platform group"}).status_code == 302
    assert Membership.objects.get(user__email="ada@acme.example.com").role == Role.ADMIN
    assert Change.objects.get(action="scim_group.role_set").reason == "platform group"
    assert "admin" in admin_client.get("/scim/groups?role=admin").content.decode().lower()


@pytest.mark.parametrize("page", ["/scim", "/scim/people", "/scim/groups"])
def test_auditors_read_and_members_see_nothing(
    page: str, tenant: Tenant, provider: Provider, member_client: Client, sign_in: SignIn
) -> None:
    auditor = sign_in(a_person_of_role(tenant, Role.AUDITOR))
    assert auditor.get(page).status_code == 200
    assert "/revoke" not in auditor.get(page).content.decode()
    assert member_client.get(page).status_code == 404
    assert auditor.get("/scim/tokens/new").status_code == 404
    assert auditor.get(reverse("web:scim-token-revoke", args=[provider.record.id])).status_code == 404


def test_what_belongs_to_another_organization_is_not_there(admin_client: Client, other: Tenant) -> None:
    theirs = a_provider(other)
    theirs.add_user("secret@globex.example.com")
    group = theirs.add_group("Their group")
    for where in (
        reverse("web:scim-token-revoke", args=[theirs.record.id]),
        reverse("web:scim-group-role", args=[group["id"]]),
    ):
        assert admin_client.get(where).status_code == 404
        assert admin_client.post(where, {"confirm": "Entra", "role": "admin", "reason": "x"}).status_code == 404
    assert ScimGroup.objects.get().role == ""
    for page in ("/scim", "/scim/people", "/scim/groups"):
        text = admin_client.get(page).content.decode()
        assert "secret@globex" not in text
        assert "Their group" not in text


def test_there_is_an_end_to_tokens(admin_client: Client, tenant: Tenant) -> None:
    for number in range(10):
        scim_token_mint(organization=tenant.organization, name=f"t{number}", actor=SYSTEM, by=INSTALLATION)
    answer = admin_client.post("/scim/tokens/new", {"name": "one more", "expires": "never"})
    assert (answer.status_code, ScimToken.objects.count()) == (422, 10)
