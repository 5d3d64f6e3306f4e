"""What an organization says of its refusals: where more is asked for, and 429 where it counts these."""

import json
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec import structs

from data_plane.exchange.denying import refusal_of
from data_plane.policy.grant import Denial, Refused
from switchyard_contract.counters import BudgetNumbers, Verdict
from switchyard_contract.reason import Reason
from tests.builders.rules import alert, block
from tests.data_plane.counters.builders import a_rate, an_ask, claims_of
from tests.data_plane.exchange.fakes import FakeClient, World, answer_about
from tests.data_plane.exchange.test_rules import ASKED, a_budget, a_world, denying, serve

SPENT = (BudgetNumbers(True, True, 1_000_000, 0, 0, 0),)
CONSOLE = "https://console.example.com"


async def refused(world: World, *headers: tuple[bytes, bytes]) -> tuple[FakeClient, str]:
    world.counters.answers.append(denying(Refused.BUDGET, 0, budgets=SPENT))
    client = await serve(world, ASKED.replace(b"{", b'{"max_tokens": 10, ', 1), *headers)
    return client, str(json.loads(client.received)["error"]["message"])


def one_budget(**wishes: Any) -> dict[str, Any]:
    return {"budgets": [a_budget(**wishes)]}


async def test_a_spent_budget_says_where_to_ask_for_more_of_its_counter() -> None:
    world = a_world(console_url=CONSOLE, **one_budget(per=["session"]))
    client, message = await refused(world, (b"x-switchyard-session", b"s/1"))

    assert "The budget “daily” is spent: $1.00 of $1.00 a day" in message
    [url] = [word.rstrip(".") for word in message.split() if word.startswith(CONSOLE)]
    parts = urlsplit(url)
    assert uuid.UUID(parts.path.split("/")[2]).hex == uuid.uuid5(uuid.NAMESPACE_OID, "daily").hex
    decision = client.headers[b"x-switchyard-decision"].decode()
    assert parse_qs(parts.query) == {"counter": ["s%2F1"], "decision": [decision]}
    assert f"(decision {decision})" in message


@pytest.mark.parametrize(("posted", "tells"), [(1_000_000, True), (500_000, True), (499_999, False)])
async def test_nobody_is_called_told_before_the_line_at_which_they_are(posted: int, tells: bool) -> None:
    world = a_world(**one_budget(stages=[alert(50, "team lead"), block()]))
    numbers = (BudgetNumbers(True, True, posted, 0, 1_000_000, 0),)
    world.counters.answers.append(denying(Refused.BUDGET, 0, budgets=numbers))
    client = await serve(world, ASKED.replace(b"{", b'{"max_tokens": 10, ', 1))

    message = str(json.loads(client.received)["error"]["message"])
    assert ("Told already: team lead." in message) is tells


async def test_without_a_console_nobody_is_sent_there() -> None:
    _, message = await refused(a_world(**one_budget()))

    assert "Ask finance@example.com." in message
    assert "http" not in message


@pytest.mark.parametrize(("budget_status", "status"), [("", 402), ("auto", 402), ("429", 429)])
async def test_an_organization_may_count_spent_budgets_as_429(budget_status: str, status: int) -> None:
    world = a_world(budget_status=budget_status, **one_budget())
    client, _ = await refused(world)

    assert client.status == status
    assert client.headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in client.headers
    assert world.usage.finals[0].client_status == status


@pytest.mark.parametrize(
    ("reason", "retry_after_ms", "retry_after_s"),
    [
        (Reason.RATE_LIMITED, 1_500, 2),
        (Reason.CONCURRENCY_LIMITED, 1, 1),
        (Reason.RATE_LIMITED, -1, None),
        (Reason.RATE_LIMITED, None, None),
        (Reason.SESSION_CAP, 1_500, None),
        (Reason.RETRY_CAP, 1_500, None),
    ],
)
def test_only_a_no_that_passes_says_when(reason: Reason, retry_after_ms: int | None, retry_after_s: int | None) -> None:
    claim = structs.replace(a_rate(), reason=reason)
    ask = an_ask()
    numbers = answer_about(claims_of(claim), ask, verdict=Verdict.DENIED, index=0)
    refusal = refusal_of(Denial(Refused.RATE, claim, retry_after_ms, b"", numbers), ask)
    assert (refusal.reason, refusal.retry_after_s) == (reason, retry_after_s)
    assert refusal.numbers is not None
