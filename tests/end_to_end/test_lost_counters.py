"""The counter store forgets, or goes back in time, under load: what is spent stays within what is promised.

H + aL + two seconds of spend: the line, the allowance that pods were issued, and what was not in the books yet.
"""

import asyncio
import itertools
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from switchyard_contract.v1 import snapshot_pb2, usage_pb2
from tests.end_to_end.ruled_pods import RuledPods, client_session, ruled_pods
from tests.gateway.prices import DOLLAR
from tests.gateway.rules import BOUNDED, STRICT, budget
from tests.gateway.wire import until
from tests.promises import within

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]

LIMIT, ALLOWANCE = 10.0, 0.5
CALLS_AT_ONCE = 6
REGISTERING_S = 2.0
"""As the control plane waits between telling floors and naming a new generation."""


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[RuledPods]:
    with ruled_pods(tmp_path) as running:
        yield running


class Bookkeeper(threading.Thread):
    """The control plane's part: the books' sums go down as floors; a loss that is told ends with a new generation."""

    def __init__(self, pods: RuledPods, rules: snapshot_pb2.PolicyShard) -> None:
        super().__init__(daemon=True)
        self._pods, self._rules = pods, rules
        self._over = threading.Event()
        self.raised = 0

    def run(self) -> None:
        generation = self._rules.counter_generation
        while not self._over.wait(0.1):
            control = self._pods.control
            control.floors = self._floors()
            asked = f"counters_learning:{self._pods.organization_id}:{generation}"
            if any(asked in status.degraded for status in control.statuses[-2 * len(self._pods.pods) :]):
                self._over.wait(REGISTERING_S)
                control.floors = self._floors()
                generation += 1
                self.raised += 1
                rules = snapshot_pb2.PolicyShard()
                rules.CopyFrom(self._rules)
                rules.counter_generation = generation
                self._pods.obey(rules)

    def _floors(self) -> list[usage_pb2.Floor]:
        sums: dict[tuple[str, str, str], int] = defaultdict(int)
        for row in self._pods.control.rows:
            for charge in row.charges:
                sums[charge.budget_id, charge.counter, charge.period] += row.cost_nano_usd
        return [
            usage_pb2.Floor(
                organization_id=self._pods.organization_id,
                budget_id=budget_id,
                counter=counter,
                period=period,
                posted_nano_usd=amount,
            )
            for (budget_id, counter, period), amount in sums.items()
        ]

    def finish(self) -> None:
        self._over.set()
        if self.is_alive():
            self.join(10)


def flush(pods: RuledPods, _old: Path) -> None:
    pods.store.client.flushall()


def go_back(pods: RuledPods, old: Path) -> None:
    """Stop the store and start it from the copy."""
    pods.store.stop()
    shutil.rmtree(pods.store.folder)
    shutil.copytree(old, pods.store.folder)
    pods.store.start()


@pytest.mark.parametrize("lose", [flush, go_back], ids=["flushed", "gone back"])
async def test_what_is_spent_stays_within_the_promise(
    pods: RuledPods, tmp_path: Path, lose: Callable[[RuledPods, Path], None]
) -> None:
    rule = budget("lost", LIMIT, bound=STRICT, outage=BOUNDED, allowance=ALLOWANCE)
    rules = snapshot_pb2.PolicyShard(budgets=[rule])
    pods.obey(rules)
    key = pods.mint()
    # A store that knows nothing is a new one until a generation is named; the control plane does so with the first row.
    seen = await pods.burst(len(pods.pods), key)
    rules.counter_generation = 1
    pods.obey(rules)
    is_over = asyncio.Event()

    async def caller(number: int) -> None:
        async with client_session() as session:
            for turn in itertools.count(number):
                if is_over.is_set():
                    return
                seen.append(await pods.call(session, key, pod=turn % len(pods.pods)))
                if seen[-1].status != 200:
                    await asyncio.sleep(0.05)

    def served() -> int:
        return sum(one.status == 200 for one in seen)

    keeper = Bookkeeper(pods, rules)
    callers = [asyncio.create_task(caller(number)) for number in range(CALLS_AT_ONCE)]
    try:
        await asyncio.to_thread(until, lambda: served() >= 10, "nothing is served", within(5.0))
        old = tmp_path / "copy"
        await asyncio.to_thread(shutil.copytree, pods.store.folder, old)
        began_s, before = time.monotonic(), served()
        await asyncio.to_thread(until, lambda: served() >= before + 25, "no more is served", within(5.0))
        per_second = (served() - before) / (time.monotonic() - began_s)
        keeper.start()
        await asyncio.to_thread(lose, pods, old)
        await asyncio.to_thread(
            until, lambda: keeper.raised >= 1, "nobody told that the counters are lost", within(8.0)
        )
        # Once the counters are whole again the budget goes on to its line, and no further.
        await asyncio.to_thread(
            until, lambda: {one.status for one in seen[-20:]} == {402}, "the budget does not end", within(20.0)
        )
    finally:
        is_over.set()
        await asyncio.gather(*callers)
        keeper.finish()
    assert 401 not in {one.status for one in seen}
    spent = sum(row.cost_nano_usd for row in await asyncio.to_thread(pods.control.rows_of, key, len(seen), 30.0))
    assert spent == served() * DOLLAR // 10
    assert LIMIT * 0.8 * DOLLAR <= spent <= (LIMIT + ALLOWANCE + 2 * per_second / 10) * DOLLAR
