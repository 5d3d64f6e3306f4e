"""The page Sign-in: adding, testing, mapping, enforcing and removing connections."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from control_plane.accounts.models import SecondFactor, User
from control_plane.identity.models import GroupMapping, IdentityConnection
from control_plane.identity.sealing import secret_of
from control_plane.organizations.models import Role, TeamMembership
from tests.builders.tenants import PASSWORD, Tenant, a_person_of_role
from tests.control_plane.identity.browsing import ADA, Browser, a_saml_connection, an_oidc_connection
from tests.fakes.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, Person

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(tenant: Tenant) -> Client:
    client = Client()
    client.post("/sign-in", {"email": tenant.admin.email, "password": PASSWORD})
    return client


def page(client: Client, name: str, *args: object) -> str:
    return client.get(reverse(f"web:{name}", args=args)).content.decode()


def test_without_connections_the_page_teaches(admin: Client) -> None:
    assert "People sign in with passwords" in page(admin, "sign-in-settings")


def test_adding_open_id_connect_with_the_addresses_told_beforehand(
    admin: Client, identity_provider: IdentityProvider
) -> None:
    form = page(admin, "connection-add", "oidc")
    (future,) = re.findall(r'name="future_id" value="([0-9a-f]{32})"', form)
    (told,) = set(re.findall(r"http://testserver/sign-in/sso/[0-9a-f-]{36}/callback", form))
    answer = admin.post(
        reverse("web:connection-add", args=["oidc"]),
        {
            "future_id": future,
            "vendor": "okta",
            "name": "Okta",
            "issuer": identity_provider.issuer,
            "client_id": CLIENT_ID,
            "secret": CLIENT_SECRET,
            "domains": "acme.example\nacme.org",
            "default_role": "member",
            "allows_new_people": "on",
        },
    )
    connection = IdentityConnection.objects.get()
    assert answer["Location"] == reverse("web:connection", args=[connection.id])
    assert told == f"http://testserver/sign-in/sso/{connection.id}/callback"
    assert secret_of(connection) == CLIENT_SECRET
    shown = page(admin, "connection", connection.id) + page(admin, "connection-edit", connection.id)
    assert "Not tested yet" in shown
    assert CLIENT_SECRET not in shown
    assert "acme.org" in page(admin, "sign-in-settings")


@pytest.mark.parametrize("by_address", [True, False])
def test_adding_saml_from_metadata(by_address: bool, admin: Client, identity_provider: IdentityProvider) -> None:
    data = {"vendor": "entra", "name": "Entra", "domains": "acme.example", "default_role": "member"}
    data |= {"metadata_url": identity_provider.metadata_url} if by_address else {"metadata": identity_provider.metadata}
    assert admin.post(reverse("web:connection-add", args=["saml"]), data).status_code == 302
    connection = IdentityConnection.objects.get()
    assert (connection.issuer, len(connection.certificates)) == (identity_provider.entity_id, 1)
    assert connection.metadata_url == (identity_provider.metadata_url if by_address else "")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "Enter the address of the metadata"),
        ({"metadata": "<a/>"}, "no metadata of an identity provider"),
        ({"metadata_url": "http://169.254.169.254/x"}, "not public"),
        ({"metadata_url": "http://127.0.0.1:1/x"}, "no answer"),
    ],
)
def test_a_form_says_what_is_wrong(data: dict[str, str], says: str, admin: Client) -> None:
    data = {"vendor": "entra", "name": "Entra", "domains": "acme.example", "default_role": "member", **data}
    answer = admin.post(reverse("web:connection-add", args=["saml"]), data)
    assert answer.status_code == 422
    assert says in answer.content.decode()


def test_a_test_shows_what_would_be_and_signs_nobody_in(
    admin: Client, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser(client=admin)
    answer = browser.go(connection, begin=reverse("web:connection-test", args=[connection.id]))
    assert answer["Location"] == reverse("web:connection", args=[connection.id])
    shown = page(admin, "connection", connection.id)
    assert "it works" in shown
    assert "sub-ada" in shown
    assert "engineering" in shown
    assert "sub-ada" not in page(admin, "connection", connection.id)
    assert not User.objects.filter(email=ADA.email).exists()
    assert admin.session["_auth_user_id"] == str(tenant.admin.id)
    connection.refresh_from_db()
    assert (connection.is_tested, connection.tested_by) == (True, tenant.admin.email)


def test_a_test_that_fails_says_why(admin: Client, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    for person, wrong, says in (
        (ADA, "aud", "meant for another application"),
        (ADA, "declined", "not today"),
        (Person("s", "ada@elsewhere.example"), "", "none of the domains"),
    ):
        identity_provider.expect(person, wrong=wrong)
        Browser(client=admin).go(connection, begin=reverse("web:connection-test", args=[connection.id]))
        assert says in page(admin, "connection", connection.id)
        connection.refresh_from_db()
        assert not connection.is_tested


def test_a_test_through_saml(admin: Client, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    Browser(client=admin).go(connection, begin=reverse("web:connection-test", args=[connection.id]))
    assert "it works" in page(admin, "connection", connection.id)


def test_a_test_is_finished_by_who_began_it(tenant: Tenant, admin: Client, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser(client=admin)
    browser.ask(connection, begin=reverse("web:connection-test", args=[connection.id]))
    TeamMembership.objects.all().delete()
    tenant.admin.memberships.update(role=Role.MEMBER)
    assert browser.bring().status_code == 403
    connection.refresh_from_db()
    assert connection.tested_at is None


def test_groups_are_mapped_in_a_table(admin: Client, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    where = reverse("web:connection-mappings", args=[connection.id])

    def send(*rows: tuple[str, str]) -> int:
        data = {"form-TOTAL_FORMS": str(len(rows)), "form-INITIAL_FORMS": "0"}
        for number, (group, gives) in enumerate(rows):
            data |= {f"form-{number}-group": group, f"form-{number}-gives": gives}
        return admin.post(where, data).status_code

    assert send(("eng", f"team:{tenant.team.id}"), ("fin", "role:finance"), ("", "")) == 302
    assert {(row.group, row.role) for row in GroupMapping.objects.all()} == {("eng", ""), ("fin", "finance")}
    assert "team platform" in page(admin, "connection", connection.id)
    assert send(("eng", "")) == 422
    assert send(("", "role:finance")) == 422
    assert send(("eng", "role:emperor")) == 422
    assert GroupMapping.objects.count() == 2
    assert send() == 302
    assert GroupMapping.objects.count() == 0


def test_enforcing_and_relaxing(admin: Client, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    owner = a_person_of_role(tenant, Role.OWNER, "owner@acme.example")
    where = reverse("web:connection-enforcement", args=[connection.id])
    assert "Test the sign-in first" in page(admin, "connection-enforcement", connection.id)
    refused = admin.post(where, {"break_glass_owner": str(owner.id), "reason": "rolled out"})
    assert refused.status_code == 422
    IdentityConnection.objects.update(tested_at="2026-01-01T00:00:00Z")
    refused = admin.post(where, {"break_glass_owner": str(owner.id), "reason": "rolled out"})
    assert "authenticator app" in refused.content.decode()
    SecondFactor.objects.create(
        user=owner,
        sealed_key_version=1,
        sealed_nonce=b"",
        sealed_ciphertext=b"",
        confirmed_at="2026-01-01T00:00:00Z",
    )
    assert admin.post(where, {"break_glass_owner": str(owner.id), "reason": "rolled out"}).status_code == 302
    # Whoever did it is outside now, like everybody with a password.
    assert admin.get(where).status_code == 302
    identity_provider.expect(Person("sub-admin", "admin@acme.example"))
    browser = Browser(client=admin)
    tenant.admin.email = "admin@acme.example"
    tenant.admin.save()
    browser.go(connection)
    assert "enforced" in page(admin, "connection", connection.id)
    assert admin.post(where, {"confirm": "wrong"}).status_code == 422
    assert admin.post(where, {"confirm": connection.name, "reason": "moving"}).status_code == 302
    connection.refresh_from_db()
    assert not connection.is_enforced


def test_switching_off_deleting_and_unlinking(
    admin: Client, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    Browser().go(connection)
    identity = connection.identities.get()
    assert "ada@acme.example" in page(admin, "connection", connection.id)
    admin.post(reverse("web:connection-person-unlink", args=[connection.id, identity.id]))
    assert not connection.identities.exists()
    admin.post(reverse("web:connection-activity", args=[connection.id]), {"is_active": "false"})
    connection.refresh_from_db()
    assert not connection.is_active
    where = reverse("web:connection-delete", args=[connection.id])
    assert admin.post(where, {"confirm": "no"}).status_code == 422
    assert admin.post(where, {"confirm": "Okta", "reason": "moving"}).status_code == 302
    assert not IdentityConnection.objects.exists()


def test_connections_of_another_organization_are_not_there(
    admin: Client, other: Tenant, identity_provider: IdentityProvider
) -> None:
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    identity = theirs.identities.create(organization=other.organization, subject="s", user=other.admin, email="x@y.zz")
    for name in ("connection", "connection-edit", "connection-mappings", "connection-test", "connection-enforcement",
                 "connection-delete", "connection-activity"):  # fmt: skip
        where = reverse(f"web:{name}", args=[theirs.id])
        assert admin.get(where).status_code in (404, 405)
        assert admin.post(where, {"confirm": theirs.name}).status_code in (404, 405)
    assert admin.post(reverse("web:connection-person-unlink", args=[theirs.id, identity.id])).status_code == 404
    assert theirs.id.hex not in page(admin, "sign-in-settings").replace("-", "")
    assert theirs.identities.exists()
