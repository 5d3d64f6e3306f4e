"""Run by a test: a pod whose process ends at once when it reads a key named poison."""

import asyncio
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "proto")]

from data_plane.policy.snapshot import PolicySnapshot  # noqa: E402
from data_plane.snapshots.shards import HeldShards  # noqa: E402
from tests.data_plane.snapshots.builders import build  # noqa: E402
from tests.data_plane.snapshots.subscribing import subscribing  # noqa: E402
from tests.data_plane.usage.builders import until  # noqa: E402


def build_or_die(shards: HeldShards, previous: PolicySnapshot | None) -> PolicySnapshot:
    policy = build(shards, previous)
    if "poison" in policy.keys:
        os._exit(42)
    return policy


async def main(folder: Path, address: str) -> None:
    async with subscribing(folder, address, builder=build_or_die) as pod:
        await until(lambda: pod.subscription.rejected == 1 and pod.keeper.policy.is_complete)
        said = {"keys": sorted(pod.keeper.policy.keys), "rejected": pod.subscription.rejected}
        await asyncio.sleep(0.2)
    sys.stdout.write("\n" + json.dumps(said) + "\n")


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
