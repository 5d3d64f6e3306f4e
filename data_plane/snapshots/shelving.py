"""What was adopted goes onto the shelf behind the stream's back: newest only, and again until the disk takes it."""

import asyncio
import time
from collections.abc import Mapping

import structlog

from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.shelf import Shelf
from switchyard_contract.v1 import snapshot_pb2

log = structlog.get_logger()

BEACON_SAVED_EVERY_S = 60.0
_AGAIN_AFTER_S = 5.0

Changes = Mapping[str, snapshot_pb2.SealedShard | None]


class Shelving:
    """The one that writes the shelf while the pod runs."""

    def __init__(self, shelf: Shelf, freshness: Freshness) -> None:
        self._shelf, self._freshness = shelf, freshness
        self._waiting: dict[str, snapshot_pb2.SealedShard | None] = {}
        """None: to be taken off."""
        self._something_waits = asyncio.Event()
        self._beacon_saved_at_s = 0.0

    def soon(self, shard: str, sealed: snapshot_pb2.SealedShard | None) -> None:
        """Have a shard put on the shelf, or taken off; a newer word on it takes the place of an older one."""
        self._waiting[shard] = sealed
        self._something_waits.set()

    def beacon_came(self) -> None:
        """Have the time of the newest beacon written, unless that was done lately."""
        self._something_waits.set()

    async def run(self) -> None:
        """Write until cancelled; what the disk refuses is tried again."""
        while True:
            await self._something_waits.wait()
            self._something_waits.clear()
            changes, self._waiting = self._waiting, {}
            try:
                await asyncio.to_thread(self._write, changes)
            except OSError as failure:
                log.warning("shelf not written", error=failure.strerror)
                self._waiting = {**changes, **self._waiting}
                await asyncio.sleep(_AGAIN_AFTER_S)
                self._something_waits.set()

    def finish(self) -> None:
        """Write what still waits. Blocking; raises OSError."""
        changes, self._waiting = self._waiting, {}
        self._write(changes)

    def _write(self, changes: Changes) -> None:
        added = [sealed for sealed in changes.values() if sealed is not None]
        if added:
            self._shelf.save(added)
        for shard, sealed in changes.items():
            if sealed is None:
                self._shelf.remove(shard)
        now_s = time.monotonic()
        if now_s - self._beacon_saved_at_s > BEACON_SAVED_EVERY_S or not self._beacon_saved_at_s:
            self._shelf.save_freshness(self._freshness)
            self._beacon_saved_at_s = now_s
