"""Every flow that matters, with the keyboard alone: the mouse is never used here."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from control_plane.accounts.models import User
from control_plane.keys.models import VirtualKey
from switchyard_contract.virtual_key import KEY_PATTERN, read
from tests.browser.chromium import DESKTOP
from tests.browser.conftest import SignIn
from tests.browser.world import MEMBER, PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
MOST_TABS = 60


def tab_to(page: Page, is_there: Callable[[str], bool]) -> None:
    """Press tab until what has the focus is what is looked for; by its name, as a screen reader says it."""
    said: list[str] = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return (e.labels?.[0]?.innerText || e.getAttribute('aria-label') || e.innerText || '').trim(); })()"
        )
        said.append(name)
        if is_there(name):
            return
    raise AssertionError(f"never reached; passed {said}")


def test_sign_in_mint_copy_and_revoke_a_key(browser: Browser, console_url: str, world: World) -> None:
    context: BrowserContext = browser.new_context(
        viewport=DESKTOP, permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(console_url + "/sign-in")
    expect(page.get_by_label("E-mail")).to_be_focused()
    page.keyboard.type(MEMBER)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    page.keyboard.press("g")
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="My keys")).to_be_visible()
    tab_to(page, lambda name: name == "Mint key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Mint a key")).to_be_visible()
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("keyboard only")
    tab_to(page, lambda name: name.startswith("Charged to"))
    page.keyboard.type("compilers")
    page.keyboard.press("Enter")
    if page.get_by_role("dialog", name="Mint a key").is_visible():
        tab_to(page, lambda name: name == "Mint key")
        page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="keyboard only")).to_be_visible()
    expect(page.get_by_text("Waiting for the first request")).to_be_visible()
    tab_to(page, lambda name: name == "Copy key")
    page.keyboard.press("Enter")
    expect(page.locator("[data-copy].is-done")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    token = read(copied)
    assert token is not None
    key = VirtualKey.objects.get(key_id=token.id)
    assert (key.name, key.team.name) == ("keyboard only", "compilers")
    assert page.url == f"{console_url}/keys/{key.id}"

    tab_to(page, lambda name: name == "I stored it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The key itself is no longer known here")).to_be_visible()
    assert not KEY_PATTERN.search(page.content())

    tab_to(page, lambda name: name == "Revoke")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Revoke keyboard only")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Revoke key")).to_be_disabled()
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("a test")
    tab_to(page, lambda name: name.startswith("Type keyboard only"))
    page.keyboard.type("keyboard only")
    expect(dialog.get_by_role("button", name="Revoke key")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Every pod refuses it within a second")).to_be_visible()
    key.refresh_from_db()
    assert key.is_revoked
    assert key.revoke_reason == "a test"
    context.close()


def test_the_palette_jumps_and_opens_sheets(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    page.keyboard.press("Control+k")
    expect(page.locator("#palette input")).to_be_focused()
    page.keyboard.type("grace")
    expect(page.locator("#palette .palette-item[aria-selected=true]")).to_contain_text("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("add a team")
    expect(page.locator("#palette .palette-item[aria-selected=true]")).to_contain_text("Add a team")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Add a team")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Add a team")).to_be_hidden()


def test_rows_are_walked_and_opened(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.admin)
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url(console_url + "/exchanges")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/exchanges/[0-9A-Z]{26}$"))
    page.keyboard.press("Escape")
    page.wait_for_url(console_url + "/exchanges")


def test_slash_searches_and_the_address_follows(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/keys")
    page.keyboard.press("/")
    expect(page.locator("[data-search]")).to_be_focused()
    page.keyboard.type("nightly")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.wait_for_url(re.compile(r"/keys\?q=nightly"))
    expect(page.locator("[data-search]")).to_be_focused()
    expect(page.locator(".chip")).to_contain_text("nightly")


def test_question_mark_shows_the_shortcuts(visitor: SignIn, world: World) -> None:
    page = visitor(world.member)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    expect(page.locator("#shortcuts")).not_to_contain_text("Providers")


def test_tools_are_chosen_with_the_arrows_and_stay_in_the_address(
    visitor: SignIn, world: World, console_url: str
) -> None:
    page = visitor(world.member)
    page.goto(f"{console_url}/keys/{world.member_key.id}")
    page.get_by_role("tab", name="Claude Code", exact=True).focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_role("tabpanel", name="Codex CLI")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Claude Code", exact=True)).to_be_hidden()
    assert page.url.endswith("?tool=codex-cli")
    page.reload()
    expect(page.get_by_role("tabpanel", name="Codex CLI")).to_be_visible()


def test_the_theme_switches_at_once_and_stays(visitor: SignIn, world: World) -> None:
    alan = User.objects.get(email="alan@example.com")
    page = visitor(alan)
    tab_to(page, lambda name: name == "Switch between light and dark")
    with page.expect_response(re.compile("/profile/theme$")):
        page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    alan.refresh_from_db()
    assert alan.theme == "dark"


def test_what_was_typed_is_asked_about_before_it_is_lost(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.get_by_role("heading", name="Teams")).to_be_visible()
    tab_to(page, lambda name: name == "Add team")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Add a team")
    expect(dialog).to_be_visible()
    page.keyboard.type("half a name")
    asked: list[str] = []

    def stay(question: Dialog) -> None:
        asked.append(question.message)
        question.dismiss()

    page.once("dialog", stay)
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    assert asked == ["Leave without saving what you typed?"]
    page.once("dialog", lambda question: question.accept())
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
