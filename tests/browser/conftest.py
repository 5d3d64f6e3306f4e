"""One organization, one server and one Chromium for all browser tests of a process."""

import os
from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from control_plane.accounts.models import User
from tests.browser.chromium import DESKTOP, chromium, sign_in
from tests.browser.world import PASSWORD, World, a_bare_organization, a_world

SignIn = Callable[..., Page]


@pytest.fixture(scope="package")
def console_server(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[World, str]]:
    """A console with a month of data in it, left behind empty."""
    with django_db_blocker.unblock():
        # Playwright's loop runs in the thread of the tests, which is all that Django's check sees.
        before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        world = a_world(exchanges_a_day=8)
        a_bare_organization()
        server = LiveServer("127.0.0.1")
        yield world, server.url
        server.stop()
        call_command("flush", verbosity=0, interactive=False)
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="package")
def world(console_server: tuple[World, str]) -> World:
    return console_server[0]


@pytest.fixture(scope="package")
def console_url(console_server: tuple[World, str]) -> str:
    return console_server[1]


@pytest.fixture(scope="package")
def browser(console_server: tuple[World, str]) -> Iterator[Browser]:
    with chromium() as started:
        yield started
        # Django keeps what was opened beside Playwright's loop apart from what was opened before it.
        connection.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.fixture
def visitor(context: BrowserContext, console_url: str) -> SignIn:
    def signed_in(user: User) -> Page:
        return sign_in(context, console_url, user.email, PASSWORD)

    return signed_in
