"""Signing in to the console: by password and code, by single sign-on, and what each opens."""

import base64
import re

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import second_factor_begin, second_factor_confirm
from control_plane.accounts.totp import STEP_S, code_at
from control_plane.audit.selectors import changes_of
from control_plane.identity.models import IdentityConnection
from control_plane.identity.services import (
    connection_enforce,
    connection_relax,
    connection_test_record,
    connection_update,
)
from control_plane.organizations.models import Role
from control_plane.organizations.services import INSTALLATION, membership_add
from tests.builders.tenants import PASSWORD, SYSTEM, Tenant, a_member, a_person_of_role
from tests.control_plane.identity.browsing import ADA, Browser, an_oidc_connection
from tests.fakes.identity_provider import IdentityProvider, Person

pytestmark = pytest.mark.django_db


def with_factor(user: User) -> tuple[bytes, list[str]]:
    """Give somebody an authenticator app, long ago; returns its secret and the recovery codes."""
    with time_machine.travel(1_700_000_000, tick=False):
        fresh = second_factor_begin(user=user)
        secret = base64.b32decode(fresh.secret)
        codes = second_factor_confirm(user=user, code=code_at(secret, 1_700_000_000 // STEP_S), actor=SYSTEM)
    return secret, codes


def code_now(secret: bytes) -> str:
    return code_at(secret, int(timezone.now().timestamp() // STEP_S))


def enter(client: Client, user: User, *, follow_to: str = "/profile") -> int:
    return client.post("/sign-in", {"email": user.email, "password": PASSWORD, "next": follow_to}).status_code


def enforced(tenant: Tenant, provider: IdentityProvider, owner: User) -> IdentityConnection:
    connection = an_oidc_connection(tenant, provider)
    connection_test_record(connection=connection, problem="", actor=tenant.actor)
    return connection_enforce(connection=connection, break_glass_owner=owner, actor=tenant.actor)


@pytest.fixture
def owner(tenant: Tenant) -> User:
    return a_person_of_role(tenant, Role.OWNER, "owner@acme.example")


def test_where_nobody_uses_single_sign_on_all_is_asked_at_once(tenant: Tenant) -> None:
    page = Client().get("/sign-in").content.decode()
    assert 'name="email"' in page
    assert 'name="password"' in page


def test_else_the_e_mail_says_how_to_go_on(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    first = Client().get("/sign-in").content.decode()
    assert 'name="email"' in first
    assert 'name="password"' not in first
    ours = Client().post("/sign-in", {"email": "nobody@ACME.example"}).content.decode()
    assert f'href="/sign-in/sso/{connection.id}?next=' in ours
    assert 'name="password"' in ours
    theirs = Client().post("/sign-in", {"email": "nobody@elsewhere.example"}).content.decode()
    assert "/sign-in/sso/" not in theirs
    assert 'name="password"' in theirs


def test_the_way_on_does_not_tell_who_has_an_account(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    an_oidc_connection(tenant, identity_provider)
    a_member(tenant, "known@acme.example")
    pages = [
        re.sub(
            r'csrfmiddlewaretoken" value="[^"]*"|nonce[^ >]*',
            "",
            Client().post("/sign-in", {"email": email}).content.decode(),
        )
        for email in ("known@acme.example", "nowhere@acme.example")
    ]
    assert pages[0].replace("known@", "nowhere@") == pages[1]


def test_a_password_and_a_code_of_the_app(tenant: Tenant) -> None:
    user = a_member(tenant)
    secret, _ = with_factor(user)
    client = Client()
    answer = client.post("/sign-in", {"email": user.email, "password": PASSWORD, "next": "/my/keys"})
    assert answer["Location"] == "/sign-in/code"
    assert client.get("/my/keys").status_code == 302
    assert client.post("/sign-in/code", {"code": "000000"}).status_code == 422
    answer = client.post("/sign-in/code", {"code": code_now(secret)})
    assert answer["Location"] == "/my/keys"
    assert client.get("/my/keys").status_code == 200
    # The code that was just used opens nothing else.
    again = Client()
    enter(again, user)
    assert again.post("/sign-in/code", {"code": code_now(secret)}).status_code == 422


def test_a_recovery_code_in_place_of_the_app(tenant: Tenant) -> None:
    user = a_member(tenant)
    _, codes = with_factor(user)
    for status in (302, 422):
        client = Client()
        enter(client, user)
        assert client.post("/sign-in/code", {"code": codes[0]}).status_code == status


def test_the_second_step_needs_the_first_and_does_not_wait_for_ever(tenant: Tenant) -> None:
    user = a_member(tenant)
    secret, _ = with_factor(user)
    assert Client().get("/sign-in/code")["Location"] == "/sign-in"
    client = Client()
    with time_machine.travel("2030-01-01T12:00:00Z", tick=False) as clock:
        enter(client, user)
        clock.shift(301)
        assert client.post("/sign-in/code", {"code": code_now(secret)})["Location"] == "/sign-in"
    assert "_auth_user_id" not in client.session


def test_codes_are_not_guessed(tenant: Tenant) -> None:
    user = a_member(tenant)
    secret, _ = with_factor(user)
    client = Client()
    enter(client, user)
    answers = [client.post("/sign-in/code", {"code": "000000"}).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]
    assert client.post("/sign-in/code", {"code": code_now(secret)}).status_code == 429


def test_one_source_cannot_try_a_password_on_everybody(tenant: Tenant) -> None:
    answers = [
        Client().post("/sign-in", {"email": f"p{number}@acme.example", "password": "spring2027"}).status_code
        for number in range(61)
    ]
    assert answers == [422] * 60 + [429]
    user = a_member(tenant)
    assert (
        Client(REMOTE_ADDR="198.51.100.9").post("/sign-in", {"email": user.email, "password": PASSWORD}).status_code
        == 302
    )


def test_many_sources_cannot_try_one_person(tenant: Tenant) -> None:
    answers = [
        Client(REMOTE_ADDR=f"198.51.100.{number}")
        .post("/sign-in", {"email": "ada@acme.example", "password": "x"})
        .status_code
        for number in range(101)
    ]
    assert answers == [422] * 100 + [429]


def test_a_session_key_known_before_does_not_carry_the_sign_in(tenant: Tenant) -> None:
    user = a_member(tenant)
    client = Client()
    client.get("/sign-in")
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key
    client.cookies["switchyard"] = str(planted)
    enter(client, user)
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_a_session_ended_is_ended(tenant: Tenant) -> None:
    user = a_member(tenant)
    client = Client()
    enter(client, user)
    cookie = client.cookies["switchyard"].value
    client.post("/sign-out")
    stolen = Client()
    stolen.cookies["switchyard"] = cookie
    assert stolen.get("/profile").status_code == 302


def test_signing_out_everywhere_else(tenant: Tenant) -> None:
    user = a_member(tenant)
    here, there, third = Client(), Client(HTTP_USER_AGENT="Netscape"), Client()
    for client in (here, there, third):
        enter(client, user)
    page = here.get("/profile").content.decode()
    assert page.count("this one") == 1
    assert "Netscape" in page
    (one,) = re.findall(r'/profile/sessions/([0-9a-f-]{36})/end(?="[^>]*>(?:(?!</tr>).)*Netscape|)', page)[:1]
    assert Client().post(f"/profile/sessions/{one}/end").status_code == 302
    here.post("/profile/sessions/end")
    assert here.get("/profile").status_code == 200
    assert there.get("/profile").status_code == third.get("/profile").status_code == 302


def test_another_persons_session_is_not_there(tenant: Tenant) -> None:
    mine, theirs = a_member(tenant), a_member(tenant)
    client, other_client = Client(), Client()
    enter(client, mine)
    enter(other_client, theirs)
    row = theirs.console_sessions.get()
    assert client.post(f"/profile/sessions/{row.id}/end").status_code == 404
    assert other_client.get("/profile").status_code == 200


def test_a_new_password_keeps_this_session_and_ends_the_others(tenant: Tenant) -> None:
    user = a_member(tenant)
    here, there = Client(), Client()
    enter(here, user)
    enter(there, user)
    here.post("/profile/password", {"current": PASSWORD, "password": "another correct horse"})
    page = here.get("/profile")
    assert page.status_code == 200
    assert page.content.decode().count("this one") == 1
    assert there.get("/profile").status_code == 302


# Enforced single sign-on.


def test_enforced_single_sign_on_refuses_passwords(
    tenant: Tenant, identity_provider: IdentityProvider, owner: User
) -> None:
    with_factor(owner)
    member = a_member(tenant, "m@acme.example")
    connection = enforced(tenant, identity_provider, owner)
    client = Client()
    answer = client.post("/sign-in", {"email": member.email, "password": PASSWORD})
    assert answer.status_code == 403
    assert f"/sign-in/sso/{connection.id}" in answer.content.decode()
    assert "_auth_user_id" not in client.session
    # A wrong password says nothing of that.
    assert Client().post("/sign-in", {"email": member.email, "password": "x"}).status_code == 422
    identity_provider.expect(Person("sub-m", "m@acme.example"))
    browser = Browser()
    assert browser.go(connection).status_code == 302
    assert browser.client.get("/profile").status_code == 200


def test_enforcing_closes_sessions_begun_with_a_password_at_once(
    tenant: Tenant, identity_provider: IdentityProvider, owner: User
) -> None:
    with_factor(owner)
    member = a_member(tenant, "m@acme.example")
    client = Client()
    enter(client, member)
    assert client.get("/my/keys").status_code == 200
    assert client.get("/api/v1/keys").status_code == 200
    connection = enforced(tenant, identity_provider, owner)
    answer = client.get("/my/keys")
    assert answer["Location"] == "/sign-in/to/acme?next=%2Fmy%2Fkeys"
    page = client.get(answer["Location"]).content.decode()
    assert f'/sign-in/sso/{connection.id}?next=%2Fmy%2Fkeys"' in page
    assert client.get("/api/v1/keys").status_code == 401
    fragment = client.get("/my/keys", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment["HX-Redirect"]) == (401, "/sign-in/to/acme")
    connection_relax(connection=connection, actor=tenant.actor)
    assert client.get("/my/keys").status_code == 200


def test_the_break_glass_owner_gets_in_with_a_code_and_everybody_can_see_it(
    tenant: Tenant, identity_provider: IdentityProvider, owner: User
) -> None:
    secret, _ = with_factor(owner)
    enforced(tenant, identity_provider, owner)
    client = Client()
    enter(client, owner, follow_to="/my/keys")
    assert client.post("/sign-in/code", {"code": code_now(secret)})["Location"] == "/my/keys"
    assert "break-glass account" in client.get("/my/keys").content.decode()
    assert "user.broke_glass" in [row.action for row in changes_of(tenant.organization.id)]
    # The app that makes it safe cannot be taken away while it is relied upon.
    answer = client.post("/profile/second-factor/remove", {"current": PASSWORD})
    assert answer.status_code == 422
    assert "break-glass owner" in answer.content.decode()


def test_another_owner_and_a_lapsed_owner_stay_outside(
    tenant: Tenant, identity_provider: IdentityProvider, owner: User
) -> None:
    with_factor(owner)
    second = a_person_of_role(tenant, Role.OWNER, "second@acme.example")
    secret, _ = with_factor(second)
    enforced(tenant, identity_provider, owner)
    client = Client()
    enter(client, second)
    assert client.post("/sign-in/code", {"code": code_now(secret)}).status_code == 403
    owner.memberships.update(role=Role.ADMIN)
    lapsed = Client()
    lapsed.force_login(owner)
    assert lapsed.get("/my/keys").status_code == 302


def test_single_sign_on_opens_its_own_organization_only(
    tenant: Tenant, other: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    browser.go(connection)
    ada = User.objects.get(email=ADA.email)
    membership_add(organization=other.organization, user=ada, role=Role.ADMIN, actor=other.actor, by=INSTALLATION)
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    client = browser.client
    answer = client.post("/organization", {"organization": str(other.organization.id)})
    assert answer["Location"] == "/sign-in/to/umbrella"
    # The present organization is still open.
    assert client.get("/my/keys").status_code == 200
    page = client.get("/sign-in/to/umbrella").content.decode()
    assert f"/sign-in/sso/{theirs.id}" in page
    # What a malicious provider of one tenant can reach of an account shared with another: nothing.
    client.get("/my/keys")
    session = client.session
    session["organization"] = str(other.organization.id)
    session.save()
    assert client.get("/members").status_code == 302
    assert client.get("/api/v1/providers").status_code == 401


def test_proofs_add_up_in_one_session(tenant: Tenant, other: Tenant, identity_provider: IdentityProvider) -> None:
    ours = an_oidc_connection(tenant, identity_provider)
    theirs = an_oidc_connection(other, identity_provider, domains=["umbrella.example"])
    identity_provider.expect(ADA)
    browser = Browser()
    browser.go(ours)
    ada = User.objects.get(email=ADA.email)
    membership_add(organization=other.organization, user=ada, actor=other.actor, by=INSTALLATION)
    theirs.identities.create(organization=other.organization, subject="u-ada", user=ada, email=ADA.email)
    identity_provider.expect(Person("u-ada", ADA.email))
    second = Browser(client=browser.client)
    assert second.go(theirs).status_code == 302
    for organization in (tenant.organization, other.organization):
        answer = browser.client.post("/organization", {"organization": str(organization.id)})
        assert answer["Location"] == "/"
        assert browser.client.get("/my/keys").status_code == 200
    assert len(ada.console_sessions.all()) == 1


def test_another_person_coming_back_does_not_inherit_the_session(
    tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    client = Client()
    enter(client, tenant.admin)
    identity_provider.expect(ADA)
    browser = Browser(client=client)
    browser.go(connection)
    assert client.get("/members").status_code == 404
    assert client.session["sign-ins"] == [{"method": "sso", "second": False, "connection": connection.id.hex}]


def test_a_connection_switched_off_closes_what_it_opened(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    browser.go(connection)
    connection_update(connection=connection, actor=tenant.actor, grantor=Role.ADMIN, is_active=False)
    assert browser.client.get("/my/keys").status_code == 302


def test_no_way_leads_to_another_site(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    for target in ("https://evil.example.com/", "//evil.example.com", "javascript:alert(1)", "\\\\evil"):
        identity_provider.expect(ADA)
        browser = Browser()
        answer = browser.go(connection, begin=f"/sign-in/sso/{connection.id}?next={target}")
        assert answer["Location"] == "/"


def test_an_organization_nobody_knows_leads_to_the_plain_sign_in(tenant: Tenant) -> None:
    assert Client().get("/sign-in/to/nowhere")["Location"].startswith("/sign-in?")
    assert Client().get("/sign-in/to/acme")["Location"].startswith("/sign-in?")


# The second factor in the profile.


def test_setting_up_an_app_needs_the_password_and_shows_the_codes_once(tenant: Tenant) -> None:
    user = a_member(tenant)
    client = Client()
    enter(client, user)
    assert "QR code" not in client.get("/profile/second-factor").content.decode()
    assert client.post("/profile/second-factor", {"current": "wrong"}).status_code == 422
    assert client.post("/profile/second-factor", {"current": PASSWORD}).status_code == 302
    page = client.get("/profile/second-factor").content.decode()
    assert 'aria-label="QR code for your authenticator app"' in page
    (secret,) = re.findall(r'<code title="([A-Z2-7]{32})"', page)
    assert client.post("/profile/second-factor", {"code": "000000"}).status_code == 422
    done = client.post("/profile/second-factor", {"code": code_now(base64.b32decode(secret))})
    assert len(re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", done.content.decode())) >= 10
    profile = client.get("/profile").content.decode()
    assert "10 recovery codes left" in profile
    assert secret not in profile
    assert client.get("/profile/second-factor").status_code == 302


def test_people_without_a_password_are_told_so(tenant: Tenant, identity_provider: IdentityProvider) -> None:
    connection = an_oidc_connection(tenant, identity_provider)
    identity_provider.expect(ADA)
    browser = Browser()
    browser.go(connection)
    page = browser.client.get("/profile").content.decode()
    assert "You have none" in page
    assert "Okta" in page
    assert browser.client.get("/profile/second-factor").status_code == 302
