"""Somebody whose browser lives by another clock than their profile says so is told, and needs one click."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chromium import DESKTOP, sign_in
from tests.browser.test_accessibility import violations
from tests.browser.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def test_the_browsers_own_zone_is_offered(browser: Browser, console_url: str, world: World) -> None:
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce", timezone_id="Asia/Tokyo")
    try:
        page = sign_in(context, console_url, world.admin.email, PASSWORD)
        page.goto(console_url + "/")
        expect(page.locator("main")).to_contain_text("Europe/Berlin. This browser is in Asia/Tokyo.")

        page.locator("[data-zone]").click()
        offer = page.get_by_role("button", name="Use Asia/Tokyo, as this browser does")
        offer.focus()
        page.keyboard.press("Enter")
        zone = page.get_by_label("Time zone")
        expect(zone).to_have_value("Asia/Tokyo")
        expect(zone).to_be_focused()
        expect(offer).to_be_hidden()
        expect(page.get_by_text("Nothing changed")).to_be_hidden()
        assert violations(page) == []
    finally:
        context.close()
