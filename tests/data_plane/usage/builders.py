"""Short constructors for events and spools."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from data_plane.usage.segment import Disk
from data_plane.usage.spool import Spool, SyncMode, open_spool
from switchyard_contract.v1 import usage_pb2

MIB = 1024 * 1024


def an_event(
    exchange_id: str,
    attempt: int = 1,
    *,
    kind: usage_pb2.UsageKind = usage_pb2.USAGE_KIND_FINAL,
    output: int = 0,
    padding: int = 0,
) -> bytes:
    return usage_pb2.UsageEvent(
        exchange_id=exchange_id,
        attempt=attempt,
        kind=kind,
        outcome=usage_pb2.OUTCOME_SERVED,
        tokens=usage_pb2.Tokens(output=output),
        error_text="x" * padding,
    ).SerializeToString()


def read_event(raw: bytes) -> usage_pb2.UsageEvent:
    return usage_pb2.UsageEvent.FromString(raw)


async def a_spool(
    directory: Path,
    *,
    segment_bytes: int = MIB,
    limit_bytes: int = 64 * MIB,
    sync: SyncMode = "group",
    disk: Disk | None = None,
) -> Spool:
    return await open_spool(directory, segment_bytes=segment_bytes, limit_bytes=limit_bytes, sync=sync, disk=disk)


async def everything_unreported(spool: Spool, batch: int = 500) -> list[tuple[int, bytes]]:
    """All events that the control plane has not stored, as the reporter would take them."""
    events: list[tuple[int, bytes]] = []
    after = spool.acked_sequence
    while after < spool.acked_sequence + spool.depth_records:
        taken = await asyncio.wait_for(spool.unreported(after, batch), 10)
        events += taken
        after = taken[-1][0]
    return events


async def until(claim: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for something to become true; fails when it does not in time."""
    async with asyncio.timeout(within_s):
        while not claim():
            await asyncio.sleep(0.005)
