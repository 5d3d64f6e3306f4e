"""Run by a test until it is killed: writes exchanges and says aloud what each call returned from.

One line each: `A <exchange>` admitted, `P <exchange> <output>` progressed, `F <exchange> <output>` final,
`R <boot id> <sequence> <event in hex>` given to the control plane. What is promised only for the loop's next turn is
said in that turn.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "proto")]

from data_plane.usage.spool import Spool  # noqa: E402
from tests.data_plane.usage.builders import a_spool, an_event  # noqa: E402


def say(*words: object) -> None:
    # Straight to the pipe: what a buffer holds would die with us.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def exchange(spool: Spool, exchange_id: str, chance: random.Random) -> None:
    spool.admitted(an_event(exchange_id), exchange_id, 1)
    spool.after_write(lambda: say("A", exchange_id))
    output = 0
    for _ in range(chance.randrange(4)):
        await asyncio.sleep(chance.random() * 0.02)
        output += 1
        spool.progress(an_event(exchange_id, output=output), exchange_id, 1)
        await asyncio.sleep(0)
        say("P", exchange_id, output)
    await asyncio.sleep(chance.random() * 0.02)
    spool.final(an_event(exchange_id, output=output + 1000), exchange_id, 1)
    await asyncio.sleep(0)
    say("F", exchange_id, output + 1000)


async def report(spool: Spool) -> None:
    after = spool.acked_sequence
    while True:
        events = await spool.unreported(after, 50)
        for sequence, event in events:
            say("R", spool.boot_id.hex(), sequence, event.hex())
        after = events[-1][0]
        spool.stored_through(after)


async def main(directory: Path, run: str) -> None:
    chance = random.Random(run)
    spool = await a_spool(directory, segment_bytes=64 * 1024)
    say("open")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(report(spool))
        number = 0
        while True:
            for _ in range(chance.randrange(5)):
                number += 1
                tasks.create_task(exchange(spool, f"{run}-{number}", chance))
            await asyncio.sleep(0.002)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
