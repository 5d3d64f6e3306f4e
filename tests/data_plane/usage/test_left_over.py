"""What a former run left behind: told once to whoever settles it."""

from pathlib import Path

from switchyard_contract.v1 import usage_pb2
from tests.data_plane.usage.builders import a_spool, an_event, everything_unreported, read_event, until


async def test_a_first_run_has_nothing_left_over(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.final(an_event("own"), "own", 1)
    assert [event async for event in spool.left_over()] == []
    await spool.close()


async def test_events_of_the_last_run_are_told_with_whether_its_end_cut_them(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.admitted(an_event("whole"), "whole", 1)
    spool.final(an_event("whole", output=7), "whole", 1)
    spool.admitted(an_event("cut", output=3), "cut", 1)
    await spool.close()
    spool = await a_spool(tmp_path)
    spool.final(an_event("new"), "new", 1)
    found = [(read_event(event), was_cut) async for event, was_cut in spool.left_over()]
    assert [(event.exchange_id, event.tokens.output, was_cut) for event, was_cut in found] == [
        ("whole", 7, False),
        ("cut", 3, True),
    ]
    assert found[1][0].kind == usage_pb2.USAGE_KIND_ESTIMATED
    await spool.close()


async def test_what_is_stored_is_no_longer_told(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    spool.final(an_event("old"), "old", 1)
    (sequence, _event), *_ = await everything_unreported(spool)
    spool.stored_through(sequence)
    await until(lambda: spool.depth_records == 0)
    await spool.close()
    spool = await a_spool(tmp_path)
    found = [read_event(event).exchange_id async for event, _ in spool.left_over()]
    assert found == [] or found == ["old"], "the acknowledgement may not have reached the disk"
    await spool.close()
