"""Holds of attempts that never went out, in a whole installation: not booked, or taken back once the pod's disk speaks.

`python -m tests.end_to_end.nothing_sent` takes some two minutes, since holds are looked for twice a minute; so it is no
part of `make test`. No process can be killed reliably between its reservation and its first record, so such holds are
made here: copies of real ones, under exchanges that no spool knows.
"""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis

from control_plane.usage import ulid
from switchyard_contract.holds import Hold, due_key, held_key, lost_key, read_hold
from tests.end_to_end.kill_cycles import organizations_add
from tests.end_to_end.load import Load
from tests.end_to_end.stack import Stack, start_stack, until

BEHAVIOUR = "sim-text-40-delay100"
RATE_PER_S = 2.0
LIMIT_S = 120.0


def forge(store: redis.Redis, organization_id: str, number: int, text: bytes, due_in_s: float) -> str:
    """Have the store hold something for an exchange that nobody has written down; give its id."""
    now = datetime.now(UTC)
    exchange_id = ulid.ulid_of(now, number)
    store.hset(held_key(organization_id), f"{exchange_id}:1", text)
    store.zadd(due_key(organization_id), {f"{exchange_id}:1": (now.timestamp() + due_in_s) * 1000})
    return exchange_id


def a_real_hold(store: redis.Redis) -> tuple[str, bytes, Hold]:
    """Organization, text and contents of a hold of an attempt that runs."""
    for name in store.scan_iter("held:*"):
        for text in store.hvals(name):
            assert isinstance(text, bytes)
            return str(name.decode().removeprefix("held:{").removesuffix("}")), text, read_hold(text)
    raise AssertionError("nothing is held")


def kinds_of(stack: Stack, exchange_id: str) -> list[str]:
    with psycopg.connect(stack.local["database_url"]) as connection:
        rows = connection.execute(
            "SELECT kind FROM usage_ledger WHERE exchange_id = %s ORDER BY kind", (exchange_id,)
        ).fetchall()
    return [kind for (kind,) in rows]


def look(stack: Stack, store: redis.Redis) -> int:
    """Make holds, kill their pod, and see what becomes of each; 0: what should."""
    organization_id, text, hold = a_real_hold(store)
    print(f"held by {hold.pod_id}, run {hold.run} of spool {hold.spool}")
    lost_disk = text.replace(hold.spool.encode(), b"0" * len(hold.spool))
    early, lost = forge(store, organization_id, 1, text, 0), forge(store, organization_id, 2, lost_disk, 0)
    until(lambda: orphans(stack) == 2, LIMIT_S, "what nobody renewed was not booked", every_s=1.0)
    late = forge(store, organization_id, 3, text, 20)
    name = f"pod-{hold.pod_id.rpartition('-')[2]}"
    stack.wait_for_new_pid(name, stack.kill(name))
    until(lambda: orphans(stack) == 1, LIMIT_S, "the estimate was not taken back", every_s=1.0)
    until(lambda: not is_held(store, organization_id, late), LIMIT_S, "the last hold was not swept", every_s=1.0)
    found = {each: kinds_of(stack, each) for each in (early, late, lost)}
    print(f"rows: {found}; completeness says {stack.api('GET', 'completeness')}")
    wanted = {early: ["orphan_estimated", "reversal"], late: [], lost: ["orphan_estimated"]}
    return 0 if found == wanted and orphans(stack) == 1 else 1


async def look_under_load(stack: Stack) -> int:
    """While requests go on: pods give back what lapsed when they speak of the organization."""
    (key,) = await asyncio.to_thread(organizations_add, stack, 1)
    load = Load(stack.gateway_url, key, RATE_PER_S, behaviour=BEHAVIOUR, first_number=0)
    running = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(5)
        with redis.Redis.from_url(stack.local["counters_url"]) as store:
            return await asyncio.to_thread(look, stack, store)
    finally:
        load.stop()
        await running


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="nothing-sent-") as folder,
        start_stack(Path(folder) / "home", pods=2) as stack,
    ):
        return asyncio.run(look_under_load(stack))


def orphans(stack: Stack) -> int:
    said: dict[str, Any] = stack.api("GET", "completeness")
    return int(said["orphans"])


def is_held(store: redis.Redis, organization_id: str, exchange_id: str) -> bool:
    """Whether the store still knows of it, with a pod or as lost."""
    names = held_key(organization_id), lost_key(organization_id)
    return any(store.hexists(name, f"{exchange_id}:1") for name in names)


if __name__ == "__main__":
    sys.exit(main())
