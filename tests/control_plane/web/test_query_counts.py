"""Pages and lists cost the same whether there are twenty of everything or hundreds.

Two things are counted for every page of the console and every list of the REST API: queries, and rows that a query
brings. Neither may grow with the organization: names are looked up for what is shown, and nothing reads a whole table.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from control_plane.credentials.models import Provider
from tests.load.crowd import Crowd, a_crowd, crowd_grow
from tests.load.crowd_pages import lists, pages

FEW, MANY = 20, 400
MOST_QUERIES = 25
MORE_FOR = {"/": 8}
"""The overview answers of everything at once: today, the month, budgets, findings, failures, the fleet."""
MOST_ROWS = 300
"""More than a page shows (50), a list gives (200) or a chart draws (31 days of nine groups); fewer than MANY."""
MORE_QUERIES = 3
"""Names of one more kind of owner, the sum of what a table leaves out, what comes with rows where none were found."""
POINTS = {"/api/v1/usage": 504}
"""What a page of points holds, the one that tells whether there is a next page, and what else its last hour has."""
MAKES_A_WHOLE = {
    "/policy-code",
    "/policy-code/download",
    "/policy-code/compare",
    "/audit/verify",
    "/api/v1/models",
    "/models/own/new",
    "/models/list/<number>",
    "/statements",
    "/statements/<month>",
    "/statements/<month>/close",
}
"""What these show is made of everything there is: a policy as one file, a chain from its beginning, the shipped
catalogue and what it added, which is no organization's, and a month's account of every team."""
CHOOSES_FROM_ALL = {"/keys/new", "/keys/new/sentence", "/service-accounts/new", "/service-accounts/<id>/edit"}
"""A form's choice of one team: all teams by name, and nothing else. Whoever adds to this reads a whole table."""


@dataclass(slots=True)
class Reading:
    """What an answer took. rows: of the query that brought most."""

    queries: int = 0
    rows: int = 0
    widest: str = ""


@contextmanager
def reading() -> Iterator[Reading]:
    seen = Reading()

    def count(execute: Callable[..., Any], sql: object, params: Any, many: bool, context: dict[str, Any]) -> Any:
        answer = execute(sql, params, many, context)
        seen.queries += 1
        cursor = context["cursor"]
        # A statement that brings rows describes them; one that changes some only counts them.
        if cursor.description is not None and cursor.rowcount > seen.rows:
            seen.rows, seen.widest = cursor.rowcount, str(sql)
        return answer

    with connection.execute_wrapper(count):
        yield seen


def read_all(client: Client, addresses: Iterable[str]) -> dict[str, Reading]:
    found = {}
    for address in addresses:
        with reading() as seen:
            answer = client.get(address)
            if answer.streaming:
                b"".join(answer.streaming_content)  # type: ignore[arg-type]  # a synchronous answer
        assert answer.status_code < 500, address
        found[address] = seen
    return found


@pytest.fixture
def crowd(db: None, engines: object) -> Crowd:
    return a_crowd(teams=FEW, users=FEW, keys=FEW, exchanges=3 * FEW)


@pytest.mark.timeout(600)  # two hundred pages, on a machine that may be busy
def test_neither_queries_nor_rows_grow_with_the_organization(crowd: Crowd) -> None:
    client = Client()
    client.force_login(crowd.owner)
    addresses = (*pages(), *lists())
    few = read_all(client, addresses)
    provider = Provider.objects.get(organization=crowd.organization)
    crowd_grow(crowd.organization, provider, teams=MANY, users=MANY, keys=MANY, exchanges=3 * MANY, first=1000)

    many = read_all(client, addresses)

    problems = []
    for address, seen in many.items():
        most = MOST_QUERIES + MORE_FOR.get(address, 0)
        if seen.queries > few[address].queries + MORE_QUERIES or seen.queries > most:
            problems.append(f"{address}: {few[address].queries} queries, then {seen.queries}")
        page = re.sub("[0-9a-f-]{36}", "<id>", address.partition("?")[0])
        page = re.sub("/[0-9]+$", "/<number>", re.sub("[0-9]{4}-[0-9]{2}", "<month>", page))
        if seen.rows > POINTS.get(page, MOST_ROWS) and page not in MAKES_A_WHOLE | CHOOSES_FROM_ALL:
            problems.append(f"{address}: {seen.rows} rows by {seen.widest[:300]}")
    assert not problems, "\n".join(problems)
