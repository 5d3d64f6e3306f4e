"""Debian's Chromium through Playwright, and how a page is brought to rest before it is judged."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.browser.governance import GUARDED
from tests.browser.places import Spot
from tests.browser.world import PASSWORD

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


def sign_in(context: BrowserContext, base_url: str, email: str, password: str, code: str = "") -> Page:
    """Sign in with a password. code: of the authenticator app, or a recovery code, of who has one."""
    page = context.new_page()
    page.goto(f"{base_url}/sign-in")
    page.fill("input[name=email]", email)
    if not page.locator("input[name=password]").is_visible():
        # Where single sign-on is used, the e-mail comes first.
        page.click("button[type=submit]")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    if code:
        page.fill("input[name=code]", code)
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
        case "notices":
            page.click("#bell summary")
            page.wait_for_selector("#bell details[open]")
        case "mint":
            page.fill("input[name=name]", "new laptop")
            page.click("main button[type=submit]")
            page.wait_for_selector("#minted-key")
        case "empty":
            # Nothing typed, nothing chosen: the page says what is missing. The browser's own checks are past.
            page.evaluate("document.querySelectorAll('main form').forEach((form) => { form.noValidate = true; })")
            page.click("main form:is(.form, .rule-form) button[type=submit]:not([disabled])")
            page.wait_for_selector("main [aria-invalid=true]")
        case "e-mail":
            page.fill("input[name=email]", "somebody@elsewhere.example")
            page.click("button[type=submit]")
            page.wait_for_selector("input[name=password]")
        case "code":
            page.fill("input[name=email]", GUARDED)
            page.click("button[type=submit]")
            page.fill("input[name=password]", PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_selector("input[name=code]")
        case "verify":
            page.get_by_role("button", name="Verify the chain").click()
            page.wait_for_selector("#verdict .notice")
        case opens if opens.startswith("plan:"):
            page.fill("textarea[name=text]", opens.removeprefix("plan:"))
            page.click("main button[type=submit]")
            page.wait_for_selector("#plan-title, #problems-title")
        case selector:
            page.click(selector)
            page.wait_for_selector("#sheet-dialog[open] form")
