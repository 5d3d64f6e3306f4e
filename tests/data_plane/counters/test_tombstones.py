"""The tombstone watch against a real Valkey that is killed, frozen and flushed."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from data_plane.counters.tombstones import CHANNEL, VERSION_KEY, TombstoneWatch, set_key
from tests.data_plane.counters.conftest import Store
from tests.data_plane.usage.builders import until
from tests.promises import within

OURS, FOREIGN = "a" * 32, "b" * 32
Told = list[tuple[frozenset[str], frozenset[str]]]
ONE = frozenset({"key1"})
NONE: frozenset[str] = frozenset()


@asynccontextmanager
async def watching(store: Store, organizations: list[str] | None = None) -> AsyncIterator[tuple[TombstoneWatch, Told]]:
    served = [OURS] if organizations is None else organizations
    watch = TombstoneWatch(store.url, lambda: served)
    told: Told = []
    watch.on_revoked(lambda revoked, cut: told.append((revoked, cut)))
    task = asyncio.create_task(watch.run())
    try:
        yield watch, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def revoke(store: Store, *key_ids: str, organization: str = OURS, message: str | None = None) -> None:
    """What the control plane does; message None: lost on the way."""
    async with Redis.from_url(store.url) as redis, redis.pipeline(transaction=True) as pipeline:
        pipeline.sadd(set_key(organization), *key_ids)
        pipeline.incr(VERSION_KEY)
        if message is not None:
            pipeline.publish(CHANNEL, message)
        await pipeline.execute()


async def until_subscribed(store: Store) -> None:
    async with Redis.from_url(store.url) as redis:
        async with asyncio.timeout(10):
            while not (await redis.pubsub_numsub(CHANNEL))[0][1]:
                await asyncio.sleep(0.01)


async def test_a_message_revokes_at_once(store: Store) -> None:
    async with watching(store) as (watch, told):
        await until_subscribed(store)
        await until(lambda: watch.reachable)
        began_s = time.monotonic()
        await revoke(store, "key1", message=f"{OURS} key1 1")
        await until(lambda: watch.is_revoked("key1"))
        assert time.monotonic() - began_s < within(1)
        await until(lambda: (ONE, ONE) in told)
        assert not watch.is_revoked("key2")


async def test_a_lost_message_costs_a_poll_and_running_streams_are_ended_to_be_safe(store: Store) -> None:
    async with watching(store) as (watch, told):
        await until(lambda: watch.reachable)
        began_s = time.monotonic()
        await revoke(store, "key1")
        await until(lambda: watch.is_revoked("key1"))
        assert time.monotonic() - began_s < within(1)
        await until(lambda: told == [(ONE, NONE), (ONE, ONE)])


async def test_streams_of_a_key_that_may_finish_them_are_not_ended(store: Store) -> None:
    async with watching(store) as (watch, told):
        await until_subscribed(store)
        await revoke(store, "key1", message=f"{OURS} key1 0")
        await until(lambda: watch.is_revoked("key1"))
        await asyncio.sleep(0.8)
        assert told == [(ONE, NONE)]


async def test_what_was_revoked_before_the_start_is_known(store: Store) -> None:
    await revoke(store, "key1", "key2")
    async with watching(store) as (watch, _):
        await until(lambda: watch.is_revoked("key1") and watch.is_revoked("key2"))


async def test_other_organizations_are_not_our_concern_until_they_are_served_here(store: Store) -> None:
    served = [OURS]
    async with watching(store, served) as (watch, _):
        await until_subscribed(store)
        await revoke(store, "foreign", organization=FOREIGN, message=f"{FOREIGN} foreign 1")
        await revoke(store, "key1", message=f"{OURS} key1 1")
        await until(lambda: watch.is_revoked("key1"))
        assert not watch.is_revoked("foreign")
        served.append(FOREIGN)
        await until(lambda: watch.is_revoked("foreign"))


async def test_an_odd_message_is_stepped_over(store: Store) -> None:
    async with watching(store) as (watch, _):
        await until_subscribed(store)
        async with Redis.from_url(store.url) as redis:
            for odd in ("", "x", f"{OURS} key9 2", f"{OURS} key9 1 more", b"\xff\xfe"):
                await redis.publish(CHANNEL, odd)
        await revoke(store, "key1", message=f"{OURS} key1 1")
        await until(lambda: watch.is_revoked("key1"))
        assert not watch.is_revoked("key9")
        await until(lambda: watch.reachable)


async def test_a_flushed_store_takes_no_revocation_back(store: Store) -> None:
    async with watching(store) as (watch, _):
        await revoke(store, "key1")
        await until(lambda: watch.is_revoked("key1"))
        async with Redis.from_url(store.url) as redis:
            await redis.flushall()
        await revoke(store, "key2")
        await until(lambda: watch.is_revoked("key2"))
        assert watch.is_revoked("key1")


async def take_back(store: Store, key_id: str) -> None:
    """What the control plane does when a person comes back."""
    async with Redis.from_url(store.url) as redis, redis.pipeline(transaction=False) as pipeline:
        pipeline.srem(set_key(OURS), key_id)
        pipeline.incr(VERSION_KEY)
        await pipeline.execute()


async def test_what_the_control_plane_takes_back_is_no_longer_revoked(store: Store) -> None:
    await revoke(store, "key1", "key2")
    # The watch's own clock: a store is trusted only after a while, and this test does not wait for it.
    skipped_s = 0.0
    watch = TombstoneWatch(store.url, lambda: [OURS], clock_s=lambda: time.monotonic() + skipped_s)
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.is_revoked("key1"))
    skipped_s = 100.0
    await take_back(store, "key1")
    await until(lambda: not watch.is_revoked("key1"))
    assert watch.is_revoked("key2")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_new_store_is_believed_when_its_first_revocation_is_taken_back(store: Store) -> None:
    async with watching(store) as (watch, _):
        await until(lambda: watch.reachable)
        await revoke(store, "key1")
        await until(lambda: watch.is_revoked("key1"))
        await take_back(store, "key1")
        await until(lambda: not watch.is_revoked("key1"))


async def test_what_is_taken_back_while_a_store_is_not_trusted_is_taken_back_later(store: Store) -> None:
    skipped_s = 0.0
    watch = TombstoneWatch(store.url, lambda: [OURS], clock_s=lambda: time.monotonic() + skipped_s)
    task = asyncio.create_task(watch.run())
    await revoke(store, "key1", "key2")
    await until(lambda: watch.is_revoked("key1"))
    async with Redis.from_url(store.url) as redis:
        # It forgot, and the control plane repaired it.
        await redis.delete(VERSION_KEY)
        await asyncio.sleep(0.6)
    await revoke(store, "key1", "key2")
    await take_back(store, "key1")
    await asyncio.sleep(0.6)
    assert watch.is_revoked("key1")
    skipped_s = 100.0
    await until(lambda: not watch.is_revoked("key1"))
    assert watch.is_revoked("key2")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_store_that_forgot_takes_nothing_back_even_when_its_version_moves_on(store: Store) -> None:
    async with watching(store) as (watch, _):
        await revoke(store, "key1")
        await revoke(store, "key2")
        await until(lambda: watch.is_revoked("key2"))
        async with Redis.from_url(store.url) as redis:
            await redis.flushall()
        await asyncio.sleep(0.6)
        for number in range(5):
            await revoke(store, f"later{number}")
            await until(lambda number=number: watch.is_revoked(f"later{number}"))  # type: ignore[misc]
        assert watch.is_revoked("key1")
        assert watch.is_revoked("key2")


async def test_a_killed_store_is_noticed_and_its_return_too(store: Store) -> None:
    async with watching(store) as (watch, _):
        await revoke(store, "key1")
        await until(lambda: watch.is_revoked("key1") and watch.reachable)
        await asyncio.to_thread(store.stop)
        began_s = time.monotonic()
        await until(lambda: not watch.reachable)
        assert time.monotonic() - began_s < within(3)
        assert watch.is_revoked("key1")
        await asyncio.to_thread(store.start)
        await revoke(store, "key2")
        await until(lambda: watch.reachable and watch.is_revoked("key2"))
        await until_subscribed(store)
        await revoke(store, "key3", message=f"{OURS} key3 1")
        await until(lambda: watch.is_revoked("key3"))


async def test_a_frozen_store_is_out_of_reach_until_it_answers_again(store: Store) -> None:
    async with watching(store) as (watch, _):
        await until(lambda: watch.reachable)
        store.send(signal.SIGSTOP)
        try:
            await until(lambda: not watch.reachable)
        finally:
            store.send(signal.SIGCONT)
        await until(lambda: watch.reachable)
        await revoke(store, "key1")
        await until(lambda: watch.is_revoked("key1"))
