"""The spool: nothing is lost, nothing twice, and it lets go of what is stored."""

import asyncio
from pathlib import Path

import pytest

from data_plane.usage import backlog
from data_plane.usage.recovery import RESTARTED
from data_plane.usage.spool import SpoolInUse
from switchyard_contract.v1 import usage_pb2
from tests.data_plane.usage.builders import MIB, a_spool, an_event, everything_unreported, read_event, until
from tests.data_plane.usage.disks import FailingDisk


async def test_events_come_out_in_order_with_dense_sequences(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    for number in range(10):
        spool.admitted(an_event(f"e{number}"), f"e{number}", 1)
        spool.final(an_event(f"e{number}", output=number), f"e{number}", 1)
    events = await everything_unreported(spool)
    assert [sequence for sequence, _ in events] == list(range(1, 11))
    assert [read_event(event).tokens.output for _, event in events] == list(range(10))
    assert (spool.depth_records, spool.in_flight) == (10, 0)
    await spool.close()


async def test_what_may_leave_waits_for_the_one_write_of_its_turn(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    before = sum(disk.written.values())
    written_when_left: list[int] = []
    for exchange_id in "ab":
        spool.admitted(an_event(exchange_id), exchange_id, 1)
        spool.after_write(lambda: written_when_left.append(sum(disk.written.values())))
    spool.final(an_event("a"), "a", 1)
    assert sum(disk.written.values()) == before, "each waits for company"
    assert not written_when_left
    await asyncio.sleep(0)
    assert written_when_left == [spool.depth_bytes] * 2, "in the next turn everything is written, then they leave"
    await spool.close()


async def test_a_refusal_needs_no_admission(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.final(an_event("refused", 0), "refused", 0)
    assert len(await everything_unreported(spool)) == 1
    await spool.close()


async def test_what_was_not_stored_is_sent_again_under_the_same_numbers(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    boot_id = spool.boot_id
    for number in range(6):
        spool.final(an_event(f"e{number}"), f"e{number}", 1)
    before = await everything_unreported(spool)
    spool.stored_through(4)
    await spool.close()

    again = await a_spool(tmp_path)
    assert again.boot_id == boot_id
    assert await everything_unreported(again) == before[4:]
    again.final(an_event("later"), "later", 1)
    assert (await everything_unreported(again))[-1][0] == 7
    await again.close()


async def test_an_exchange_cut_by_the_end_becomes_one_row_counted_from_its_last_progress_or_estimated(
    tmp_path: Path,
) -> None:
    spool = await a_spool(tmp_path)
    spool.admitted(an_event("cut", output=1), "cut", 1)
    spool.progress(an_event("cut", output=70), "cut", 1)
    spool.admitted(an_event("bare", output=5), "bare", 2)
    await spool.close()

    again = await a_spool(tmp_path)
    rows = [read_event(event) for _, event in await everything_unreported(again)]
    assert [(row.exchange_id, row.attempt, row.tokens.output) for row in rows] == [("cut", 1, 70), ("bare", 2, 5)]
    assert [row.kind for row in rows] == [usage_pb2.USAGE_KIND_COUNTED, usage_pb2.USAGE_KIND_ESTIMATED]
    assert {row.outcome for row in rows} == {usage_pb2.OUTCOME_FAILED}
    assert {row.error_type for row in rows} == {RESTARTED}
    await again.close()

    third = await a_spool(tmp_path)
    assert len(await everything_unreported(third)) == 2
    await third.close()


async def test_sequences_go_on_when_all_segments_but_the_last_were_deleted(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    for number in range(50):
        spool.final(an_event(f"e{number}"), f"e{number}", 1)
    await everything_unreported(spool)
    spool.stored_through(50)
    await spool.close()
    old = set(tmp_path.glob("*.segment"))
    spool = await a_spool(tmp_path)
    await until(lambda: not old & set(tmp_path.glob("*.segment")))
    await spool.close()
    (tmp_path / "acked").unlink()

    spool = await a_spool(tmp_path)
    spool.final(an_event("next"), "next", 1)
    events = await asyncio.wait_for(spool.unreported(50, 500), 10)
    assert [sequence for sequence, _ in events] == [51]
    await spool.close()


async def test_segments_go_when_stored_and_not_before(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path, segment_bytes=16 * 1024, limit_bytes=MIB)
    for number in range(100):
        spool.final(an_event(f"e{number}", padding=1000), f"e{number}", 1)
    events = await everything_unreported(spool)
    held = spool.depth_bytes
    assert held > 100_000
    spool.stored_through(50)
    await until(lambda: spool.depth_bytes < held * 0.7)
    assert await everything_unreported(spool) == events[50:]
    spool.stored_through(100)
    await until(lambda: spool.depth_bytes < 20_000)
    await spool.close()


async def test_a_long_exchange_holds_nothing_back_and_is_not_forgotten(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path, segment_bytes=16 * 1024, limit_bytes=MIB)
    spool.admitted(an_event("long", output=1), "long", 1)
    spool.progress(an_event("long", output=9), "long", 1)
    for number in range(100):
        spool.final(an_event(f"e{number}", padding=1000), f"e{number}", 1)
    await everything_unreported(spool)
    spool.stored_through(100)
    await until(lambda: spool.depth_bytes < 40_000)
    assert spool.in_flight == 1
    await spool.close()

    again = await a_spool(tmp_path)
    rows = [read_event(event) for _, event in await everything_unreported(again)]
    assert [(row.exchange_id, row.tokens.output) for row in rows] == [("long", 9)]
    await again.close()


async def test_the_reporter_is_fed_from_disk_when_memory_does_not_reach_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MEMORY_BYTES", 3000)
    spool = await a_spool(tmp_path, segment_bytes=16 * 1024, limit_bytes=4 * MIB)
    for number in range(300):
        spool.admitted(an_event(f"e{number}"), f"e{number}", 1)
        spool.final(an_event(f"e{number}", output=number, padding=200), f"e{number}", 1)
    events = await everything_unreported(spool, batch=7)
    assert [read_event(event).tokens.output for _, event in events] == list(range(300))
    await spool.close()


async def test_an_event_leaves_only_once_it_would_survive_a_power_loss(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    disk.sync_faults = 1 << 30
    spool.final(an_event("a"), "a", 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(spool.unreported(0, 500), 0.6)
    disk.sync_faults = 0
    assert len(await asyncio.wait_for(spool.unreported(0, 500), 5)) == 1
    await spool.close()


async def test_strict_waiting_returns_after_the_sync(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, sync="strict", disk=disk)
    position = spool.admitted(an_event("a"), "a", 1)
    await spool.synced(position)
    file = max(disk.paths, key=lambda each: disk.written[each])
    assert disk.synced[file] == disk.written[file]
    await spool.close()


async def test_relaxed_records_still_last_within_a_second_or_so(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path, sync="relaxed")
    spool.final(an_event("a"), "a", 1)
    assert len(await asyncio.wait_for(spool.unreported(0, 500), 5)) == 1
    await spool.close()


async def test_two_processes_never_write_one_spool(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    with pytest.raises(SpoolInUse):
        await a_spool(tmp_path)
    await spool.close()
    await (await a_spool(tmp_path)).close()


async def test_a_damaged_record_costs_one_event_and_is_counted(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    for number in range(9):
        spool.final(an_event(f"event-{number}"), f"event-{number}", 1)
    await spool.close()
    path = max(tmp_path.glob("*.segment"), key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[content.index(b"event-4") + 2] ^= 0x20
    path.write_bytes(content)

    again = await a_spool(tmp_path)
    assert again.damaged_records == 1
    events = await everything_unreported(again)
    rows = [read_event(event).exchange_id for _, event in events]
    assert rows == [f"event-{number}" for number in range(9) if number != 4]
    # Whoever counts the numbers sees that one is missing.
    assert [sequence for sequence, _ in events] == [1, 2, 3, 4, 6, 7, 8, 9]
    await again.close()


async def test_the_number_of_a_last_record_that_was_torn_is_not_given_again(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    for number in range(3):
        spool.final(an_event(f"event-{number}"), f"event-{number}", 1)
    await spool.close()
    path = max(tmp_path.glob("*.segment"), key=lambda each: each.stat().st_size)
    content = bytearray(path.read_bytes())
    content[content.index(b"event-2") + 2] ^= 0x20
    path.write_bytes(content)

    for _ in range(2):
        again = await a_spool(tmp_path)
        assert again.boot_id == spool.boot_id
        again.final(an_event("later"), "later", 1)
        await again.close()
    third = await a_spool(tmp_path)
    numbers = [(sequence, read_event(event).exchange_id) for sequence, event in await everything_unreported(third)]
    assert numbers == [(1, "event-0"), (2, "event-1"), (4, "later"), (5, "later")]
    await third.close()


async def test_a_segment_that_lost_its_head_is_numbered_anew(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.final(an_event("kept"), "kept", 1)
    await spool.close()
    path = max(tmp_path.glob("*.segment"), key=lambda each: each.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(b"\0" * 20 + content[20:])

    again = await a_spool(tmp_path)
    assert again.boot_id != spool.boot_id
    assert [read_event(event).exchange_id for _, event in await everything_unreported(again)] == ["kept"]
    await again.close()
