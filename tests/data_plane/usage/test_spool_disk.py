"""A disk that is full or broken: admission stops, what is in flight is closed, and it goes on by itself."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from data_plane.usage.spool import SpoolUnavailable
from tests.data_plane.usage.builders import MIB, a_spool, an_event, everything_unreported, read_event, until
from tests.data_plane.usage.disks import FailingDisk

HERE = Path(__file__).parent


async def ids_unreported(spool_path: Path) -> list[str]:
    spool = await a_spool(spool_path)
    ids = [read_event(event).exchange_id for _, event in await everything_unreported(spool)]
    await spool.close()
    return ids


async def test_one_failed_sync_moves_on_to_a_new_segment(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    segments = set(tmp_path.glob("*.segment"))
    disk.sync_faults = 1
    position = 0
    for number in range(5):
        position = spool.final(an_event(f"e{number}"), f"e{number}", 1)
    await spool.synced(position)
    assert (spool.refusals, spool.is_broken, spool.can_admit()) == (1, False, True)
    assert set(tmp_path.glob("*.segment")) - segments
    assert [sequence for sequence, _ in await everything_unreported(spool)] == [1, 2, 3, 4, 5]
    await spool.close()
    assert await ids_unreported(tmp_path) == [f"e{number}" for number in range(5)]


async def test_a_disk_that_keeps_failing_stops_admission_until_it_works_again(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    spool.admitted(an_event("in-flight"), "in-flight", 1)
    disk.sync_faults = 1 << 30
    with pytest.raises(SpoolUnavailable):
        await spool.synced(spool.admitted(an_event("other"), "other", 1))
    assert spool.is_broken
    assert not spool.can_admit()
    spool.final(an_event("in-flight"), "in-flight", 1)
    spool.final(an_event("other"), "other", 1)
    disk.sync_faults = 0
    await until(spool.can_admit)
    assert len(await everything_unreported(spool)) == 2
    await spool.close()
    assert await ids_unreported(tmp_path) == ["in-flight", "other"]


async def test_a_failed_write_loses_nothing(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    for number in range(20):
        disk.write_faults = number % 4 == 0
        spool.admitted(an_event(f"e{number}"), f"e{number}", 1)
        disk.write_faults = 3 * (number % 7 == 0)
        spool.final(an_event(f"e{number}"), f"e{number}", 1)
        if number % 5 == 0:
            await asyncio.sleep(0.03)
    disk.write_faults = 0
    await until(spool.can_admit)
    await spool.close()
    assert await ids_unreported(tmp_path) == [f"e{number}" for number in range(20)]


async def test_a_segment_that_is_ready_too_late_does_not_turn_the_order_round(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.may_prepare.clear()
    spool = await a_spool(tmp_path, segment_bytes=4096, limit_bytes=MIB, disk=disk)
    ids = [f"e{number}" for number in range(60)]
    for exchange_id in ids:
        spool.admitted(an_event(exchange_id, padding=200), exchange_id, 1)
    disk.may_prepare.set()
    await asyncio.sleep(0.05)
    for exchange_id in ids:
        spool.final(an_event(exchange_id, padding=200), exchange_id, 1)
    await spool.close()
    assert await ids_unreported(tmp_path) == ids


async def test_nor_does_one_that_comes_while_the_disk_refuses(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.may_prepare.clear()
    spool = await a_spool(tmp_path, disk=disk)
    spool.admitted(an_event("a"), "a", 1)
    await asyncio.sleep(0)
    disk.write_faults = 1
    spool.admitted(an_event("b"), "b", 1)
    await asyncio.sleep(0)
    disk.write_faults = 2
    spool.admitted(an_event("c"), "c", 1)
    await asyncio.sleep(0)
    assert spool.is_broken
    disk.may_prepare.set()
    await until(spool.can_admit)
    for exchange_id in "abc":
        spool.final(an_event(exchange_id), exchange_id, 1)
    await spool.close()
    assert await ids_unreported(tmp_path) == ["a", "b", "c"]


async def test_a_full_disk_stops_admission_while_everything_in_flight_can_still_be_closed(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk, segment_bytes=256 * 1024, limit_bytes=2 * MIB)
    await until(lambda: len(list(tmp_path.glob("*.segment"))) == 2)
    disk.is_full = True
    admitted = []
    await asyncio.sleep(0.6)
    while spool.can_admit():
        exchange_id = f"e{len(admitted)}"
        spool.admitted(an_event(exchange_id, padding=900), exchange_id, 1)
        admitted.append(exchange_id)
    assert admitted
    for exchange_id in admitted:
        position = spool.final(an_event(exchange_id, padding=900), exchange_id, 1)
    await spool.synced(position)
    assert spool.refusals == 0
    disk.is_full = False
    await until(spool.can_admit)
    await spool.close()
    assert await ids_unreported(tmp_path) == admitted


async def test_the_spools_own_limit_stops_admission_and_receipts_start_it_again(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path, segment_bytes=64 * 1024, limit_bytes=512 * 1024)
    count = 0
    while spool.can_admit():
        spool.admitted(an_event(f"e{count}"), f"e{count}", 1)
        spool.final(an_event(f"e{count}", padding=1000), f"e{count}", 1)
        count += 1
        if count % 50 == 0:
            await asyncio.sleep(0.01)
    assert count > 100
    assert spool.depth_bytes < 512 * 1024
    events = await everything_unreported(spool)
    assert len(events) == count
    spool.stored_through(events[-1][0])
    await until(spool.can_admit)
    await spool.close()


def test_a_file_size_limit_of_the_system_is_a_full_disk(tmp_path: Path) -> None:
    """The real thing: the kernel refuses every write of the process, then takes them again."""
    done = subprocess.run(
        [sys.executable, str(HERE / "limited_writer.py"), str(tmp_path)], capture_output=True, timeout=60, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "admits_at_limit": False,
        "broken_at_limit": True,
        "admits_after": True,
    }
    assert asyncio.run(ids_unreported(tmp_path)) == ["before", "during"]
