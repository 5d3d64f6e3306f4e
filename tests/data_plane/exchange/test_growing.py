"""Streams grow their reservation, and end where a budget has no room for more."""

from typing import Any

import pytest

from data_plane.exchange import growing
from data_plane.exchange.growing import STEP_TOKENS
from switchyard_contract.v1 import snapshot_pb2 as pb
from switchyard_contract.v1 import usage_pb2
from tests.builders.rules import CALIBRATED, STRICT
from tests.data_plane.exchange.fakes import FakeClient, FakeProvider
from tests.data_plane.exchange.test_rules import a_budget, a_world
from tests.data_plane.exchange.test_run import DONE, STOP, TOKEN, USAGE, WORD

LONG = (
    b'{"model": "gpt-5.1", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 60000, '
    b'"messages": []}'
)
PART = WORD * 100


def calibrated(**wishes: Any) -> pb.Budget:
    return a_budget(dollars=100, bound=CALIBRATED, **wishes)


@pytest.fixture(autouse=True)
def _stops_charging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "STOPS_CHARGING", frozenset({"openai"}))


async def test_a_short_stream_reserves_a_part_and_never_more() -> None:
    world = a_world(provider=FakeProvider(WORD, STOP, USAGE, DONE, streams=True), budgets=[calibrated()])
    client = FakeClient(LONG)
    await world.serve(client, TOKEN.text)
    assert client.has_clean_end
    (_claims, ask) = world.counters.asked[0]
    assert ask.first.worst < 60_000 * 10
    assert world.counters.extended == []


async def test_a_long_stream_asks_for_more_before_it_is_written() -> None:
    world = a_world(
        provider=FakeProvider(*[PART] * 100, STOP, USAGE, DONE, streams=True),
        budgets=[calibrated()],
    )
    client = FakeClient(LONG)
    await world.serve(client, TOKEN.text)
    assert client.has_clean_end
    worst = [amounts.worst for amounts in world.counters.extended]
    # 10,000 words are 10,000 tokens: two steps beyond the first.
    assert len(worst) == 2
    assert worst == sorted(worst)
    (_claims, ask) = world.counters.asked[0]
    assert worst[0] - ask.first.worst == STEP_TOKENS * 10


async def test_a_stream_ends_where_there_is_no_room_for_more_of_it() -> None:
    world = a_world(
        provider=FakeProvider(*[PART] * 100, STOP, USAGE, DONE, streams=True),
        budgets=[calibrated()],
    )
    world.counters.extends_at_most = 0
    client = FakeClient(LONG)
    await world.serve(client, TOKEN.text)
    assert client.was_aborted
    assert b"no room for more" in client.received
    assert len(client.received) < 100 * len(PART)
    event = world.usage.finals[0]
    assert (event.reason, event.kind) == ("budget_exceeded", usage_pb2.USAGE_KIND_COUNTED)
    (_grant, spent) = world.counters.settled[0]
    assert 3_000 <= spent.output_tokens <= STEP_TOKENS
    assert spent.cost == event.cost_nano_usd


@pytest.mark.parametrize(
    "changed",
    [
        LONG.replace(b'"stream": true, ', b""),
        LONG.replace(b"60000", b"4000"),
        LONG.replace(b"{", b'{"reasoning_effort": "high", ', 1),
    ],
    ids=["whole", "short", "thinks unseen"],
)
async def test_everything_else_reserves_all_of_it(changed: bytes) -> None:
    world = a_world(provider=FakeProvider(WORD, STOP, USAGE, DONE, streams=True), budgets=[calibrated()])
    await world.serve(FakeClient(changed), TOKEN.text)
    (_claims, ask) = world.counters.asked[0]
    limit = 4_000 if b"4000" in changed else 60_000
    assert ask.first.worst >= limit * 10


async def test_a_budget_that_only_warns_is_no_reason_to_grow() -> None:
    world = a_world(
        provider=FakeProvider(WORD, STOP, USAGE, DONE, streams=True),
        budgets=[calibrated(stages=[])],
    )
    await world.serve(FakeClient(LONG), TOKEN.text)
    assert world.counters.asked[0][1].first.worst >= 600_000


async def test_a_strict_budget_holds_all_of_it() -> None:
    strict = a_budget("strict", dollars=100, bound=STRICT)
    world = a_world(
        provider=FakeProvider(WORD, STOP, USAGE, DONE, streams=True),
        budgets=[calibrated(), strict],
    )
    await world.serve(FakeClient(LONG), TOKEN.text)
    assert world.counters.asked[0][1].first.worst >= 600_000
