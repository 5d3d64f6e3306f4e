"""Proving once more who one is: asked by every page that hands out power, in the ways one signed in by."""

import pytest
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from control_plane.accounts.models import ConsoleSession, User
from control_plane.audit.models import Change
from control_plane.identity.entry import Method, SignIn, note_sign_in
from control_plane.identity.models import IdentityConnection
from control_plane.identity.proofs import FRESH_S, PROOFS, is_fresh, note_proof
from control_plane.keys.models import AdminToken
from control_plane.organizations.models import Membership, Role
from control_plane.web.access import Fresh
from control_plane.web.urls import urlpatterns
from tests.builders.tenants import PASSWORD, Tenant, a_member, a_person_of_role
from tests.control_plane.identity.browsing import ADA, Browser, a_saml_connection, an_oidc_connection
from tests.control_plane.identity.test_sign_in import code_now, with_factor
from tests.control_plane.web.test_access import address
from tests.fakes.identity_provider import IdentityProvider, Person

pytestmark = pytest.mark.django_db

GUARDED: list[URLPattern] = [
    each for each in urlpatterns if getattr(each.callback, "fresh", Fresh.NOT_ASKED) is not Fresh.NOT_ASKED
]
PROMISED = {
    "service-key-mint", "key-rotate", "token-mint", "device", "scim-token-add", "scim-group-role",
    "provider-add", "provider-edit", "provider-credential", "member", "member-add", "members-bulk",
    "connection-add", "connection-edit", "connection-mappings", "connection-enforcement", "connection-activity",
    "policy-apply", "policy-restore", "workload-trust-add", "workload-trust",
}  # fmt: skip


@pytest.fixture
def owner(tenant: Tenant) -> User:
    return a_person_of_role(tenant, Role.OWNER, "owner@acme.example")


@pytest.fixture
def client(owner: User) -> Client:
    """An owner who signed in by password, just now."""
    signed_in = Client()
    signed_in.post("/sign-in", {"email": owner.email, "password": PASSWORD})
    assert signed_in.get("/profile/tokens/new").status_code == 200
    return signed_in


def grow_stale(client: Client) -> None:
    """Let half an hour pass for the proofs alone."""
    session = client.session
    session[PROOFS] = {way: at_s - FRESH_S for way, at_s in session[PROOFS].items()}
    session.save()


def confirmations(tenant: Tenant) -> list[str]:
    rows = Change.objects.filter(organization_id=tenant.organization.id, action="session.confirmed")
    return [row.after["method"] for row in rows.order_by("sequence")]


def test_what_hands_out_power_asks() -> None:
    assert {each.name for each in GUARDED} >= PROMISED


def test_every_such_page_turns_stale_sessions_away(client: Client) -> None:
    grow_stale(client)
    for pattern in GUARDED:
        where, fresh = address(pattern), pattern.callback.fresh  # type: ignore[attr-defined]
        if fresh is Fresh.FORM:
            assert client.get(where)["Location"].startswith("/confirm?next="), where
            sheet = client.get(where, headers={"HX-Request": "true", "HX-Target": "sheet"})
            assert (sheet.status_code, sheet["HX-Redirect"][:14]) == (403, "/confirm?next="), where
        else:
            assert client.get(where).status_code in (404, 405), where
        sent = client.post(where, {})
        assert sent["Location"].startswith("/confirm?next="), where
        assert sent["Location"].endswith("&sent=1"), where
        sent = client.post(where, {}, headers={"HX-Request": "true", "HX-Target": "sheet"})
        assert (sent.status_code, sent["HX-Redirect"][-7:]) == (403, "&sent=1"), where


def test_what_is_sent_too_late_is_not_done_and_said_so(client: Client, owner: User, tenant: Tenant) -> None:
    member = a_member(tenant)
    membership = Membership.objects.get(user=member, organization=tenant.organization)
    grow_stale(client)
    token = {"name": "ci", "scopes": ["keys.read"], "days": "30"}
    asked = client.post("/profile/tokens/new", token)["Location"]
    role = client.post(reverse("web:member", args=[membership.id]), {"role": "admin", "reason": "why not"})
    membership.refresh_from_db()
    assert (role.status_code, membership.role) == (302, Role.MEMBER)
    assert not AdminToken.objects.filter(user=owner).exists()
    page = client.get(asked).content.decode()
    assert "Nothing was changed" in page
    old_key = client.session.session_key
    answer = client.post(asked, {"password": PASSWORD, "next": "/profile/tokens/new"})
    assert answer["Location"] == "/profile/tokens/new"
    assert "send it again" in client.get(answer["Location"]).content.decode()
    assert client.session.session_key != old_key
    assert ConsoleSession.objects.filter(user=owner, session_key=client.session.session_key).exists()
    assert confirmations(tenant) == ["password"]


def test_a_form_that_stands_elsewhere_leads_back_there_and_never_away(client: Client) -> None:
    grow_stale(client)
    own = client.post("/policy-code/apply", {}, headers={"Referer": "http://testserver/policy-code/plan"})
    page = client.get(own["Location"]).content.decode()
    assert 'name="next" value="http://testserver/policy-code/plan"' in page
    for foreign in ("https://evil.example.com/", "//evil.example.com", "javascript:alert(1)"):
        grow_stale(client)
        sent = client.post("/policy-code/apply", {}, headers={"Referer": foreign})
        assert "evil" not in client.get(sent["Location"]).content.decode()
        answer = client.post("/confirm", {"password": PASSWORD, "next": foreign})
        assert answer["Location"] == "/"


def test_a_wrong_password_confirms_nothing_and_is_counted_with_sign_ins(client: Client, owner: User) -> None:
    grow_stale(client)
    statuses = [client.post("/confirm", {"password": "wrong"}).status_code for _ in range(10)]
    assert statuses == [422] * 10
    full = client.post("/confirm", {"password": PASSWORD})
    assert "Too many tries" in full.content.decode()
    assert client.get("/profile/tokens/new").status_code == 302
    assert Client().post("/sign-in", {"email": owner.email, "password": PASSWORD}).status_code == 429


def test_with_an_authenticator_app_the_password_alone_is_not_enough(
    client: Client, owner: User, tenant: Tenant
) -> None:
    secret, _ = with_factor(owner)
    grow_stale(client)
    code = code_now(secret)
    for given in ({"password": PASSWORD}, {"password": PASSWORD, "code": "000000"}, {"password": "x", "code": code}):
        assert client.post("/confirm", given).status_code == 422
        assert client.get("/profile/tokens/new").status_code == 302
    assert client.post("/confirm", {"password": PASSWORD, "code": code}).status_code == 302
    assert client.get("/profile/tokens/new").status_code == 200
    assert confirmations(tenant) == ["password and code"]
    grow_stale(client)
    assert client.post("/confirm", {"password": PASSWORD, "code": code}).status_code == 422


def came_by(
    kind: str, tenant: Tenant, provider: IdentityProvider, person: Person = ADA
) -> tuple[Browser, IdentityConnection]:
    """An admin who signed in through the identity provider a while ago."""
    make = an_oidc_connection if kind == "oidc" else a_saml_connection
    connection = make(tenant, provider)
    browser = Browser()
    provider.expect(person)
    browser.go(connection)
    Membership.objects.filter(user__email=person.email).update(role=Role.ADMIN)
    grow_stale(browser.client)
    return browser, connection


@pytest.mark.parametrize("kind", ["oidc", "saml"])
def test_who_came_by_single_sign_on_is_asked_by_the_provider(
    kind: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    browser, connection = came_by(kind, tenant, identity_provider)
    page = browser.client.get(browser.client.get("/providers/new")["Location"]).content.decode()
    assert "Continue with" in page
    assert 'name="password"' not in page
    assert browser.client.post("/confirm", {"password": PASSWORD}).status_code == 200
    assert browser.client.get("/providers/new").status_code == 302
    old_key = browser.client.session.session_key
    identity_provider.expect(ADA)
    answer = browser.go(connection, begin=f"/confirm/sso/{connection.id}?next=/providers/new&sent=1")
    assert answer["Location"] == "/providers/new"
    assert identity_provider.asked_anew == [False, True]
    assert browser.client.get("/providers/new").status_code == 200
    assert browser.client.session.session_key != old_key
    assert confirmations(tenant) == [connection.name]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [("oidc", "stale_login"), ("oidc", "nonce"), ("oidc", "declined"), ("saml", "stale_login"), ("saml", "signature")],
)
def test_an_answer_that_proves_nothing_confirms_nothing(
    kind: str, wrong: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    browser, connection = came_by(kind, tenant, identity_provider)
    identity_provider.expect(ADA, wrong=wrong)
    answer = browser.go(connection, begin=f"/confirm/sso/{connection.id}?next=/providers/new")
    assert answer.status_code == 401
    assert browser.client.get("/providers/new").status_code == 302
    assert browser.is_signed_in
    assert confirmations(tenant) == []


def test_somebody_else_at_the_provider_confirms_nothing(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    browser, connection = came_by("oidc", tenant, identity_provider)
    identity_provider.expect(Person("sub-eve", "eve@acme.example", "Eve"))
    answer = browser.go(connection, begin=f"/confirm/sso/{connection.id}?next=/providers/new")
    assert "signed in somebody else" in answer.content.decode()
    assert not User.objects.filter(email="eve@acme.example").exists()
    assert browser.client.get("/providers/new").status_code == 302
    assert browser.is_signed_in


def test_a_provider_one_did_not_sign_in_by_is_not_there(
    client: Client, tenant: Tenant, other: Tenant, identity_provider: IdentityProvider
) -> None:
    own = an_oidc_connection(tenant, identity_provider)
    foreign = an_oidc_connection(other, identity_provider, name="Theirs", domains=["umbrella.example"])
    for connection in (own, foreign):
        assert client.get(f"/confirm/sso/{connection.id}").status_code == 404
    assert "Continue with" not in client.get("/confirm").content.decode()


def test_a_proof_counts_only_by_the_ways_that_open() -> None:
    session: dict[str, object] = {}
    password = SignIn(Method.PASSWORD)
    note_sign_in(session, password)
    now_s = int(timezone.now().timestamp())
    note_proof(session, password, at_s=now_s)
    assert is_fresh(session, [password], now_s=now_s + FRESH_S - 1)
    assert not is_fresh(session, [password], now_s=now_s + FRESH_S)
    assert not is_fresh(session, [SignIn(Method.SINGLE_SIGN_ON)], now_s=now_s)
    assert not is_fresh({}, [password], now_s=now_s)
