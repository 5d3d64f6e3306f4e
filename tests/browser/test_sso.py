"""Single sign-on in a real browser, against the scripted identity provider: right, and wrong in every respect."""

import base64
import dataclasses
import re
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, Page

from control_plane.accounts.models import User
from control_plane.accounts.services import second_factor_remove
from control_plane.accounts.totp import STEP_S, code_at
from control_plane.identity.models import IdentityConnection
from control_plane.organizations.models import Membership, Role, TeamMembership
from tests.browser.chromium import sign_in
from tests.browser.test_accessibility import violations
from tests.builders.tenants import PASSWORD, SYSTEM, Tenant, a_person_of_role, a_tenant
from tests.control_plane.identity.browsing import a_saml_connection, an_oidc_connection
from tests.fakes.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    OIDC_WRONGS,
    SAML_WRONGS,
    IdentityProvider,
    Person,
    identity_provider,
)

__all__ = ["identity_provider"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
WRONGS = [*(f"oidc-{each}" for each in OIDC_WRONGS), *(f"saml-{each}" for each in SAML_WRONGS)]
JOAN = Person("sub-joan", "joan@sso.example", "Joan Clarke", ("engineering",))


@pytest.fixture
def _django_db_helper() -> None:
    """In place of pytest-django's, which puts a transaction around each test.

    The server answers from another thread and sees only what is committed; `console_server` has opened the database.
    """


@pytest.fixture(scope="module")
def tenant(console_server: object) -> Tenant:
    return a_tenant("sso")


@pytest.fixture(autouse=True)
def _public_console(console_url: str, tenant: Tenant) -> Iterator[None]:
    """The console's public address is that of the server under test; nothing of a test stays behind it."""
    cache.clear()
    with override_settings(SWITCHYARD=dataclasses.replace(settings.SWITCHYARD, console_public_url=console_url)):
        yield
    IdentityConnection.objects.filter(organization=tenant.organization).delete()
    people = User.objects.filter(email=JOAN.email)
    TeamMembership.objects.filter(user__in=people).delete()
    Membership.objects.filter(user__in=people).delete()
    people.delete()
    cache.clear()


def begin(page: Page, console_url: str, email: str) -> None:
    """E-mail first, then the button of the provider."""
    page.goto(f"{console_url}/sign-in?next=/my/keys")
    page.fill("input[name=email]", email)
    page.click("button[type=submit]")
    page.click("a.btn-primary")


@pytest.mark.parametrize("protocol", ["oidc", "saml"])
def test_a_person_comes_in_and_goes_out(
    protocol: str, context: BrowserContext, console_url: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    make = an_oidc_connection if protocol == "oidc" else a_saml_connection
    connection = make(tenant, identity_provider, domains=["sso.example"])
    identity_provider.expect(JOAN)
    page = context.new_page()
    begin(page, console_url, "joan@sso.example")
    page.wait_for_url(f"{console_url}/my/keys")
    page.goto(f"{console_url}/profile")
    assert page.locator("#sessions").is_visible()
    assert connection.name in page.inner_text("section[aria-labelledby=sessions]")
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert cookies["switchyard"]["httpOnly"] is True
    assert cookies["switchyard"]["sameSite"] == "Lax"
    page.click("summary.me")
    page.click("text=Sign out >> nth=-1")
    page.wait_for_url(f"{console_url}/sign-in")
    page.go_back()
    page.wait_for_url(re.compile(r"/sign-in"))


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_wrong_answer_ends_on_a_page_that_says_so(
    wrong: str, context: BrowserContext, console_url: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    protocol, _, respect = wrong.partition("-")
    make = an_oidc_connection if protocol == "oidc" else a_saml_connection
    connection = make(tenant, identity_provider, domains=["sso.example"])
    identity_provider.expect(JOAN, wrong=respect)
    page = context.new_page()
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url.startswith(console_url) else None)
    page.goto(f"{console_url}/sign-in/sso/{connection.id}")
    page.wait_for_selector("text=You are not signed in")
    assert 401 in statuses
    page.goto(f"{console_url}/my/keys")
    assert "/sign-in" in page.url
    assert not User.objects.filter(email=JOAN.email).exists()


@pytest.mark.parametrize("protocol", ["oidc", "saml"])
def test_an_answer_replayed_in_another_browser_is_refused(
    protocol: str, browser: Browser, console_url: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    make = an_oidc_connection if protocol == "oidc" else a_saml_connection
    connection = make(tenant, identity_provider, domains=["sso.example"])
    identity_provider.expect(JOAN)
    taken: list[str] = []
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.on("request", lambda asked: taken.append(asked.url) if "/callback?" in asked.url else None)
    page.goto(f"{console_url}/sign-in/sso/{connection.id}?next=/my/keys")
    page.wait_for_url(f"{console_url}/my/keys")
    thief = second.new_page()
    if protocol == "oidc":
        thief.goto(taken[0])
    else:
        thief.set_content(
            f'<form method="post" action="{identity_provider.last_acs}">'
            f'<input name="SAMLResponse" value="{identity_provider.last_saml_response}"></form>'
        )
        thief.evaluate("document.forms[0].submit()")
    thief.wait_for_selector("text=You are not signed in")
    thief.goto(f"{console_url}/my/keys")
    assert "/sign-in" in thief.url
    first.close()
    second.close()


def test_an_owner_connects_tests_and_enforces_and_the_others_come_through_it(
    browser: Browser, console_url: str, tenant: Tenant, identity_provider: IdentityProvider
) -> None:
    """The whole story: the authenticator app, the connection, its test, the groups, and then the wall."""
    owner = a_person_of_role(tenant, Role.OWNER)
    mine = browser.new_context(reduced_motion="reduce")
    page = sign_in(mine, console_url, owner.email, PASSWORD)
    # An authenticator app, from its QR code's secret.
    page.goto(f"{console_url}/profile/second-factor")
    page.fill("input[name=current]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("svg[aria-label='QR code for your authenticator app']")
    secret = base64.b32decode(page.inner_text("main .copyable code"))
    assert violations(page) == []
    page.fill("input[name=code]", code_at(secret, int(time.time() // STEP_S)))
    page.click("main button[type=submit]")
    page.wait_for_selector("#recovery-codes")
    recovery = page.inner_text("#recovery-codes").split()
    assert len(recovery) == 10
    # The connection, tested without being signed in by it.
    page.goto(f"{console_url}/sign-in-settings/new/oidc")
    for name, value in (
        ("name", "Okta"),
        ("issuer", identity_provider.issuer),
        ("client_id", CLIENT_ID),
        ("secret", CLIENT_SECRET),
        ("domains", "sso.example"),
    ):
        page.fill(f"main [name={name}]", value)
    page.click("main button:has-text('Add connection')")
    page.wait_for_selector("text=Not tested yet")
    identity_provider.expect(JOAN)
    page.click("text=Test sign-in >> nth=0")
    page.wait_for_selector("text=it works")
    assert "sub-joan" in page.inner_text("main")
    assert violations(page) == []
    page.click("section[aria-labelledby=groups-title] a")
    page.fill("[name=form-0-group]", "engineering")
    page.select_option("[name=form-0-gives]", label="platform")
    page.click("main button:has-text('Save mappings')")
    page.wait_for_selector("text=team platform")
    page.click(".page-actions a:has-text('Enforce')")
    page.wait_for_selector("#sheet-dialog[open] form")
    page.select_option("#sheet-dialog [name=break_glass_owner]", str(owner.id))
    page.fill("#sheet-dialog [name=reason]", "rolled out")
    page.click("#sheet-dialog button[type=submit]")
    page.wait_for_selector(".state:has-text('enforced')")
    # Past the wall by the break-glass account: told on every page.
    page.goto(f"{console_url}/my/keys")
    assert "break-glass account" in page.inner_text("main")
    # Everybody else: no password, but the provider.
    theirs = browser.new_context(reduced_motion="reduce")
    other = theirs.new_page()
    other.goto(f"{console_url}/sign-in")
    other.fill("input[name=email]", tenant.admin.email)
    other.click("button[type=submit]")
    other.fill("input[name=password]", PASSWORD)
    other.click("button[type=submit]")
    other.wait_for_selector("text=signs in with its identity provider only")
    assert violations(other) == []
    identity_provider.expect(JOAN)
    begin(other, console_url, JOAN.email)
    other.wait_for_url(f"{console_url}/my/keys")
    assert TeamMembership.objects.filter(user__email=JOAN.email, team=tenant.team).exists()
    # And the owner once more, with a recovery code, as on the day the phone is lost.
    lost = browser.new_context(reduced_motion="reduce")
    third = lost.new_page()
    third.goto(f"{console_url}/sign-in")
    third.fill("input[name=email]", owner.email)
    third.click("button[type=submit]")
    third.fill("input[name=password]", PASSWORD)
    third.click("button[type=submit]")
    third.wait_for_selector("text=Enter your code")
    assert violations(third) == []
    third.fill("input[name=code]", recovery[0])
    third.click("button[type=submit]")
    third.wait_for_url(f"{console_url}/")
    for one in (mine, theirs, lost):
        one.close()
    second_factor_remove(user=owner, actor=SYSTEM)
