"""What the pages of keys do in the browser: the live sentence, notices, undo, the guard, several at once, roll-out."""

import re

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from control_plane.keys.models import VirtualKey
from tests.browser.chromium import DESKTOP
from tests.browser.conftest import SignIn
from tests.browser.places import member_spots
from tests.browser.test_accessibility import problems_of
from tests.browser.test_keyboard import tab_to
from tests.browser.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
OURS = re.compile("key|notices|rollout")


@pytest.mark.timeout(300)
def test_a_members_pages_have_no_violation_on_a_desk(browser: Browser, console_url: str, world: World) -> None:
    """Those of admins, and members' on a phone, are looked at with all others (test_accessibility)."""
    spots = tuple(spot for spot in member_spots(world) if OURS.search(spot.name))
    assert spots
    assert problems_of(browser, console_url, world.member, spots, DESKTOP) == []


def test_the_sentence_follows_the_keyboard(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.member)
    page.goto(console_url + "/my/keys/new")
    expect(page.locator(".sentence")).to_contain_text("Works with every tool")
    tab_to(page, lambda name: name.startswith("Narrow it"))
    page.keyboard.press("Enter")
    tab_to(page, lambda name: name.startswith("Claude (Anthropic"))
    page.keyboard.press("Space")
    expect(page.locator(".sentence")).to_contain_text("Works with Claude, from anywhere")


def test_what_was_typed_is_asked_about_before_it_is_lost(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.member)
    page.goto(console_url + "/my/keys")
    page.get_by_role("link", name="Mint key").click()
    sheet = page.locator("#sheet-dialog")
    expect(sheet).to_be_visible()
    asked: list[str] = []
    answers = iter((False, True))

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if next(answers):
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    page.get_by_label("Name").fill("half a name")
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()
    assert len(asked) == 2


def test_a_name_is_changed_and_taken_back(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.member)
    key = world.member_key
    page.goto(f"{console_url}/keys/{key.id}/edit")
    page.get_by_label("Name").fill("renamed")
    expect(page.get_by_role("region", name="What changes")).to_contain_text("renamed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("renamed")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("laptop")
    key.refresh_from_db()
    assert key.name == "laptop"


def test_a_notice_is_put_away_with_the_keyboard(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.member)
    bell = page.locator("#bell summary")
    before = int(bell.inner_text())
    tab_to(page, lambda name: name.endswith((" notice", " notices")))
    page.keyboard.press("Enter")
    tab_to(page, lambda name: name.startswith("Put away: travel laptop"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Put away: travel laptop")).to_have_count(0)
    expect(bell).to_have_text(str(before - 1) if before > 1 else "")


def test_rows_are_chosen_and_asked_about(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/keys?state=ending")
    expect(page.get_by_role("button", name="Revoke")).to_be_hidden()
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("[data-bulk-count]")).to_contain_text("on this page chosen")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    button = page.get_by_role("button", name=re.compile("^Revoke"))
    expect(button).to_be_disabled()
    number = VirtualKey.objects.filter(id__in=chosen(page)).count()
    page.get_by_label(re.compile("Type how many")).fill(str(number))
    expect(button).to_be_enabled()


def chosen(page: Page) -> list[str]:
    return page.locator("input[name=ids]").input_value().split(",")


def test_a_file_of_the_roll_out_is_downloaded(visitor: SignIn, world: World, console_url: str) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/roll-out?tool=codex&format=linux")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download config.toml").click()
    assert download.value.suggested_filename == "config.toml"
    assert 'model_provider = "switchyard"' in download.value.path().read_text()
