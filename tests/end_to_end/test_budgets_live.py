"""Budgets through the whole installation: real requests, the books, who is told, and a counter store that forgets."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis

from switchyard_contract.counters import POSTED, budget_key
from tests.end_to_end.extra_pod import ANTHROPIC, Answer, ask
from tests.end_to_end.stack import Stack, until
from tests.end_to_end.test_revocation import mint_key
from tests.fakes.webhook_receiver import WebhookReceiver, webhook_receiver

__all__ = ["webhook_receiver"]

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

BEHAVIOUR, COST_NANO = "sim-usage-in10000-out10", 30_150_000
"""10,000 x $3/M + 10 x $15/M: about three cents."""


@dataclass(frozen=True, slots=True)
class Spender:
    """A key with a budget of its own."""

    stack: Stack
    key: str
    budget: dict[str, Any]

    def call(self, max_tokens: int = 10) -> Answer:
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": "claude-sonnet-4-6", "max_tokens": max_tokens, "messages": messages}
        headers = {**ANTHROPIC, "authorization": f"Bearer {self.key}", "x-sim-behaviour": BEHAVIOUR}
        return ask(f"{self.stack.gateway_url}/v1/messages", body, headers)

    def standing(self) -> dict[str, Any]:
        found: dict[str, Any] = self.stack.api("GET", f"budgets/{self.budget['id']}/standing")
        return found

    def explained(self, answer: Answer) -> dict[str, Any] | None:
        """What was decided about an exchange; None: it is not booked yet."""
        request = answer.headers["x-switchyard-request-id"]
        if not self.stack.api("GET", f"exchanges?request={request}")["results"]:
            return None
        found: dict[str, Any] = self.stack.api("GET", f"exchanges/{request}/explain")
        return found

    def charged(self) -> dict[str, Any]:
        """Call until the pods know the budget; what was decided about the first exchange that it counts."""

        def probe() -> dict[str, Any] | None:
            answer = self.call()
            assert answer.status == 200, answer.body
            explained = until(lambda: self.explained(answer), 30, "the exchange is not booked")
            return explained if explained["charges"] else None

        return until(probe, 60, "no exchange was charged to the budget")


@dataclass(frozen=True, slots=True)
class Hook:
    """A channel of the installation, and what comes out of it."""

    channel: str
    secret: str
    receiver: WebhookReceiver


@pytest.fixture
def hook(stack: Stack, webhook_receiver: WebhookReceiver) -> Hook:
    name = f"live-{time.monotonic_ns()}"
    made = stack.api("POST", "alert-channels", {"name": name, "type": "webhook", "url": webhook_receiver.url})
    return Hook(name, made["secret"], webhook_receiver)


@pytest.fixture
def spender(stack: Stack, hook: Hook) -> Iterator[Spender]:
    name = f"live-{time.monotonic_ns()}"
    key_id, key = mint_key(stack, name)
    budget = stack.api(
        "POST",
        "budgets",
        {
            "name": name,
            "when": {"subjects": [f"key:{key_id}"]},
            "limit_usd": "10.00",
            "period": "month",
            "per": ["principal"],
            "stages": [{"at": 1, "do": "alert", "notify": [f"channel:{hook.channel}"]}, {"at": 100, "do": "block"}],
            "on_counter_outage": "allow",
        },
    )
    yield Spender(stack, key, budget)
    stack.api("DELETE", f"budgets/{budget['id']}")


def test_real_requests_over_a_line_call_the_webhook_once_and_can_be_explained(spender: Spender, hook: Hook) -> None:
    explained = spender.charged()
    [charge] = explained["charges"]
    assert (charge["budget"], charge["cost_nano_usd"]) == (spender.budget["name"], COST_NANO)
    assert charge["counter_text"] == spender.stack.local["admin_email"]
    [rule] = [each for each in explained["rules"] if each["id"] == spender.budget["id"]]
    assert (rule["verdict"], rule["budget"]["limit_usd"]) == ("allowed", "10.000000000")
    assert explained["candidate"] == "asked"

    for _ in range(5):
        assert spender.call().status == 200
    until(lambda: bool(hook.receiver.calls), 30, "nobody was told")

    def is_booked() -> bool:
        [counter] = spender.standing()["results"]
        return bool(counter["attempts"] >= 6 and counter["spent_nano_usd"] == counter["attempts"] * COST_NANO)

    until(is_booked, 30, "the books do not say what was spent")
    [call] = hook.receiver.calls
    assert call.is_signed_with(hook.secret)
    assert call.body["budget"]["name"] == spender.budget["name"]
    assert call.body["counter_text"] == spender.stack.local["admin_email"]
    [counter] = spender.standing()["results"]
    assert (counter["stage"], counter["reserved_usd"]) == ({"at_percent": 1, "action": "alert"}, "0.000000000")


def test_work_refused_for_want_of_room_is_told_once_and_explained_in_its_own_words(stack: Stack, hook: Hook) -> None:
    name = f"small-{time.monotonic_ns()}"
    key_id, key = mint_key(stack, name)
    about = {"when": {"subjects": [f"key:{key_id}"]}, "limit_usd": "0.01", "period": "month"}
    stages = [{"at": 100, "do": "block", "notify": [f"channel:{hook.channel}"]}]
    spender = Spender(stack, key, stack.api("POST", "budgets", {"name": name, **about, "stages": stages}))

    def is_refused() -> Answer | None:
        answer = spender.call(max_tokens=64_000)
        return answer if answer.status == 402 else None

    answers = [until(is_refused, 30, "pods do not know the budget") for _ in range(3)]
    explained = until(lambda: spender.explained(answers[0]), 30, "the refusal is not booked")
    until(lambda: bool(hook.receiver.calls), 30, "nobody was told")
    until(lambda: spender.explained(answers[2]), 30, "the last refusal is not booked")
    stack.api("DELETE", f"budgets/{spender.budget['id']}")

    said = json.loads(answers[0].body)["error"]["message"]
    assert said == f"Switchyard: {explained['told']} (decision {explained['id']})"
    assert "has no room for this request" in explained["told"]
    assert f"/budgets/{UUID(spender.budget['id'])}/request" in explained["told"]
    [call] = hook.receiver.calls
    assert (call.body["event"], call.body["budget"]["name"], call.body["percent"]) == ("budget.no_room", name, 0)
    assert float(call.body["refused"]["wanted_usd"]) > 0.5


def test_a_counter_store_that_forgot_twice_is_begun_anew_from_the_books(spender: Spender) -> None:
    stack = spender.stack
    spender.charged()
    for _ in range(4):
        spender.call()
    until(lambda: spender.standing()["results"][0]["attempts"] >= 5, 30, "the books are behind")
    until(lambda: generation_of(stack) >= 1, 60, "the first booking named no generation")
    before = generation_of(stack)
    store = redis.Redis.from_url(stack.local["counters_url"])
    organization_id = stack.api("GET", "organizations?limit=1")["results"][0]["id"]

    def is_counted_there() -> bool:
        spender.call()
        return int(store.hget(f"meta:{{{organization_id}}}", "gen") or -1) == before

    until(is_counted_there, 60, "pods do not count under the generation of the policy", every_s=0.5)
    spent = spender.standing()["results"][0]["spent_nano_usd"]
    store.flushall()
    lost_s = time.monotonic()

    def is_begun_anew() -> bool:
        # Somebody has to ask, for a pod to see it.
        spender.call()
        return generation_of(stack) > before

    until(is_begun_anew, 90, "the control plane named no new generation", every_s=0.5)
    print(f"\na new generation {time.monotonic() - lost_s:.1f} s after the loss")
    # Lost again in the moment in which it travels to the pods.
    store.flushall()
    row = spender.standing()
    key = budget_key(
        organization_id,
        spender.budget["id"],
        period_of(row),
        row["results"][0]["counter"],
    )

    def counts_again() -> bool:
        answer = spender.call()
        explained = until(lambda: spender.explained(answer), 30, "the exchange is not booked")
        is_believed = explained["degraded"] == ""
        posted = int(store.hget(key, POSTED) or 0) * 1000
        assert not is_believed or posted >= spent, "pods count there without the books"
        return is_believed

    until(counts_again, 90, "pods do not count there again", every_s=0.5)
    print(f"counted there again {time.monotonic() - lost_s:.1f} s after the first of two losses")
    found = stack.api("GET", "counters")
    assert (found["state"], found["generation"]) == ("counting", generation_of(stack))
    assert 1 <= found["floors_laid"] == found["floors_of"]


def generation_of(stack: Stack) -> int:
    with psycopg.connect(stack.local["database_url"]) as connection:
        row = connection.execute("SELECT max(counter_generation) FROM organizations_organization").fetchone()
    assert row is not None
    return int(row[0])


def period_of(standing: dict[str, Any]) -> str:
    return str(int(datetime.fromisoformat(standing["period_starts_at"]).timestamp() * 1000))
