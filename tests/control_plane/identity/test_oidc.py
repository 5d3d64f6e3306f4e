"""OpenID Connect against a scripted provider: right, and wrong in every respect."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from control_plane.accounts.models import User
from control_plane.identity.services import connection_update
from control_plane.organizations.models import Membership, Role
from tests.builders.tenants import Tenant
from tests.control_plane.identity.browsing import ADA, Browser, an_oidc_connection
from tests.fakes.identity_provider import OIDC_WRONGS, IdentityProvider, Person

pytestmark = pytest.mark.django_db


def test_a_new_person_comes_in(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    answer = browser.go(connection, begin=f"/sign-in/sso/{connection.id}?next=/my/keys")
    assert (answer.status_code, answer["Location"]) == (302, "/my/keys")
    ada = User.objects.get(email="ada@acme.example")
    assert (ada.name, ada.has_usable_password()) == ("Ada Lovelace", False)
    assert Membership.objects.get(user=ada).role == Role.MEMBER
    assert browser.client.get("/my/keys").status_code == 200


def test_the_request_carries_pkce_nonce_and_state(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    asked = [parse_qs(urlsplit(Client().get(f"/sign-in/sso/{connection.id}")["Location"]).query) for _ in range(2)]
    for query in asked:
        assert query["code_challenge_method"] == ["S256"]
        assert query["redirect_uri"] == [f"http://testserver/sign-in/sso/{connection.id}/callback"]
        assert {"openid", "email", "profile"} <= set(query["scope"][0].split())
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name], name


@pytest.mark.parametrize("wrong", OIDC_WRONGS)
def test_an_answer_wrong_in_one_respect_lets_nobody_in(
    wrong: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA, wrong=wrong)
    browser = Browser()
    answer = browser.go(connection)
    assert answer.status_code == 401
    assert not browser.is_signed_in
    assert not User.objects.filter(email=ADA.email).exists()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("nonce", "nonce"), ("aud", "aud"), ("iss", "iss"), ("answer_iss", "iss"), ("azp", "azp"),
        ("signature", "signature"), ("alg_none", "alg"), ("alg_hmac", "alg"), ("expired", "expired"),
        ("early", "early"), ("pkce", "code"), ("userinfo_subject", "userinfo"), ("no_nonce", "missing"),
    ],
)  # fmt: skip
def test_the_page_says_in_which_respect(
    wrong: str, code: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA, wrong=wrong)
    assert f"<code>{code}</code>" in Browser().go(connection).content.decode()


def test_an_answer_is_good_once(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    assert browser.go(connection).status_code == 302
    browser.client.post("/sign-out")
    assert browser.bring().status_code == 401
    assert not browser.is_signed_in


def test_an_answer_is_good_only_in_the_browser_that_asked(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    asked = Browser()
    asked.ask(connection)
    victim = Browser(answer=asked.answer)
    assert victim.bring().status_code == 401
    assert not victim.is_signed_in


def test_a_code_replayed_into_another_sign_in_is_refused(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    identity_provider.expect(ADA)
    first, second = Browser(), Browser()
    first.ask(connection)
    second.ask(connection)
    stolen = parse_qs(urlsplit(first.answer).query)["code"][0]
    own = parse_qs(urlsplit(second.answer).query)["code"][0]
    second.answer = second.answer.replace(own, stolen)
    # Its challenge was that of the first browser.
    assert second.bring().status_code == 401


def test_an_answer_for_one_connection_is_none_for_another(
    tenant: Tenant, other: Tenant, identity_provider: IdentityProvider
) -> None:
    mine = an_oidc_connection(tenant, identity_provider)
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    identity_provider.expect(ADA)
    browser = Browser()
    browser.ask(mine)
    browser.answer = browser.answer.replace(str(mine.id), str(theirs.id))
    assert browser.bring().status_code == 401


def test_a_refusal_of_the_provider_is_told(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA, wrong="declined")
    answer = Browser().go(connection)
    assert answer.status_code == 401
    assert "not today" in answer.content.decode()


def test_thin_tokens_are_completed_by_the_user_information(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.thin_tokens = True
    identity_provider.expect(ADA)
    assert Browser().go(connection).status_code == 302
    assert User.objects.get(email=ADA.email).name == "Ada Lovelace"


def test_a_discovery_document_of_another_issuer_is_not_believed(
    tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    body = '{"issuer": "https://evil.example.com", "authorization_endpoint": "https://evil.example.com/a", '
    body += '"token_endpoint": "https://evil.example.com/t", "jwks_uri": "https://evil.example.com/k"}'
    identity_provider.overrides["/oidc/.well-known/openid-configuration"] = lambda: (200, "application/json", body)
    answer = Client().get(f"/sign-in/sso/{connection.id}")
    assert answer.status_code == 502
    assert "not of http://127.0.0.1" in answer.content.decode()


@pytest.mark.parametrize(
    "spoiled",
    [
        (200, "text/html", "<html>"),
        (500, "text/plain", "down"),
        (302, "http://169.254.169.254/", ""),
        (200, "x/y", "[]"),
    ],
)
def test_a_provider_that_talks_nonsense_is_told_as_that(
    spoiled: tuple[int, str, str], tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.overrides["/oidc/.well-known/openid-configuration"] = lambda: spoiled
    assert Client().get(f"/sign-in/sso/{connection.id}").status_code == 502
    identity_provider.overrides.clear()
    for path in ("/oidc/token", "/oidc/keys"):
        identity_provider.expect(ADA)
        browser = Browser()
        browser.ask(connection)
        identity_provider.overrides[path] = lambda: spoiled
        assert browser.bring().status_code in (401, 502)
        assert not browser.is_signed_in
        identity_provider.overrides.clear()


def test_a_provider_that_sends_without_end_is_cut_off(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    body = '{"issuer": "' + "x" * (2 * 1024 * 1024) + '"}'
    identity_provider.overrides["/oidc/.well-known/openid-configuration"] = lambda: (200, "application/json", body)
    answer = Client().get(f"/sign-in/sso/{connection.id}")
    assert answer.status_code == 502
    assert "too large" in answer.content.decode()


def test_a_connection_that_is_off_or_unknown_is_not_there(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, is_active=False)
    for path in ("", "/callback", "/finish", "/metadata"):
        assert Client().get(f"/sign-in/sso/{connection.id}{path}").status_code == 404
    assert Client().get(f"/sign-in/sso/{tenant.organization.id}").status_code == 404


def test_too_many_groups_leave_everything_as_it_is(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    elsewhere = (("_claim_names", {"groups": "src1"}), ("_claim_sources", {"src1": {"endpoint": "https://graph"}}))
    identity_provider.expect(Person("sub-ada", ADA.email, "Ada", groups=None, claims=elsewhere))
    assert Browser().go(connection).status_code == 302


def test_beginnings_are_limited(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    answers = [Client().get(f"/sign-in/sso/{connection.id}").status_code for _ in range(61)]
    assert answers[:60] == [302] * 60
    assert answers[60] == 429
