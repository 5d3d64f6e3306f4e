"""axe finds nothing on any page, in either theme; none asks another host, logs an error or is wider than a phone."""

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


SHELL = [[".rail"], [".top"], ["#palette"], ["#shortcuts"]]
"""What every page has alike. It is judged where a test begins, and where it stands open; elsewhere only the rest is."""

JUDGE = """async ([theme, options, spared]) => {
  document.documentElement.dataset.theme = theme;  // what a person's profile sets; it takes effect at once
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const {violations} = await axe.run(spared ? {exclude: spared} : document, {resultTypes: ['violations'], ...options});
  return violations;
}"""


def violations(page: Page, *, spares_shell: bool = False) -> list[str]:
    """Everything axe knows in the light theme; in the dark one what may differ: the contrast of colours."""
    page.evaluate(AXE)  # as a string of its own: the page's policy allows no inline script
    found: list[str] = []
    for theme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"], "preload": False})):
        answer: list[dict[str, Any]] = page.evaluate(JUDGE, [theme, options, SHELL if spares_shell else None])
        found.extend(
            f"{page.url} ({theme}): {one['id']}: {one['help']}: {node['target']} {node.get('failureSummary', '')[:300]}"
            for one in answer
            for node in one["nodes"]
        )
    return found


FITS = """async () => {
  const fits = () => document.body.scrollWidth <= document.documentElement.clientWidth;
  const end = performance.now() + 2000;
  while (!fits() && performance.now() < end) await new Promise((done) => requestAnimationFrame(done));
  return fits();
}"""


def is_wide(page: Page) -> bool:
    """Whether there is something to scroll to at the page's side. Charts are drawn anew a moment after a resize."""
    return not page.evaluate(FITS)


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
    for number, spot in enumerate(spots):
        visit(page, url, spot)
        problems.extend(violations(page, spares_shell=number > 0 and not spot.opens))
        if is_wide(page):
            problems.append(f"{spot.name} is wider than the screen")
        if size != PHONE:
            # The same page on a phone: what is served is the same, only its styles and charts follow the width.
            page.set_viewport_size(PHONE)
            if is_wide(page):
                problems.append(f"{spot.name} is wider than a phone")
            page.set_viewport_size(size)
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
def test_an_admins_pages_have_no_violation_and_fit_phones(
    browser: Browser, console_url: str, world: World, part: int
) -> None:
    assert problems_of(browser, console_url, world.admin, admin_spots(world)[part::PARTS], DESKTOP) == []


@pytest.mark.timeout(300)
def test_a_members_pages_have_no_violation_on_a_phone(browser: Browser, console_url: str, world: World) -> None:
    assert problems_of(browser, console_url, world.member, member_spots(world), PHONE) == []


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
