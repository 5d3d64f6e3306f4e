"""Kill anything while traffic runs: the ledger still says what the provider says (issue: exactly once).

Twenty cycles here; two hundred with `make kill-cycles`, whose report is docs/reports/kill-cycles.md.
"""

import os

import pytest

from tests.end_to_end.kill_cycles import BLOCK, VICTIMS, run
from tests.end_to_end.stack import Stack

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600)]

SEED = int(os.environ.get("KILL_SEED", "20"))


async def test_the_books_agree_after_twenty_kills(stack: Stack) -> None:
    cycles = await run(stack, cycles=BLOCK, seed=SEED, is_brief=True)

    (block,) = cycles.blocks
    assert not block.all_faults, "\n".join([str(block.verdict), *block.faults])
    assert block.verdict.exact > block.requests / 2
    assert block.verdict.estimated > 0, f"no answer was under way on a killed pod: {block.verdict}"
    assert {kill.victim.split("-")[0] for kill in block.kills} == set(VICTIMS)
