"""Debian's Chromium through Playwright, and how a page is brought to rest before it is judged."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.browser.places import Spot

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
)
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


class ChromiumMissing(RuntimeError):
    """Says how to install it. A run without a browser fails; it does not skip."""


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        raise ChromiumMissing("Chromium is not installed: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def sign_in(context: BrowserContext, base_url: str, email: str, password: str) -> Page:
    page = context.new_page()
    page.goto(f"{base_url}/sign-in")
    page.fill("input[name=email]", email)
    if not page.locator("input[name=password]").is_visible():
        # Where single sign-on is used, the e-mail comes first.
        page.click("button[type=submit]")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{base_url}/")
    return page


def visit(page: Page, base_url: str, spot: Spot) -> None:
    """Open a page and wait until nothing moves: fonts, charts, sheets."""
    page.goto(base_url + spot.path, wait_until="load")
    page.evaluate("document.fonts.ready")
    if page.locator("[data-chart]").count():
        page.wait_for_selector("[data-chart] canvas")
    match spot.opens:
        case "":
            return
        case "palette":
            page.keyboard.press("Control+k")
            page.wait_for_selector("#palette .palette-item")
        case "shortcuts":
            page.keyboard.press("?")
            page.wait_for_selector("#shortcuts[open]")
        case "mint":
            page.fill("input[name=name]", "new laptop")
            page.click("main button[type=submit]")
            page.wait_for_selector("#minted-key")
        case selector:
            page.click(selector)
            page.wait_for_selector("#sheet-dialog[open] form")
