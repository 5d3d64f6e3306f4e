"""SAML against a scripted provider: right, and wrong in every respect."""

import base64

import pytest
from django.test import Client
from lxml import etree

from control_plane.accounts.models import User
from control_plane.identity.models import SeenAssertion
from control_plane.identity.saml import forget_ended, read_metadata
from control_plane.organizations.models import Membership, Role
from tests.builders.tenants import Tenant
from tests.control_plane.identity.browsing import ADA, Browser, a_saml_connection
from tests.fakes.identity_provider import SAML_WRONGS, IdentityProvider, Person

pytestmark = pytest.mark.django_db


def test_a_new_person_comes_in(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    answer = browser.go(connection, begin=f"/sign-in/sso/{connection.id}?next=/my/keys")
    assert (answer.status_code, answer["Location"]) == (302, "/my/keys")
    ada = User.objects.get(email="ada@acme.example")
    assert ada.name == "Ada Lovelace"
    assert Membership.objects.get(user=ada).role == Role.MEMBER
    assert browser.client.get("/my/keys").status_code == 200


@pytest.mark.parametrize("wrong", SAML_WRONGS)
def test_an_answer_wrong_in_one_respect_lets_nobody_in(
    wrong: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA, wrong=wrong)
    browser = Browser()
    answer = browser.go(connection)
    assert answer.status_code == 401, answer.content
    assert not browser.is_signed_in
    assert not User.objects.filter(email=ADA.email).exists()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("signature", "signature"), ("tampered", "signature"), ("unsigned", "signature"),
        ("response_signed_only", "signature"), ("audience", "aud"), ("no_audience", "aud"), ("issuer", "iss"),
        ("expired", "expired"), ("no_end", "expired"), ("early", "early"), ("recipient", "confirmation"),
        ("destination", "destination"), ("in_response_to", "state"), ("unsolicited", "in_response_to"),
        ("status", "declined"), ("transient", "sub"),
    ],
)  # fmt: skip
def test_the_page_says_in_which_respect(
    wrong: str, code: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA, wrong=wrong)
    assert f"<code>{code}</code>" in Browser().go(connection).content.decode()


def test_an_answer_is_good_once(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    assert browser.go(connection).status_code == 302
    browser.client.post("/sign-out")
    again = browser.bring()
    assert again.status_code == 401
    assert "<code>replayed</code>" in again.content.decode()
    assert not browser.is_signed_in


def test_an_answer_is_picked_up_once_and_by_who_asked(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    browser.ask(connection)
    taken = Client().post(f"/sign-in/sso/{connection.id}/acs", browser.posted)
    assert taken.status_code == 303
    # Somebody who saw the address, or was sent there: their session asked for nothing.
    assert Client().get(taken["Location"]).status_code == 401
    assert browser.client.get(taken["Location"]).status_code == 302
    assert browser.client.get(taken["Location"]).status_code == 401


def test_an_answer_for_one_connection_is_none_for_another(
    tenant: Tenant, other: Tenant, identity_provider: IdentityProvider
) -> None:
    mine = a_saml_connection(tenant, identity_provider)
    theirs = a_saml_connection(other, identity_provider, domains=["umbrella.example"])
    identity_provider.expect(ADA)
    browser = Browser()
    browser.ask(mine)
    browser.posted_to = browser.posted_to.replace(str(mine.id), str(theirs.id))
    assert browser.bring().status_code == 401


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64 at all",
        base64.b64encode(b"<no").decode(),
        base64.b64encode(b"<a/>").decode(),
        base64.b64encode(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>').decode(),
        "A" * (600 * 1024),
    ],
)
def test_what_is_no_answer_is_refused(text: str, tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    answer = Client().post(f"/sign-in/sso/{connection.id}/acs", {"SAMLResponse": text})
    assert answer.status_code == 401
    assert not SeenAssertion.objects.exists()


def test_our_metadata_says_where_answers_go(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    answer = Client().get(f"/sign-in/sso/{connection.id}/metadata")
    root = etree.fromstring(answer.content)
    name = "{urn:oasis:names:tc:SAML:2.0:metadata}AssertionConsumerService"
    assert root.get("entityID") == f"http://testserver/sign-in/sso/{connection.id}/metadata"
    assert [node.get("Location") for node in root.iter(name)] == [f"http://testserver/sign-in/sso/{connection.id}/acs"]


def test_too_many_groups_are_not_none(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    link = (("http://schemas.microsoft.com/claims/groups.link", "https://graph.example.com"),)
    identity_provider.expect(Person("sub-ada", ADA.email, "Ada", groups=None, claims=link))
    assert Browser().go(connection).status_code == 302
    claims = SeenAssertion.objects.get()
    assert claims.claims is None


def test_assertions_are_remembered_until_they_end(
    tenant: Tenant, identity_provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = a_saml_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    Browser().go(connection)
    assert forget_ended() == 0
    SeenAssertion.objects.update(expires_at="2001-01-01T00:00:00Z")
    assert forget_ended() == 1


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        ("hello", "cannot be read"),
        ("<a/>", "no metadata of an identity provider"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "cannot be read"),
        (
            '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"><md:IDPSSODescriptor '
            'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></md:EntityDescriptor>',
            "no sign-in address",
        ),
    ],
)
def test_metadata_that_cannot_be_used_says_why(xml: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_metadata(xml)
