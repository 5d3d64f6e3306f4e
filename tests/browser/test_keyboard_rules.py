"""Rules and budgets with the keyboard alone."""

import re

import pytest
from playwright.sync_api import expect

from control_plane.budgets.models import Budget, BudgetRequest
from tests.browser.conftest import SignIn
from tests.browser.test_keyboard import tab_to
from tests.browser.test_keyboard_governance import go
from tests.browser.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db, pytest.mark.timeout(300)]


def test_a_budget_is_made_changed_and_deleted(visitor: SignIn, world: World) -> None:
    page = visitor(world.admin)
    go(page, "x", "Rules")
    tab_to(page, lambda name: name == "Add rule")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Add a rule")).to_be_visible()
    tab_to(page, lambda name: "How much may be spent" in name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Budget", exact=True)).to_be_visible()
    tab_to(page, lambda name: name.startswith("At most"))
    page.keyboard.type("25")
    expect(page.locator(".rule-side")).to_contain_text("$25.00 a day")
    # One stage more, and away again.
    tab_to(page, lambda name: name == "Add a stage")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(3)
    page.keyboard.type("90")
    tab_to(page, lambda name: name == "Take this stage away")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(2)
    tab_to(page, lambda name: name == "Add somebody")
    page.keyboard.type("platform")
    expect(page.locator("textarea[name=subjects]")).to_have_value("team:platform")
    tab_to(page, lambda name: name == "Name")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("by-keyboard"))).to_be_visible()
    made = Budget.objects.get(organization=world.organization, name="by-keyboard")
    assert (made.limit_nano_usd, made.mode, len(made.stages)) == (25_000_000_000, "shadow", 2)

    tab_to(page, lambda name: name == "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Delete by-keyboard")).to_be_visible()
    tab_to(page, lambda name: name.startswith("Reason"))
    page.keyboard.type("a test of the keyboard")
    tab_to(page, lambda name: name.startswith("Type by-keyboard"))
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("by-keyboard is deleted")
    assert not Budget.objects.filter(id=made.id).exists()


def test_more_is_asked_for_and_taken_back(visitor: SignIn, world: World) -> None:
    page = visitor(world.member)
    go(page, "u", "My usage")
    tab_to(page, lambda name: name == "Request more")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Request more")).to_be_visible()
    tab_to(page, lambda name: name.startswith("How much more"))
    page.keyboard.type("2.50")
    tab_to(page, lambda name: name.startswith("What it is for"))
    page.keyboard.type("the release")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nobody has decided yet")).to_be_visible()
    tab_to(page, lambda name: name == "Take it back")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Requests for more")).to_be_visible()
    newest = BudgetRequest.objects.filter(requester=world.member).order_by("-created_at").first()
    assert newest is not None
    assert (newest.amount_nano_usd, newest.state) == (2_500_000_000, "withdrawn")
