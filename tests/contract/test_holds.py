"""What the counter store holds for an attempt, and whose it is."""

import msgspec
import pytest

from switchyard_contract.counters import CountersAnswer, Verdict, write_answer
from switchyard_contract.holds import SAID_FIRST_BYTES, Hold, maker_text, read_hold, spool_name

BOOT = bytes(range(16))
ANSWER = CountersAnswer(
    verdict=Verdict.ADMITTED, candidate=1, index=-1, retry_after_ms=0, now_ms=1, generation=0, sequence=1, expected=2,
    calibrated=2, worst=2, rates=(), budgets=(),
)  # fmt: skip


def held(witness: str) -> Hold:
    text = msgspec.msgpack.encode(list(write_answer(ANSWER)))
    return read_hold(msgspec.msgpack.encode([b"\x00" * SAID_FIRST_BYTES + text, 0, witness.encode()]))


def test_a_hold_names_the_run_of_the_spool_that_made_it() -> None:
    hold = held(f"key\n{maker_text('pod-1', BOOT, 17)}\nclaude\nwith a line")
    assert (hold.key_id, hold.pod_id, hold.spool, hold.run) == ("key", "pod-1", spool_name(BOOT), 17)
    assert hold.model == "claude\nwith a line"


@pytest.mark.parametrize(
    "maker", ["pod-1", "pod-1\x1f", "pod-1\x1f00", "pod-1\x1f00.", "pod-1\x1f00.x", "pod-1\x1f0.-1"]
)
def test_a_pod_that_does_not_say_which_run_it_is_is_only_a_pod(maker: str) -> None:
    hold = held(f"key\n{maker}\nclaude")
    assert (hold.pod_id, hold.spool, hold.run) == ("pod-1", "", 0)
