"""What admins do, with the keyboard alone: people, keys, sign-in, policy, audit."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from control_plane.declarative.selectors import newest_revision
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Role, Team
from control_plane.organizations.selectors import membership_of
from tests.browser.chromium import DESKTOP
from tests.browser.conftest import SignIn
from tests.browser.governance import GUARDED
from tests.browser.test_keyboard import tab_to
from tests.browser.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db, pytest.mark.timeout(300)]


def go(page: Page, letter: str, heading: str) -> None:
    """To a place, by `g` and its letter."""
    page.keyboard.press("g")
    page.keyboard.press(letter)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    page.wait_for_load_state("load")


def jump(page: Page, text: str, found: str) -> None:
    """Find something with ⌘K and open it."""
    page.keyboard.press("Control+k")
    expect(page.locator("#palette input")).to_be_focused()
    page.keyboard.type(text)
    expect(page.locator("#palette .palette-item[aria-selected=true]")).to_contain_text(found)
    page.keyboard.press("Enter")


def test_sign_in_with_a_code(browser: Browser, console_url: str, world: World) -> None:
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    page = context.new_page()
    page.goto(console_url + "/sign-in")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(GUARDED)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This code does not fit")).to_be_visible()
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(world.governance.recovery_codes.pop())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    context.close()


def test_a_narrow_key_is_minted(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    page.keyboard.press("Control+k")
    page.keyboard.type("mint a key")
    expect(page.locator("#palette .palette-item[aria-selected=true]")).to_contain_text("Mint a key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Mint a key")).to_be_visible()
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("only haiku")
    tab_to(page, lambda name: name.startswith("Narrow it"))
    page.keyboard.press("Enter")
    tab_to(page, lambda name: name.startswith("Models"))
    page.keyboard.type("claude-haiku-*")
    tab_to(page, lambda name: name == "Mint key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="only haiku")).to_be_visible()
    tab_to(page, lambda name: name == "Copy key")
    assert VirtualKey.objects.get(name="only haiku").allowed_models == ["claude-haiku-*"]


def test_a_members_role_is_changed(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    jump(page, "edsger", "Edsger Dijkstra")
    expect(page.get_by_role("heading", name="Edsger Dijkstra")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Member: own keys"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name=re.compile("^Team lead"))).to_be_checked()
    expect(page.locator(".changes")).to_have_text("Changes: Role")
    tab_to(page, lambda name: name == "Save member")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_be_visible()
    member = Membership.objects.get(organization=world.organization, user__email="edsger@example.com")
    assert member.role == Role.TEAM_LEAD


def test_a_connection_is_added(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    go(page, "n", "Sign-in")
    tab_to(page, lambda name: name == "Add OpenID Connect")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Add OpenID Connect")).to_be_visible()
    for label, value in (
        ("Name", "Keyboard"),
        ("Issuer", "https://93.184.215.14"),
        ("Client id", "switchyard"),
        ("E-mail domains", "keyboard.example"),
    ):
        tab_to(page, lambda name, label=label: name.startswith(label))  # type: ignore[misc]
        page.keyboard.type(value)
    tab_to(page, lambda name: name == "Add connection")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    expect(page.get_by_text("Not tested yet")).to_be_visible()


def test_a_policy_is_planned_applied_and_taken_back(visitor: SignIn, world: World) -> None:
    before = newest_revision(world.organization.id)
    assert before is not None
    page = visitor(world.admin)
    go(page, "c", "Policy as code")
    tab_to(page, lambda name: name.startswith("Plan"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Plan and apply")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Policy file"))
    page.keyboard.insert_text("kind: Team\nmetadata: {name: by keyboard}\nspec: {cost_centre: '1'}\n")
    tab_to(page, lambda name: name == "Show the plan")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Reason"))
    page.keyboard.type("a test of the keyboard")
    tab_to(page, lambda name: name == "Apply this plan")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("Applied as revision"))).to_be_visible()
    assert Team.objects.filter(organization=world.organization, name="by keyboard").exists()

    page.goto(f"{page.url.rsplit('/', 1)[0]}/{before.number}")
    tab_to(page, lambda name: name == "Bring it back")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Bring back revision {before.number}")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Also take away people"))
    page.keyboard.press("Space")
    tab_to(page, lambda name: name == "Show what that means")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Yes, also if it takes away"))
    page.keyboard.press("Space")
    tab_to(page, lambda name: name.startswith("Reason"))
    page.keyboard.type("a test of the keyboard")
    tab_to(page, lambda name: name.startswith("Type revision"))
    page.keyboard.type(f"revision {before.number}")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(f"Revision {before.number} is back"))).to_be_visible()
    assert not Team.objects.filter(organization=world.organization, name="by keyboard").exists()


def test_the_audit_is_verified(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    go(page, "a", "Audit")
    tab_to(page, lambda name: name == "Verify the chain")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict .notice-works")).to_contain_text("every one as it was written")


def test_the_palette_finds_things_by_what_people_know_of_them(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    member = membership_of(world.member, world.organization)
    assert member is not None
    for text, found, address in (
        ("grace@example", "Grace Hopper", f"/members/{member.id}"),
        ("compilers", "compilers", f"/teams/{world.teams['compilers'].id}"),
        (world.member_key.prefix, world.member_key.prefix, f"/keys/{world.member_key.id}"),
        (world.served_exchange, world.served_exchange, f"/exchanges/{world.served_exchange}"),
    ):
        jump(page, text, found)
        page.wait_for_url(re.compile(re.escape(address)))


def test_what_was_refused_is_not_left_unasked(visitor: SignIn, console_url: str, world: World) -> None:
    """A form that came back with errors holds what nobody has saved."""
    page = visitor(world.admin)
    page.goto(f"{console_url}/members/new")
    asks = "() => !window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(asks) is False
    tab_to(page, lambda name: name.startswith("E-mail"))
    page.keyboard.type("nobody")
    assert page.evaluate(asks) is True
    page.keyboard.press("Enter")
    expect(page.locator(".field-error").first).to_be_visible()
    assert page.evaluate(asks) is True
