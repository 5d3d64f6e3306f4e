"""Pods' counters for tests: running, with meters that remember."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from data_plane.counters.connection import Patience
from data_plane.counters.shared import SharedCounters
from data_plane.exchange.ports import Counters
from data_plane.policy.claims import Claims
from data_plane.policy.grant import Ask, Denial, Grant
from tests.data_plane.usage.builders import until

CALM = Patience(answer_s=5, stuck_s=10, connect_s=5)
"""For tests of what is counted: a busy machine is no outage."""
BRISK = Patience(answer_s=0.3, stuck_s=1, connect_s=1, probe_every_s=0.2)
"""For tests of outages: short, but not so short that a busy machine is one."""


class Noted:
    """Meters that remember."""

    def __init__(self) -> None:
        self.alone: Counter[tuple[str, bool]] = Counter()
        self.trips = self.dropped = 0

    def round_trip(self, took_us: int) -> None:
        self.trips += 1

    def decided_alone(self, rule: str, is_admitted: bool) -> None:
        self.alone[rule, is_admitted] += 1

    def dropped_settlements(self, count: int) -> None:
        self.dropped += count


@asynccontextmanager
async def counting(
    url: str,
    *,
    pod_id: str = "pod1",
    live_pods: int = 1,
    patience: Patience = CALM,
    noted: Noted | None = None,
    now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
) -> AsyncIterator[SharedCounters]:
    """A pod's counters, connected."""
    counters = SharedCounters(
        url, pod_id=pod_id, live_pods=lambda: live_pods, meters=noted or Noted(), patience=patience, now_us=now_us
    )
    task = asyncio.create_task(counters.run())
    try:
        await until(lambda: counters.is_up)
        yield counters
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def granted(counters: Counters, claims: Claims, ask: Ask) -> Grant:
    grant = await counters.reserve(counters.pack(claims), ask)
    assert isinstance(grant, Grant), grant
    return grant


async def denied(counters: Counters, claims: Claims, ask: Ask) -> Denial:
    denial = await counters.reserve(counters.pack(claims), ask)
    assert isinstance(denial, Denial), denial
    return denial
