"""A real sentinel in front of the store: counters, the watch on revoked keys and the doctor find the master."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from data_plane.counters.tombstones import VERSION_KEY, TombstoneWatch, set_key
from deploy.local.binaries import find_valkey
from deploy.local.ports import pick_free_ports
from deploy.local.store_checks import _redis
from tests.data_plane.counters.builders import ORGANIZATION, a_budget, an_ask, claims_of
from tests.data_plane.counters.conftest import Store
from tests.data_plane.counters.pods import counting, granted
from tests.data_plane.usage.builders import until


@pytest.fixture
def sentinel_url(store: Store, tmp_path: Path) -> Iterator[str]:
    master = urlsplit(store.url).port
    (port,) = pick_free_ports(1)
    configuration = tmp_path / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor money 127.0.0.1 {master} 1\nsentinel auth-pass money secret\n"
    )
    with (tmp_path / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([str(find_valkey()), str(configuration), "--sentinel"], stdout=log, stderr=log)
    yield f"redis+sentinel://:secret@127.0.0.1:{port}/money/0"
    process.terminate()
    process.wait(10)


async def test_counters_and_revocations_go_through_it(store: Store, sentinel_url: str) -> None:
    async with counting(sentinel_url) as counters:
        assert (await granted(counters, claims_of(a_budget(1)), an_ask(1))).degraded == ""
    with redis.Redis.from_url(store.url) as direct:
        direct.sadd(set_key(ORGANIZATION), "key1")
        direct.incr(VERSION_KEY)
    watch = TombstoneWatch(sentinel_url, lambda: [ORGANIZATION])
    task = asyncio.create_task(watch.run())
    await until(lambda: watch.is_revoked("key1"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_doctor_looks_through_it(sentinel_url: str) -> None:
    async with counting(sentinel_url):
        found = await asyncio.to_thread(lambda: list(_redis("COUNTERS_URL", sentinel_url)))
    assert [finding.seen for finding in found] == ["answers, noeviction"]
