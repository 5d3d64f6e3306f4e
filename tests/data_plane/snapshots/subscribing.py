"""A pod that subscribes, without the rest of a pod."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_plane.policy.snapshot import PolicySnapshot
from data_plane.snapshots.dialing import Dialer
from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.keeper import Build, Keeper
from data_plane.snapshots.shelf import Shelf
from data_plane.snapshots.subscription import Pod, Standing, Subscription
from switchyard_contract.v1 import delivery_pb2
from tests.data_plane.control_server import TOKEN
from tests.data_plane.snapshots.builders import DEPLOYMENT, VERIFY, Clock, a_shelf, build

STANDING = Standing(
    in_flight=2,
    spool_records=3,
    spool_bytes=4,
    counters_reachable=True,
    is_draining=False,
    loop_lag_ms=5,
    degraded=("counters out of reach",),
)


@dataclass
class Subscriber:
    keeper: Keeper[PolicySnapshot]
    shelf: Shelf
    subscription: Subscription[PolicySnapshot]
    key_material: list[delivery_pb2.KeyMaterial] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)


@asynccontextmanager
async def subscribing(
    folder: Path,
    *addresses: str,
    silence_s: float = 20,
    status_interval_s: float = 5,
    healthy_after_s: float = 5,
    builder: Build[PolicySnapshot] = build,
) -> AsyncIterator[Subscriber]:
    clock = Clock()
    keeper = Keeper(deployment=DEPLOYMENT, keys=VERIFY, build=builder, freshness=Freshness(clock))
    shelf = a_shelf(folder)
    taken: list[delivery_pb2.KeyMaterial] = []
    subscription = Subscription(
        Pod("pod-1", TOKEN, "1.2.3", "127.0.0.1:9100"),
        keeper,
        shelf,
        deployment=DEPLOYMENT,
        keys=VERIFY,
        dial=Dialer(addresses, None).dial,
        standing=lambda: STANDING,
        take_key_material=taken.append,
        draw=lambda: 0.0,
        silence_s=silence_s,
        status_interval_s=status_interval_s,
        healthy_after_s=healthy_after_s,
    )
    subscription.restore()
    task = asyncio.create_task(subscription.run())
    try:
        yield Subscriber(keeper, shelf, subscription, taken, clock)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
