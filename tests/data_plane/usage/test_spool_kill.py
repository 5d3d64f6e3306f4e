"""kill -9 in the middle of the load, again and again: every exchange has exactly one row."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from switchyard_contract.v1 import usage_pb2
from tests.data_plane.usage.builders import a_spool, everything_unreported, read_event

WRITER = Path(__file__).parent / "killed_writer.py"
KILLS = 4


def run_and_kill(directory: Path, run: str, after_s: float) -> list[list[str]]:
    """Let a writer work for a while, kill it, and give back what it said."""
    # A file and not a pipe: nobody has to read along, and what was said outlives the writer.
    said = directory.parent / f"said-{run}"
    with said.open("wb") as out:
        writer = subprocess.Popen([sys.executable, str(WRITER), str(directory), run], stdout=out)
        deadline = time.monotonic() + 30
        while not said.stat().st_size and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(after_s)
        writer.kill()
        writer.wait()
    lines = said.read_text().split("\n")
    return [line.split(" ") for line in lines[:-1]]


def test_a_killed_pod_loses_no_exchange_and_doubles_none(tmp_path: Path) -> None:
    spool_path = tmp_path / "spool"
    chance = random.Random(7)
    words: list[list[str]] = []
    for run in range(KILLS):
        words += run_and_kill(spool_path, f"r{run}", 0.3 + chance.random() * 0.5)

    async def rest() -> list[tuple[bytes, int, bytes]]:
        spool = await a_spool(spool_path)
        events = await everything_unreported(spool)
        await spool.close()
        return [(spool.boot_id, sequence, event) for sequence, event in events]

    stored: dict[tuple[bytes, int], bytes] = {}
    told = [(bytes.fromhex(each[1]), int(each[2]), bytes.fromhex(each[3])) for each in words if each[0] == "R"]
    for boot_id, sequence, event in told + asyncio.run(rest()):
        assert stored.setdefault((boot_id, sequence), event) == event
    rows: dict[str, usage_pb2.UsageEvent] = {}
    for raw in stored.values():
        event = read_event(raw)
        assert event.exchange_id not in rows
        rows[event.exchange_id] = event

    admitted = {each[1] for each in words if each[0] == "A"}
    final = {each[1]: int(each[2]) for each in words if each[0] == "F"}
    progress = {each[1]: int(each[2]) for each in words if each[0] == "P"}
    assert len(final) > 200
    # A call may have returned whose word was not said any more: rows beyond what was said are at most one per kill.
    assert admitted <= rows.keys()
    assert len(rows.keys() - admitted) <= KILLS
    for exchange_id, output in final.items():
        assert rows[exchange_id].kind == usage_pb2.USAGE_KIND_FINAL
        assert rows[exchange_id].tokens.output == output
    cut = admitted - final.keys()
    closed = {each for each in cut if rows[each].kind != usage_pb2.USAGE_KIND_FINAL}
    assert closed
    assert len(cut - closed) <= KILLS
    assert all(rows[each].tokens.output - progress.get(each, 0) in (0, 1) for each in closed)
    counted = {each for each in closed if rows[each].kind == usage_pb2.USAGE_KIND_COUNTED}
    assert closed & progress.keys() <= counted
    # What was written down and not said any more is at most one per kill here too.
    assert len(counted - progress.keys()) <= KILLS
