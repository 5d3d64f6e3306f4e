"""A first visit stays light, and nothing moves once it is drawn."""

import gzip

import pytest
from playwright.sync_api import Browser, Response

from tests.browser.chromium import DESKTOP, sign_in
from tests.browser.world import PASSWORD, World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
MOST_BYTES = 150 * 1024
COMPRESSIBLE = ("text/", "javascript", "json", "svg")


def on_the_wire(response: Response) -> int:
    """Bytes as they travel behind a proxy that compresses text; fonts are compressed already."""
    body = response.body()
    kind = response.headers.get("content-type", "")
    return len(gzip.compress(body)) if any(part in kind for part in COMPRESSIBLE) else len(body)


def test_the_overview_with_its_chart_is_below_150_kb(browser: Browser, console_url: str, world: World) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = sign_in(context, console_url, world.admin.email, PASSWORD)
    fresh = browser.new_context(viewport=DESKTOP, storage_state=context.storage_state())
    page = fresh.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(console_url + "/", wait_until="networkidle")
    assert sum(on_the_wire(answer) for answer in answers if answer.ok) < MOST_BYTES
    fresh.close()
    context.close()


@pytest.mark.parametrize("path", ["/", "/spend", "/exchanges", "/my/usage"])
def test_nothing_moves_after_it_was_drawn(browser: Browser, console_url: str, world: World, path: str) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = sign_in(context, console_url, world.admin.email, PASSWORD)
    page.add_init_script(
        "window.shifted = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries())"
        " if (!entry.hadRecentInput) window.shifted += entry.value; }).observe({type: 'layout-shift', buffered: true});"
    )
    page.goto(console_url + path, wait_until="networkidle")
    assert page.evaluate("window.shifted") < 0.02
    context.close()
