"""axe finds nothing, on any page, in either theme; and no page asks another host or logs an error."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize

from control_plane.accounts.models import User
from tests.browser.chromium import DESKTOP, PHONE, sign_in, visit
from tests.browser.places import Spot, admin_spots, first_run_spots, guarded_spots, member_spots, public_spots
from tests.browser.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")

PARTS = 10
"""The admin's many pages are split, so that no single test takes minutes."""


def violations(page: Page) -> list[str]:
    """Everything axe knows in the light theme; in the dark one what may differ: the contrast of colours."""
    page.evaluate(AXE)  # as a string of its own: the page's policy allows no inline script
    found: list[str] = []
    for theme, rules in (("light", None), ("dark", ["color-contrast"])):
        # The attribute that a person's profile sets; it takes effect at once.
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        answer: dict[str, Any] = page.evaluate(
            "(rules) => axe.run(document, {resultTypes: ['violations'], ...(rules ? {runOnly: rules} : {})})", rules
        )
        found.extend(
            f"{page.url} ({theme}): {one['id']}: {one['help']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for one in answer["violations"]
            for node in one["nodes"]
        )
    return found


def problems_of(
    browser: Browser, url: str, user: User | None, spots: tuple[Spot, ...], size: ViewportSize, code: str = ""
) -> list[str]:
    """What axe, the browser's log and the network say of pages. user None: somebody who is not signed in."""
    problems: list[str] = []
    context = browser.new_context(viewport=size, reduced_motion="reduce")
    page = context.new_page() if user is None else sign_in(context, url, user.email, PASSWORD, code)
    page.on("console", lambda message: problems.extend(_complaints(message)))
    page.on("pageerror", lambda failure: problems.append(str(failure)))
    page.on("request", lambda request: problems.extend(_foreign(request, url)))
    for spot in spots:
        visit(page, url, spot)
        problems.extend(violations(page))
        if page.evaluate("document.body.scrollWidth > document.documentElement.clientWidth"):
            problems.append(f"{spot.name} is wider than the screen")
    context.close()
    return problems


def _complaints(message: ConsoleMessage) -> list[str]:
    """Pages that are not there, and forms that were refused, are so on purpose; the browser logs their status."""
    is_meant = "404" in message.text or "422" in message.text
    return [message.text] if message.type == "error" and not is_meant else []


def _foreign(request: Request, own_url: str) -> list[str]:
    host = urlsplit(request.url).netloc
    return [] if host in (urlsplit(own_url).netloc, "") else [f"asks {request.url}"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_an_admins_pages_have_no_violation(browser: Browser, console_url: str, world: World, part: int) -> None:
    assert problems_of(browser, console_url, world.admin, admin_spots(world)[part::PARTS], DESKTOP) == []


@pytest.mark.timeout(300)
def test_a_members_pages_have_no_violation_on_a_phone(browser: Browser, console_url: str, world: World) -> None:
    assert problems_of(browser, console_url, world.member, member_spots(world), PHONE) == []


@pytest.mark.timeout(300)
def test_an_admins_pages_fit_a_phone(browser: Browser, console_url: str, world: World) -> None:
    """Nothing is wider than a phone's screen; axe judges the same pages on a wide one."""
    context = browser.new_context(viewport=PHONE, reduced_motion="reduce")
    page = sign_in(context, console_url, world.admin.email, PASSWORD)
    wide: list[str] = []
    for spot in admin_spots(world):
        if spot.opens:
            continue
        visit(page, console_url, spot)
        if page.evaluate("document.body.scrollWidth > document.documentElement.clientWidth"):
            wide.append(spot.name)
    context.close()
    assert wide == []


@pytest.mark.timeout(300)
def test_the_first_run_has_no_violation(browser: Browser, console_url: str, world: World) -> None:
    first = User.objects.get(email="first@example.com")
    assert problems_of(browser, console_url, first, first_run_spots(), DESKTOP) == []


def test_the_pages_of_a_second_factor_have_no_violation(browser: Browser, console_url: str, world: World) -> None:
    guarded, code = world.governance.guarded, world.governance.recovery_codes.pop()
    assert problems_of(browser, console_url, guarded, guarded_spots(), DESKTOP, code) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["wide", "phone"])
def test_the_sign_in_has_no_violation(browser: Browser, console_url: str, world: World, size: ViewportSize) -> None:
    assert problems_of(browser, console_url, None, public_spots(world), size) == []
