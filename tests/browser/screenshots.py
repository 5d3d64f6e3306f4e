"""Pictures of every page: light and dark, 1,440 and 390 pixels wide, full, empty and, dashboards, with one
day of data. `make screenshots`.

    python -m tests.browser.screenshots [part of a page's name …]

Writes screenshots/<width>-<theme>/<page>.png, and prints what the console said in the browser's log.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from tests.environment import TestPlaces, choose_places, install

FOLDER = Path(__file__).resolve().parents[2] / "screenshots"
WHOLE_PAGES = ("", "mint", "empty", "verify")
"""What is opened in these stays within the page; what else is opened lies above it."""
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main(wanted: list[str]) -> None:
    places = choose_places()
    install(places)
    with engines(places):
        _draw(wanted)


@contextmanager
def engines(places: TestPlaces, kept_home: Path | None = None) -> Iterator[None]:
    """Run the engines below a folder that goes away with them, or in one that is kept."""
    from deploy.local.engines import Engine, Engines
    from deploy.local.postgresql import Postgresql
    from deploy.local.valkey import Valkey

    passwords = places.installation.passwords
    with ExitStack() as stack:
        home = kept_home or Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        engines: list[Engine] = [
            Postgresql(home, home / "postgresql.log", places.postgresql_port, passwords["postgresql"], durable=False),
            Valkey("broker", home, home / "broker.log", places.broker_port, passwords["broker"]),
            Valkey("counters", home, home / "counters.log", places.counters_port, passwords["counters"]),
        ]
        stack.enter_context(Engines(engines))
        yield


def _draw(wanted: list[str]) -> None:
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "control_plane.project.settings.test"
    import django

    django.setup()
    from django.core.management import call_command
    from pytest_django.live_server_helper import LiveServer

    call_command("migrate", verbosity=0)
    from django.utils import timezone

    from control_plane.fleet.models import Pod
    from tests.browser.chromium import DESKTOP, PHONE, chromium, sign_in, visit
    from tests.browser.governance import GUARDED
    from tests.browser.one_day import ADMIN as FIRST_DAY
    from tests.browser.one_day import a_one_day_organization
    from tests.browser.places import (
        admin_spots,
        first_run_spots,
        guarded_spots,
        member_spots,
        one_day_spots,
        public_spots,
    )
    from tests.browser.world import ADMIN, MEMBER, PASSWORD, a_bare_organization, a_world

    world = a_world()
    a_bare_organization()
    day = a_one_day_organization()
    server = LiveServer("127.0.0.1")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop runs in this thread; nothing else is async
    visitors = (
        ("", public_spots(world)),
        (ADMIN, admin_spots(world)),
        (MEMBER, member_spots(world)),
        (GUARDED, guarded_spots()),
        ("first@example.com", first_run_spots()),
        (FIRST_DAY, one_day_spots(day)),
    )
    with chromium() as browser:
        for width, size in (("1440", DESKTOP), ("390", PHONE)):
            for theme in THEMES:
                folder = FOLDER / f"{width}-{theme}"
                folder.mkdir(parents=True, exist_ok=True)
                new_context = partial(browser.new_context, viewport=size, color_scheme=theme, reduced_motion="reduce")
                Pod.objects.filter(disconnected_at__isnull=True).update(last_seen_at=timezone.now())
                for email, spots in visitors:
                    wanted_spots = [spot for spot in spots if not wanted or any(part in spot.name for part in wanted)]
                    if not wanted_spots:
                        continue
                    context = new_context()
                    code = world.governance.recovery_codes.pop() if email == GUARDED else ""
                    page = sign_in(context, server.url, email, PASSWORD, code) if email else context.new_page()
                    page.on("console", lambda message: print(f"  {message.type}: {message.text}"))
                    page.on("pageerror", lambda failure: print(f"  error: {failure}"))
                    for spot in wanted_spots:
                        visit(page, server.url, spot)
                        # The window grows to the page: a full-page picture leaves out what sticks to it.
                        height = max(size["height"], page.evaluate("document.documentElement.scrollHeight"))
                        if spot.opens in WHOLE_PAGES or spot.opens.startswith("plan:"):
                            page.set_viewport_size({"width": size["width"], "height": height})
                        page.screenshot(path=folder / f"{spot.name}.png")
                        page.set_viewport_size(size)
                        wide = page.evaluate("document.body.scrollWidth > document.documentElement.clientWidth")
                        print(f"{width} {theme} {spot.name}{' WIDER THAN THE SCREEN' if wide else ''}")
                    context.close()
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
