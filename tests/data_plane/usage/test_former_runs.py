"""What a spool may say of the runs before it: that what they did not write down never went out."""

from pathlib import Path

import pytest

from data_plane.usage import former_runs
from data_plane.usage.former_runs import FormerRuns
from data_plane.usage.spool import Spool
from tests.data_plane.usage.builders import a_spool, an_event, everything_unreported, until
from tests.data_plane.usage.disks import FailingDisk

MARK = "whole-since"


async def former_of(spool: Spool) -> FormerRuns:
    """What it says once everything of former runs is stored."""
    events = await everything_unreported(spool)
    if events:
        spool.stored_through(events[-1][0])
    found = spool.former_runs
    assert found is not None
    return found


async def test_a_first_run_has_none_before_it(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    assert spool.former_runs == FormerRuns(run=spool.run, whole_since=spool.run)
    await spool.close()


async def test_runs_of_one_spool_have_ascending_numbers_and_are_whole(tmp_path: Path) -> None:
    runs = []
    for _ in range(3):
        spool = await a_spool(tmp_path)
        runs.append(spool.run)
        said = await former_of(spool)
        await spool.close()
    assert runs == sorted(set(runs))
    assert said == FormerRuns(run=runs[-1], whole_since=runs[0])


async def test_nothing_is_said_before_all_that_was_left_over_is_stored(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.admitted(an_event("cut"), "cut", 1)
    await spool.close()
    spool = await a_spool(tmp_path)
    assert spool.former_runs is None
    ((sequence, _),) = await everything_unreported(spool)
    spool.stored_through(sequence)
    assert spool.former_runs is not None
    # What came since is of this run.
    spool.final(an_event("own"), "own", 1)
    assert spool.former_runs is not None
    await spool.close()


async def test_after_a_loss_of_power_nobody_knows_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernel").write_text("another-life\n")
    spool = await a_spool(tmp_path / "spool")
    await spool.close()
    monkeypatch.setattr(former_runs, "_KERNEL", tmp_path / "kernel")
    spool = await a_spool(tmp_path / "spool")
    first_after = spool.run
    assert await former_of(spool) == FormerRuns(run=first_after, whole_since=first_after)
    await spool.close()
    spool = await a_spool(tmp_path / "spool")
    assert await former_of(spool) == FormerRuns(run=spool.run, whole_since=first_after)
    await spool.close()


async def test_where_the_system_does_not_name_its_life_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_runs, "_KERNEL", tmp_path / "there is none")
    for _ in range(2):
        spool = await a_spool(tmp_path / "spool")
        assert await former_of(spool) == FormerRuns(run=spool.run, whole_since=spool.run)
        await spool.close()


async def test_a_damaged_record_takes_the_word_back(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.admitted(an_event("one"), "one", 1)
    spool.final(an_event("one"), "one", 1)
    await spool.close()
    segment = max(tmp_path.glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    spool = await a_spool(tmp_path)
    assert await former_of(spool) == FormerRuns(run=spool.run, whole_since=spool.run)
    await spool.close()


async def test_a_run_whose_disk_refused_is_not_spoken_of(tmp_path: Path) -> None:
    disk = FailingDisk()
    spool = await a_spool(tmp_path, disk=disk)
    assert (tmp_path / MARK).exists()
    disk.write_faults = 1
    spool.admitted(an_event("one"), "one", 1)
    await until(lambda: spool.refusals > 0)
    await spool.close()
    assert not (tmp_path / MARK).exists()
    spool = await a_spool(tmp_path)
    assert await former_of(spool) == FormerRuns(run=spool.run, whole_since=spool.run)
    await spool.close()
