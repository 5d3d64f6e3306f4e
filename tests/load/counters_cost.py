"""What asking the counters costs: CPU of a pod and of the store for one reservation and its settlement.

    python -m tests.load.counters_cost [pairs]

Six enforced budgets and three rates (requests, tokens, slots) match, as in `make bench`; the store is an embedded one
of its own. A number of its own, not a test: other work on the machine makes it larger.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import redis
import uvloop

from data_plane.counters.connection import Patience
from data_plane.counters.shared import SharedCounters
from data_plane.policy.claims import Amounts, BudgetClaim, Claims, RateClaim, RateKind, RateUnit
from data_plane.policy.grant import Ask, Grant, Spent
from deploy.local.engines import Engines
from deploy.local.ports import pick_free_ports
from deploy.local.valkey import Valkey
from switchyard_contract.quantity import NanoUsd

IN_FLIGHT = (1, 8, 32, 100)
_AMOUNTS = Amounts(NanoUsd(10_000_000), NanoUsd(30_000_000), NanoUsd(50_000_000), 1_000, 200)
_CALM = Patience(answer_s=5, stuck_s=10)
"""A busy machine is no outage."""
_SPENT = Spent(NanoUsd(8_000_000), 1_000, 150)


class _NoMeters:
    def round_trip(self, took_us: int) -> None: ...
    def decided_alone(self, rule: str, is_admitted: bool) -> None: ...
    def dropped_settlements(self, count: int) -> None: ...


def claims() -> Claims:
    """Six budgets and three rates of one caller, none of them near its limit."""

    def budget(number: int) -> BudgetClaim:
        large = NanoUsd(10**15)
        return BudgetClaim(
            budget_id=f"{number:032x}", budget_name="", counter=f"{number:032x}", period="0", period_end_ms=0,
            limit=large, soft=large, hard=large, downgrade_at=NanoUsd(-1), grace=NanoUsd(0), is_strict=True,
            outage="bounded", allowance=NanoUsd(10**12), candidates=3, is_shadow=False,
        )  # fmt: skip

    def rate(number: int, kind: RateKind, unit: RateUnit) -> RateClaim:
        return RateClaim(
            rule_id=f"{number:032x}", rule_name="", counter=f"{number:032x}", kind=kind, unit=unit, limit=10**9,
            burst=10**9, window_us=60_000_000 if kind is RateKind.SLIDING else 0, period="", period_end_ms=0,
            candidates=3, is_shadow=False,
        )  # fmt: skip

    rates = (
        rate(7, RateKind.SLIDING, "requests"),
        rate(8, RateKind.SLIDING, "output_tokens"),
        rate(9, RateKind.CONCURRENT, "requests"),
    )
    return Claims("f" * 32, "key", 0, rates, tuple(budget(number) for number in range(6)), b"", 0)


async def measure(counters: SharedCounters, in_flight: int, pairs: int) -> tuple[float, float]:
    """Give CPU and wall time of a pair in microseconds."""
    packed = counters.pack(claims())

    async def work(worker: int) -> None:
        for number in range(pairs // in_flight):
            ask = Ask(f"{in_flight:04d}{worker:04d}{number:018d}", 1, _AMOUNTS)
            grant = await counters.reserve(packed, ask)
            if not isinstance(grant, Grant) or grant.degraded:
                raise SystemExit("not let in by the store")
            counters.settle(grant, _SPENT)

    cpu_s, began_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work(worker) for worker in range(in_flight)))
    await counters.settled()
    return (time.process_time() - cpu_s) / pairs * 1e6, (time.perf_counter() - began_s) / pairs * 1e6


def store_cpu_s(store: redis.Redis) -> float:
    told = store.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


async def run(url: str, pairs: int) -> None:
    counters = SharedCounters(url, pod_id="bench", live_pods=lambda: 1, meters=_NoMeters(), patience=_CALM)
    task = asyncio.create_task(counters.run())
    while not counters.is_up:
        await asyncio.sleep(0.01)
    store = redis.Redis.from_url(url)
    print("in flight   pod CPU   store CPU   wall   (us for a reservation and its settlement)")
    for in_flight in IN_FLIGHT:
        await measure(counters, in_flight, pairs // 10)
        before_s = store_cpu_s(store)
        cpu_us, wall_us = await measure(counters, in_flight, pairs)
        store_us = (store_cpu_s(store) - before_s) / pairs * 1e6
        print(f"{in_flight:9d}   {cpu_us:7.1f}   {store_us:9.1f}   {wall_us:4.0f}")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def a_store() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (port,) = pick_free_ports(1)
        engine = Valkey("counters", home, home / "valkey.log", port, "bench")
        with Engines([engine]):
            assert urlsplit(engine.url).port == port
            yield engine.url


if __name__ == "__main__":
    with a_store() as its_url:
        uvloop.run(run(its_url, int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
