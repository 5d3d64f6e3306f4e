"""axe finds nothing, on any page, in either theme; and no page asks another host or logs an error."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize

from control_plane.accounts.models import User
from tests.browser.chromium import DESKTOP, PHONE, sign_in, visit
from tests.browser.places import Spot, admin_spots, member_spots
from tests.browser.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")

PARTS = 6
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


def problems_of(browser: Browser, url: str, user: User, spots: tuple[Spot, ...], size: ViewportSize) -> list[str]:
    """What axe, the browser's log and the network say of pages."""
    problems: list[str] = []
    context = browser.new_context(viewport=size, reduced_motion="reduce")
    page = sign_in(context, url, user.email, PASSWORD)
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
    """The page that is not there on purpose answers 404, which the browser logs."""
    return [message.text] if message.type == "error" and "404" not in message.text else []


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


def test_the_first_run_and_the_sign_in_have_no_violation(browser: Browser, console_url: str, world: World) -> None:
    first = User.objects.get(email="first@example.com")
    spots = tuple(Spot(path, path) for path in ("/", "/my/keys", "/exchanges", "/providers", "/fleet", "/teams"))
    assert problems_of(browser, console_url, first, spots, DESKTOP) == []
    page = browser.new_page(reduced_motion="reduce")
    page.goto(console_url + "/sign-in")
    assert violations(page) == []
    page.close()
