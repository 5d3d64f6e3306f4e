"""A counter store that forgets, or goes back to an older copy, while money is spent: all that is spent is bounded, and
it ends by itself.

H is the hard line, the allowance what all pods together may spend unseen. The control plane's part (books come down as
floors, then a new generation) is played by the test, as `control_plane/fleet` does it.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from switchyard_contract.counters import meta_key, read_learning_word
from switchyard_contract.v1 import delivery_pb2, snapshot_pb2, usage_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import BOUNDED, STRICT, a_daily_budget, days
from tests.end_to_end.ruled_pods import RuledPods, Seen, Store, client_session, ruled_pods, statuses
from tests.gateway.prices import DOLLAR
from tests.gateway.wire import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300)]

CALL, CALL_NANO = "sim-usage-in100-out10", 2_000_000
"""100 x $10/M + 10 x $100/M: a fifth of a cent. Its worst case is about two and a half cents: 2,300 tokens read."""
LIMIT, ALLOWANCE = 1.5, 0.3
AT_ONCE = 8


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledPods]:
    with ruled_pods(tmp_path_factory.mktemp("lost")) as running:
        yield running


class Spenders:
    """Callers who go on until each has been told several times that the budget is spent."""

    def __init__(self, pods: RuledPods, key: KeyToken) -> None:
        self.seen: list[Seen] = []
        self._pods, self._key = pods, key

    @property
    def served(self) -> int:
        return statuses(self.seen)[200]

    async def run(self, until_s: float) -> None:
        async with client_session() as session:
            await asyncio.gather(*(self._spend(session, until_s) for _ in range(AT_ONCE)))

    async def _spend(self, session: aiohttp.ClientSession, until_s: float) -> None:
        told = 0
        while told < 5 and time.monotonic() < until_s:
            one = await self._pods.call(session, self._key, behaviour=CALL, max_tokens=10)
            self.seen.append(one)
            told = told + 1 if one.status == 402 else 0
            if one.status == 503:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("way", ["flushed", "older"])
async def test_what_is_spent_after_a_loss_is_bounded(pods: RuledPods, tmp_path: Path, way: str) -> None:
    rule = a_daily_budget(
        f"{way}-{time.monotonic_ns()}", LIMIT, bound=STRICT, on_counter_outage=BOUNDED, allowance=ALLOWANCE
    )
    known = int(pods.store.client.hget(meta_key(pods.organization_id), "gen") or 0)
    await follow(pods, rule, known)
    key = pods.mint()
    assert statuses(await pods.burst(16, key, behaviour=CALL, max_tokens=10))[200] > 0
    generation = max(1, known)
    await follow(pods, rule, generation)
    await pods.burst(16, key, behaviour=CALL, max_tokens=10)
    copy = tmp_path / "copy"
    if way == "older":
        await asyncio.to_thread(restarted, pods.store, lambda folder: shutil.copytree(folder, copy))
    spenders = Spenders(pods, key)
    running = asyncio.create_task(spenders.run(time.monotonic() + 120))
    await eventually(lambda: spenders.served > 150)
    served, began_s = spenders.served, time.monotonic()
    if way == "older":
        await asyncio.to_thread(restarted, pods.store, lambda folder: put_back(copy, folder))
    else:
        await asyncio.to_thread(pods.store.client.flushall)
    await asyncio.to_thread(
        until, lambda: any(is_learning(pods, status) for status in pods.control.statuses[-8:]), "nobody noticed", 30.0
    )
    await lay_floors(pods, rule, key, generation + 1)
    await follow(pods, rule, generation + 1)
    rate_per_s = max(served / 5, (spenders.served - served) / max(time.monotonic() - began_s, 0.1))
    await running
    rows = await asyncio.to_thread(pods.control.rows_of, key, len(spenders.seen), 30.0)
    spent = sum(row.cost_nano_usd for row in rows)
    two_seconds = round(2 * rate_per_s * CALL_NANO)
    assert spent <= (LIMIT + ALLOWANCE) * DOLLAR + two_seconds
    assert spent >= 0.8 * LIMIT * DOLLAR, statuses(spenders.seen)
    assert statuses(spenders.seen)[402] > 0


def restarted(store: Store, between: Callable[[Path], object]) -> None:
    """Stop the store, do something to its folder, and start it again."""
    store.stop()
    between(store.folder)
    store.start()


def put_back(copy: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


async def follow(pods: RuledPods, rule: snapshot_pb2.Budget, generation: int) -> None:
    policy = snapshot_pb2.PolicyShard(budgets=[rule], counter_generation=generation)
    await asyncio.to_thread(pods.obey, policy)


def is_learning(pods: RuledPods, status: delivery_pb2.Status) -> bool:
    found = [read_learning_word(word) for word in status.degraded]
    return any(one is not None and one[0] == pods.organization_id for one in found)


async def lay_floors(pods: RuledPods, rule: snapshot_pb2.Budget, key: KeyToken, generation: int) -> None:
    """Send the books down with every receipt, for the two seconds that the control plane waits."""
    pods.control.book = usage_pb2.FloorBook(
        organization_id=pods.organization_id, generation=generation, attempt=f"{time.monotonic_ns():x}", is_last=True
    )
    period = str(days().starts_ms[0])
    until_s = time.monotonic() + 2.0
    while time.monotonic() < until_s:
        posted = sum(row.cost_nano_usd for row in await asyncio.to_thread(pods.control.rows_of, key))
        floor = usage_pb2.Floor(
            organization_id=pods.organization_id, budget_id=rule.id, counter="", period=period, posted_nano_usd=posted
        )
        pods.control.floors[:] = [floor]
        await asyncio.sleep(0.1)


async def eventually(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to that"
        await asyncio.sleep(0.02)
