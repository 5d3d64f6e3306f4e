"""The spool against a simple model: random work, random receipts, then the power fails or the process is killed.

The model is the ledger: what the control plane was given before the end and what the next run gives it, one row per
attempt. A kill loses nothing. A power loss keeps at least what was synced, and never contradicts what had left the pod.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_plane.usage import spool as spool_module
from data_plane.usage.spool import Spool, SpoolUnavailable
from switchyard_contract.v1 import usage_pb2
from tests.data_plane.usage.builders import a_spool, an_event, everything_unreported, read_event
from tests.data_plane.usage.disks import FailingDisk

Steps = list[tuple[str, int, int]]
EXCHANGES = 6
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["admit", "progress", "final"]), st.integers(0, EXCHANGES - 1), st.integers(0, 900)),
        st.tuples(st.sampled_from(["sync", "report", "rest", "fail sync", "fail write"]), st.just(0), st.just(0)),
        st.tuples(st.just("ack"), st.integers(0, 40), st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Model:
    """What was handed to the spool, and what the control plane has."""

    admitted: dict[str, int] = field(default_factory=dict)
    """Exchange to its newest known output."""
    sent: set[str] = field(default_factory=set)
    sent_before_kill: frozenset[str] = frozenset()
    """What went upstream: its record is in no process's memory alone."""
    final: dict[str, int] = field(default_factory=dict)
    synced_admitted: set[str] = field(default_factory=set)
    synced_final: set[str] = field(default_factory=set)
    reported: dict[tuple[bytes, int], bytes] = field(default_factory=dict)


async def work(directory: Path, steps: Steps, model: Model, crash: Path, power_cut: float, *, ends_turn: bool) -> None:
    """Do the steps, then leave in `crash` what the disk holds at the end. power_cut: share of unsynced bytes kept.

    ends_turn: the loop's turn of the last step is over when it happens.
    """
    disk = FailingDisk()
    spool = await a_spool(directory, segment_bytes=4096, limit_bytes=1 << 20, disk=disk)
    generation = 0
    for action, number, size in steps:
        exchange_id = f"{number}-{generation}"
        match action:
            case "admit" if exchange_id not in model.admitted:
                model.admitted[exchange_id] = 0
                spool.admitted(an_event(exchange_id, padding=size), exchange_id, 1)
                spool.after_write(partial(model.sent.add, exchange_id))
            case "progress" if exchange_id in model.admitted:
                model.admitted[exchange_id] += 1
                event = an_event(exchange_id, output=model.admitted[exchange_id], padding=size)
                spool.progress(event, exchange_id, 1)
            case "final" if exchange_id in model.admitted:
                model.final[exchange_id] = size
                spool.final(an_event(exchange_id, output=10_000 + size, padding=size), exchange_id, 1)
                generation += 1
            case "sync" | "report":
                await until_synced(spool)
                model.synced_admitted |= model.admitted.keys()
                model.synced_final |= model.final.keys()
                if action == "report":
                    for sequence, event in await everything_unreported(spool, batch=3):
                        known = model.reported.setdefault((spool.boot_id, sequence), event)
                        assert known == event
            case "ack" if model.reported:
                spool.stored_through(min(number, max(sequence for _, sequence in model.reported)))
            case "rest":
                await asyncio.sleep(0.03)
            case "fail sync":
                disk.sync_faults = 1
            case "fail write":
                disk.write_faults = 1
    disk.sync_faults = disk.write_faults = 0
    if ends_turn:
        await asyncio.sleep(0)
    model.sent_before_kill = frozenset(model.sent)
    # In the spool's own thread while the loop stands still: everything ends at one moment.
    spool._thread._thread.submit(shutil.copytree, directory, crash).result()
    if power_cut < 1:
        for file, path in disk.paths.items():
            kept = crash / path.name
            if kept.exists() and disk.synced[file] < disk.written[file]:
                lost = disk.written[file] - disk.synced[file]
                os.truncate(kept, disk.synced[file] + int(lost * power_cut))
    await spool.close()


async def until_synced(spool: Spool) -> None:
    while True:
        try:
            return await spool.synced(spool._journal.position)
        except SpoolUnavailable:
            await asyncio.sleep(0.005)  # The next tick tries the disk again.


async def ledger_after(crash: Path, model: Model) -> dict[str, usage_pb2.UsageEvent]:
    """One row per attempt: what was reported and what the next run reports."""
    spool = await a_spool(crash, segment_bytes=4096, limit_bytes=1 << 20)
    for sequence, event in await everything_unreported(spool, batch=4):
        assert model.reported.setdefault((spool.boot_id, sequence), event) == event
    assert spool.in_flight == 0
    await spool.close()
    rows: dict[str, usage_pb2.UsageEvent] = {}
    for raw in model.reported.values():
        event = read_event(raw)
        assert rows.setdefault(event.exchange_id, event) == event, "two different rows for one attempt"
    return rows


def is_closed_by_end(row: usage_pb2.UsageEvent) -> bool:
    """What the spool says of an exchange that the end of its process cut: counted, or estimated."""
    return row.kind in (usage_pb2.USAGE_KIND_ESTIMATED, usage_pb2.USAGE_KIND_COUNTED)


def run(
    folder: Path, steps: Steps, power_cut: float, *, ends_turn: bool
) -> tuple[Model, dict[str, usage_pb2.UsageEvent]]:
    model = Model()

    async def both() -> dict[str, usage_pb2.UsageEvent]:
        await work(folder / "live", steps, model, folder / "crash", power_cut, ends_turn=ends_turn)
        return await ledger_after(folder / "crash", model)

    return model, asyncio.run(both())


@pytest.fixture(autouse=True, scope="module")
def quick_ticks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "TICK_S", 0.01)
        yield


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(steps=STEPS, ends_turn=st.booleans())
def test_a_kill_loses_nothing_and_doubles_nothing(tmp_path_factory, steps: Steps, ends_turn: bool) -> None:
    model, rows = run(tmp_path_factory.mktemp("kill"), steps, power_cut=1, ends_turn=ends_turn)
    # What a disk refused twice in a row was in memory only; a kill may take that, and nothing else.
    has_refused = any(action.startswith("fail") for action, _, _ in steps)
    assert rows.keys() <= model.admitted.keys()
    assert model.sent_before_kill <= rows.keys() or has_refused
    is_exact = ends_turn and not has_refused
    assert rows.keys() == model.admitted.keys() or not is_exact
    for exchange_id, row in rows.items():
        if exchange_id in model.final and not is_closed_by_end(row):
            assert row.tokens.output == 10_000 + model.final[exchange_id]
        elif exchange_id in model.final:
            assert not is_exact, "a turn had passed, and the event was in memory only"
        else:
            assert is_closed_by_end(row)
            newest = model.admitted[exchange_id]
            assert row.tokens.output == newest or (not is_exact and row.tokens.output < newest)


@QUICK
@given(steps=STEPS, kept=st.floats(0, 0.999))
def test_a_power_loss_keeps_what_was_synced(tmp_path_factory, steps: Steps, kept: float) -> None:
    model, rows = run(tmp_path_factory.mktemp("power"), steps, power_cut=kept, ends_turn=False)
    assert model.synced_admitted <= rows.keys()
    for exchange_id in model.synced_final:
        assert not is_closed_by_end(rows[exchange_id])
        assert rows[exchange_id].tokens.output == 10_000 + model.final[exchange_id]
