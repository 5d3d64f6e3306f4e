"""A pod is killed and its disk is gone: what it ran is estimated, and the books say that they are incomplete.

`python -m tests.end_to_end.lost_disk` takes some four minutes, since what a pod held is given up two minutes after
nobody renewed it; so it is no part of `make test`, whose tests of orphans bring a clock of their own.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.end_to_end.kill_cycles import organizations_add
from tests.end_to_end.load import Load, Seen
from tests.end_to_end.stack import Stack, start_stack, until

RATE_PER_S = 5.0
# Twenty seconds, so that nothing ends in the moment in which its event would be lost with the disk.
BEHAVIOUR = "sim-text-100-delay200"
LIMIT_S = 300.0


async def lose_a_disk(stack: Stack) -> list[Seen]:
    """Ask for long answers, kill a pod and its disk in the middle; give what its clients saw."""
    (key,) = await asyncio.to_thread(organizations_add, stack, 1)
    load = Load(stack.gateway_url, key, RATE_PER_S, behaviour=BEHAVIOUR, first_number=0)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(8)
    states = sorted(stack.home.rglob("*.segment"))
    folders = {path.parent for path in states} or {path for path in stack.home.rglob("spool") if path.is_dir()}
    folder = min(folders)
    number = next(part for part in folder.parts if part.startswith("local-")).removeprefix("local-")
    old = stack.kill(f"pod-{number}")
    shutil.rmtree(folder)
    load.stop()
    await asyncio.to_thread(stack.wait_for_new_pid, f"pod-{number}", old)
    await running
    return load.seen


def rows_of(stack: Stack, seen: list[Seen]) -> dict[str, list[dict[str, Any]]]:
    """The ledger's rows of each request, by the exchange's id that its client was told."""
    with psycopg.connect(stack.local["database_url"], row_factory=dict_row) as connection:
        found = connection.execute(
            "SELECT exchange_id, kind, cost_nano_usd, principal_id FROM usage_ledger WHERE exchange_id = ANY(%s)",
            ([one.request_id for one in seen],),
        ).fetchall()
    rows: dict[str, list[dict[str, Any]]] = {one.request_id: [] for one in seen}
    for row in found:
        rows[row["exchange_id"]].append(row)
    return rows


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="lost-disk-") as folder,
        start_stack(Path(folder) / "home", pods=2) as stack,
    ):
        seen = [one for one in asyncio.run(lose_a_disk(stack)) if one.request_id]
        cut = [one for one in seen if not one.is_complete]
        print(f"{len(seen)} answers had begun, {len(cut)} were cut")
        begun_s = time.monotonic()
        until(lambda: all(rows_of(stack, cut).values()), LIMIT_S, "not every cut answer has a row", every_s=5.0)
        took_s = time.monotonic() - begun_s
        rows = rows_of(stack, seen)
        kinds = Counter(row["kind"] for one in cut for row in rows[one.request_id])
        said = stack.api("GET", "completeness")
        print(f"rows of cut answers after {took_s:.0f} s: {dict(kinds)}; completeness says {said}")
        faults = [one.request_id for one in cut if len(rows[one.request_id]) != 1]
        faults += [
            one.request_id
            for one in cut
            for row in rows[one.request_id]
            if row["kind"] != "orphan_estimated" or row["cost_nano_usd"] <= 0 or row["principal_id"] is None
        ]
        missing = [one.request_id for one in seen if one.is_complete and not rows[one.request_id]]
        print(f"{len(faults)} faults {faults[:5]}; complete and lost with the disk: {len(missing)}")
        return 1 if faults or not cut or said["orphans"] != len(cut) else 0


if __name__ == "__main__":
    sys.exit(main())
