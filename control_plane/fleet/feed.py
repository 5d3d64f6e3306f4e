"""What is in force, as the gRPC process knows it: from announcements, and from a poll against lost ones."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

import redis.asyncio
import redis.exceptions
import structlog
from django.db import Error as DatabaseFailure

from control_plane.fleet.database import DatabaseThreads
from control_plane.snapshots.announcement import CHANNEL
from control_plane.snapshots.delivery import Head
from control_plane.snapshots.selectors import Sealed, sealed_shard, shard_heads
from control_plane.snapshots.services import open_denials_compile

log = structlog.get_logger()

POLL_S = 0.25
RECONNECT_S = 1.0
CACHE_BYTES = 256 * 1024 * 1024


class SnapshotFeed:
    """Satisfies the servicer's `Feed`. Its owner runs `poll` and `listen` as two tasks."""

    def __init__(self, database: DatabaseThreads, redis_url: str) -> None:
        self._database = database
        self._redis_url = redis_url
        self._heads: dict[str, Head] = {}
        self._changed = asyncio.Event()
        self._poll_now = asyncio.Event()
        self._is_database_away = False
        self._cache: OrderedDict[str, Sealed] = OrderedDict()
        self._cached_bytes = 0

    @property
    def heads(self) -> Mapping[str, Head]:
        return self._heads

    def changed(self) -> asyncio.Event:
        return self._changed

    async def sealed(self, shard: str) -> Sealed | None:
        cached, head = self._cache.get(shard), self._heads.get(shard)
        if cached is not None and head is not None and cached.at == head.at:
            self._cache.move_to_end(shard)
            return cached
        try:
            loaded = await self._database.run(sealed_shard, shard)
        except DatabaseFailure as failure:
            log.warning("sealed shard not read", shard=shard, why=type(failure).__name__)
            return None
        if loaded is not None:
            self._remember(loaded)
        return loaded

    async def refresh(self) -> None:
        """Compile open denials, then read what is in force. Raises DatabaseFailure."""
        await self._database.run(open_denials_compile)
        heads = await self._database.run(shard_heads)
        if heads != self._heads:
            self._heads = heads
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def poll(self) -> None:
        """Look at the database a few times a second, and at once after an announcement, until cancelled."""
        while True:
            self._poll_now.clear()
            try:
                await self.refresh()
                if self._is_database_away:
                    log.info("database is back")
                self._is_database_away = False
            except DatabaseFailure as failure:
                # Pods keep what they have; beacons go on.
                if not self._is_database_away:
                    log.warning("database is away; nothing new will be delivered", why=type(failure).__name__)
                self._is_database_away = True
            try:
                async with asyncio.timeout(POLL_S):
                    await self._poll_now.wait()
            except TimeoutError:
                continue

    async def listen(self) -> None:
        """Hear announcements until cancelled."""
        while True:
            store = redis.asyncio.Redis.from_url(self._redis_url, socket_connect_timeout=2, health_check_interval=10)
            try:
                async with store, store.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    self._poll_now.set()
                    async for _ in subscription.listen():
                        self._poll_now.set()
            except (redis.exceptions.RedisError, OSError) as failure:
                log.warning("announcements are not heard, the poll goes on", why=type(failure).__name__)
            await asyncio.sleep(RECONNECT_S)

    def _remember(self, sealed: Sealed) -> None:
        old = self._cache.pop(sealed.shard, None)
        self._cached_bytes += len(sealed.message.payload) - (len(old.message.payload) if old else 0)
        self._cache[sealed.shard] = sealed
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped.message.payload)
