"""How a stream ends that has failed: with an event of its protocol, and cleanly only where clients know that end."""

import asyncio
from typing import Any

import pytest

from data_plane.exchange import growing
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.regulars import sight_of
from data_plane.exchange.run import run
from data_plane.exchange.stages import Arrival
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import Route
from switchyard_contract.routes import OPENAI_RESPONSES
from tests.builders.rules import CALIBRATED
from tests.data_plane.exchange.fakes import EXCHANGE_ID, FakeClient, FakeProvider, World
from tests.data_plane.exchange.test_rules import a_budget, a_world
from tests.data_plane.exchange.test_run import TOKEN

ASKED = b'{"model": "gpt-5.1", "stream": true, "max_output_tokens": 60000, "input": "hi"}'
BEGIN = b'event: response.created\ndata: {"type": "response.created", "response": {"id": "r", "model": "gpt-5.1"}}\n\n'
PART = (
    b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "item_id": "m", '
    b'"output_index": 0, "content_index": 0, "delta": "%b"}\n\n' % (b"word " * 100)
)


@pytest.fixture(autouse=True)
def _stops_charging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "STOPS_CHARGING", frozenset({"openai"}))


async def serve(world: World, client: FakeClient) -> None:
    head = RequestHead("POST", "/v1/responses", "", ((b"authorization", b"Bearer " + TOKEN.text.encode()),))
    arrival = Arrival(
        exchange_id=EXCHANGE_ID,
        route=Route(OPENAI_RESPONSES, "generate", None, "/v1/responses"),
        head=head,
        source="198.51.100.1",
        started_at_ms=world.now_ms,
        started_s=0.0,
        traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        sight=sight_of(head),
    )
    async with asyncio.timeout(10):
        await run(arrival, client, world.ports, world.running, Pulses(15.0, world.ports.clock_s))


def failing(*parts: bytes, **wishes: Any) -> World:
    budget = a_budget(dollars=100, bound=CALIBRATED)
    return a_world(provider=FakeProvider(*parts, streams=True, **wishes), budgets=[budget])


async def test_codex_reads_a_final_no_at_the_clean_end_of_the_stream() -> None:
    world = failing(BEGIN, *[PART] * 100)
    world.counters.extends_at_most = 0
    client = FakeClient(ASKED)
    await serve(world, client)

    assert (client.has_clean_end, client.was_aborted) == (True, False)
    last = client.received.rstrip().rpartition(b"\n\n")[2]
    assert last.startswith(b"event: response.failed")
    assert b'"invalid_prompt"' in last
    assert "The budget “daily” has no room for more of this answer.".encode() in last
    assert b"Ask finance@example.com." in last
    assert world.usage.finals[0].reason == "budget_exceeded"


async def test_a_stream_that_broke_upstream_is_aborted_as_before() -> None:
    world = failing(BEGIN, PART)
    client = FakeClient(ASKED)
    await serve(world, client)

    assert (client.has_clean_end, client.was_aborted) == (False, True)
    assert b"event: response.failed" in client.received
