"""Two real sessions, stretched to a hundred turns, reach a budget's downgrade line on a real pod.

The provider keeps each model's prompts in a cache of that model, as real ones do, and bills what it reads, writes and
answers. Nobody sees an error, and to decide turn by turn costs no more than the better of never and always moving.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import pytest

from switchyard_contract.quantity import NANO_PER_USD
from switchyard_contract.v1 import snapshot_pb2, usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import a_budget, alert, downgrade, when
from tests.data_plane.policy.real_sessions import CLAUDE, CODEX, Turn
from tests.end_to_end.ruled_pods import RuledPods, client_session, ruled_pods

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

TURNS = 100
LINE_AT = 30
"""So many turns bring a session to its line."""
MOST_ADDED = 1_500
"""Tokens that a turn of the stretched part adds: the whole stays within the models' contexts."""
BYTES_PER_TOKEN = 4
"""As the simulated provider counts."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A session on a key of its own, as the books have it."""

    statuses: frozenset[int]
    events: tuple[usage_pb2.UsageEvent, ...]
    """In the order of the turns."""

    @property
    def cost(self) -> int:
        return sum(event.cost_nano_usd for event in self.events)


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledPods]:
    with ruled_pods(tmp_path_factory.mktemp("downgrades"), count=1) as running:
        yield running


@pytest.mark.parametrize(
    ("turns", "first", "second", "leaves"),
    [
        (CLAUDE, "penny-opus", "penny-haiku", True),
        (CODEX, "penny-gpt", "penny-mini", True),
        (CODEX, "penny-gpt", "penny-near", False),
    ],
    ids=["claude", "codex", "hardly cheaper"],
)
async def test_over_the_line_a_session_costs_no_more_than_the_better_of_never_and_always_moving(
    pods: RuledPods, turns: tuple[Turn, ...], first: str, second: str, leaves: bool
) -> None:
    aware_key, always_key, never_key = pods.mint(), pods.mint(), pods.mint()
    never = await _replay(pods, never_key, turns, first)
    line_nano_usd = sum(event.cost_nano_usd for event in never.events[:LINE_AT])
    aware_budget, always_budget = (
        a_budget(
            f"{name} {uuid.uuid4().hex}",
            line_nano_usd / 0.95 / NANO_PER_USD,
            when=when(f"key:{key.id}"),
            stages=[alert(), downgrade(second, at=95, cache_aware=name == "aware")],
        )
        for name, key in (("aware", aware_key), ("always", always_key))
    )
    pods.obey(snapshot_pb2.PolicyShard(budgets=[aware_budget, always_budget]))

    aware, always = await asyncio.gather(
        _replay(pods, aware_key, turns, first), _replay(pods, always_key, turns, first)
    )

    assert aware.statuses == always.statuses == never.statuses == {200}
    assert aware.cost <= min(never.cost, always.cost)
    assert (never.cost > always.cost) is leaves
    _assert_explained(aware, aware_budget.id, (first, second), leaves=leaves)
    _assert_explained(always, always_budget.id, (first, second), leaves=True)
    assert [event.model for event in never.events] == [first] * TURNS
    assert not any(event.HasField("downgrade") for event in never.events)


def _assert_explained(replay: Replay, budget_id: str, models: tuple[str, str], *, leaves: bool) -> None:
    """Below the line nothing is said; from it on every turn says what was weighed, and went where it says."""
    first, second = models
    choices = [event.downgrade if event.HasField("downgrade") else None for event in replay.events]
    reached = next(number for number, choice in enumerate(choices, 1) if choice is not None)
    # What the turn itself is expected to cost counts too.
    assert LINE_AT - 2 <= reached <= LINE_AT + 2
    assert [event.requested_model for event in replay.events] == [first] * TURNS
    went_to = second if leaves else first
    assert [event.model for event in replay.events] == [first] * (reached - 1) + [went_to] * (TURNS - reached + 1)
    for choice in choices[reached - 1 :]:
        assert choice is not None
        assert (choice.budget_id, choice.from_model, choice.to_model) == (budget_id, first, second)
        assert choice.is_taken is leaves
        assert choice.why
        assert min(choice.stay_nano_usd, choice.move_nano_usd) > 0


async def _replay(pods: RuledPods, key: KeyToken, turns: tuple[Turn, ...], model: str) -> Replay:
    statuses = set()
    session_id = uuid.uuid4().hex
    messages: list[dict[str, object]] = []
    headers = {
        "x-api-key": key.text,
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "x-switchyard-session": session_id,
    }
    async with client_session() as session:
        for turn in range(TURNS):
            added, output = turns[turn % len(turns)]
            size = added if turn < len(turns) else min(added, MOST_ADDED)
            # The provider knows a conversation by its first words: no two replays share a cache.
            words = "word " * (size * BYTES_PER_TOKEN // 5)
            block = {"type": "text", "text": f"{session_id} {words}"}
            mark = {**block, "cache_control": {"type": "ephemeral"}}
            body = {"model": model, "max_tokens": 4_096, "messages": [*messages, {"role": "user", "content": [mark]}]}
            # A word of the answer is two tokens; what it adds to the next prompt is in that one's size.
            wished = {"x-sim-behaviour": f"sim-text-{max(1, output // 2)}"}
            statuses.add(await _send(session, f"{pods.pods[0].url}/v1/messages", headers | wished, body))
            messages += ({"role": "user", "content": [block]}, {"role": "assistant", "content": "so"})
    events = await asyncio.to_thread(pods.control.rows_of, key, TURNS, 30.0)
    return Replay(frozenset(statuses), tuple(sorted(events, key=lambda event: event.exchange_id)))


async def _send(session: aiohttp.ClientSession, url: str, headers: dict[str, str], body: object) -> int:
    async with session.post(url, data=json.dumps(body), headers=headers) as answer:
        await answer.read()
        return answer.status
