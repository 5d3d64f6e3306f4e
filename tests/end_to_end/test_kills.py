"""Kill anything while traffic runs: the ledger still says what the provider says (issue: exactly once)."""

import asyncio
import os
import time

import pytest

from tests.end_to_end.books import Verdict, compare, wait_until_settled
from tests.end_to_end.load import Load
from tests.end_to_end.stack import Stack, until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

VICTIMS = ("pod-1", "web", "grpc", "worker", "beat", "broker", "counters", "postgresql")
RATE_PER_S = 25.0
ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))


async def run_killing(stack: Stack, victims: tuple[str, ...], *, warm_s: float = 2.0) -> Verdict:
    """Kill each victim in turn under load, wait for its successor, then let everything settle and compare."""
    since_ms = time.time_ns() // 1_000_000
    load = Load(stack.gateway_url, stack.virtual_key, RATE_PER_S)
    running = asyncio.create_task(load.run())
    for victim in victims:
        await asyncio.sleep(warm_s)
        old = await asyncio.to_thread(stack.kill, victim)
        await asyncio.to_thread(stack.wait_for_new_pid, victim, old)
        await asyncio.to_thread(until, stack.is_ready, 90, f"not ready after {victim} was killed")
    await asyncio.sleep(warm_s)
    load.stop()
    await running
    await asyncio.to_thread(wait_until_settled, stack, since_ms)
    verdict = await asyncio.to_thread(compare, stack, load.seen, since_ms)
    complete = sum(one.is_complete for one in load.seen)
    assert complete > len(load.seen) / 2, f"only {complete} of {len(load.seen)} requests were served: {verdict}"
    return verdict


@pytest.mark.parametrize("victim", VICTIMS)
async def test_the_books_agree_after_a_kill(stack: Stack, victim: str) -> None:
    verdict = await run_killing(stack, (victim,) * ROUNDS)
    assert not verdict.faults, str(verdict)
    assert verdict.exact > 0
    if victim == "pod-1":
        assert verdict.estimated > 0, f"no answer was under way on the killed pod: {verdict}"
