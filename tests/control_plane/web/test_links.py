"""No page of the console leads to what is not there, or not allowed, for the role that sees it."""

from collections import deque
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.test import Client

from control_plane.accounts.models import User
from control_plane.catalog.services import list_prices_load
from control_plane.declarative.tasks import sweep
from control_plane.organizations.models import Role
from control_plane.organizations.services import team_update
from tests.control_plane.api.world import ACTOR, Tenant, a_person, a_tenant, book_usage

START = "/"
LEADS_OUT = ("/sign-out", "/api/")
"""Ends the session, or is no page."""
MOST_OF_ONE_PATH = 2
"""A path with other parameters is the same page."""
MOST_OF_ONE_KIND = 3
"""Pages that differ by an id alone, such as rows of a list."""


class Links(HTMLParser):
    """What a page lets one open: links, and what it fetches by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        # Forms are not sent: what they ask for depends on what is filled in.
        names = ("href",) if tag == "a" else ()
        for name in (*names, "hx-get", "data-fetch"):
            if given.get(name):
                self.found.append(str(given[name]))


def links_of(answer_text: str, path: str) -> list[str]:
    reader = Links()
    reader.feed(answer_text)
    whole = (urldefrag(urljoin(path, link)).url for link in reader.found)
    return [link for link in whole if link.startswith("/") and not link.startswith(LEADS_OUT)]


def kind_of(path: str) -> str:
    """A path without its ids and names: those of one kind read alike."""
    return "/".join("*" if any(char.isdigit() for char in part) else part for part in path.split("/"))


@pytest.fixture
def acme(db: None, engines: object) -> Tenant:
    list_prices_load(actor=ACTOR)
    acme = a_tenant("acme")
    book_usage(acme)
    sweep()
    return acme


def person_of(acme: Tenant, role: Role) -> User:
    person = acme.owner if role is Role.OWNER else a_person(acme, role)
    if role is Role.TEAM_LEAD:
        team_update(team=acme.team, lead=person, actor=ACTOR)
    return person


@pytest.mark.parametrize("role", Role)
def test_every_link_opens_for_the_role_that_sees_it(acme: Tenant, role: Role) -> None:
    client = Client()
    client.force_login(person_of(acme, role))
    waiting, asked = deque([(START, "")]), {START}
    paths: dict[str, int] = {}
    kinds: dict[str, int] = {}
    broken = []
    while waiting:
        link, seen_on = waiting.popleft()
        answer = client.get(link)
        if answer.status_code in (403, 404) or answer.status_code >= 500:
            broken.append(f"{link} ({answer.status_code}), seen on {seen_on}")
            continue
        if "text/html" not in answer.headers.get("Content-Type", ""):
            continue
        path = urlsplit(link).path
        onward = [answer.headers["Location"]] if answer.status_code in (301, 302) else []
        for found in [*onward, *links_of(answer.content.decode(), path)]:
            where = urlsplit(found).path
            if found in asked or paths.get(where, 0) >= MOST_OF_ONE_PATH or not found.startswith("/"):
                continue
            if where not in paths and kinds.get(kind_of(where), 0) >= MOST_OF_ONE_KIND:
                continue
            if where not in paths:
                kinds[kind_of(where)] = kinds.get(kind_of(where), 0) + 1
            paths[where] = paths.get(where, 0) + 1
            asked.add(found)
            waiting.append((found, path))
    assert broken == []
    assert len(paths) > 8, sorted(paths)
