"""Agents that go round in circles are named with the turn where it began and what it cost."""

from control_plane.sessions.analysis.advice import told
from control_plane.sessions.analysis.findings import Cause, Kind
from control_plane.sessions.analysis.session import analyse
from tests.control_plane.sessions.conversations import PRICES, Talk

LOOKED = {"tool_results": 1, "tool_names": ("Bash",)}


def test_the_same_tool_call_again_and_again() -> None:
    talk = Talk()
    talk.go_on(3, facts=LOOKED)
    looping = [talk.say(facts={**LOOKED, "calls": b"ls"}) for _ in range(5)]
    talk.go_on(3, facts=LOOKED)
    (finding,) = analyse(talk.turns, PRICES).findings
    assert (finding.kind, finding.cause, finding.turn) == (Kind.LOOP, Cause.SAME_TOOL_CALL, 4)
    assert finding.detail == {"times": 5, "through": 8, "tool": "Bash"}
    assert finding.money_nano_usd == sum(turn.cost_nano_usd for turn in looping[1:])
    assert told(finding) == "The same tool call of Bash was made 5 times, from turn 4 on."


def test_two_calls_that_take_turns_are_one_loop() -> None:
    talk = Talk()
    talk.go_on(2, facts=LOOKED)
    looping = [talk.say(facts={**LOOKED, "calls": (b"edit", b"test")[number % 2]}) for number in range(8)]
    (finding,) = analyse(talk.turns, PRICES).findings
    assert (finding.cause, finding.turn, finding.detail["times"]) == (Cause.SAME_TOOL_CALL, 3, 4)
    assert finding.money_nano_usd == sum(turn.cost_nano_usd for turn in looping[2:])


def test_two_times_are_no_loop() -> None:
    talk = Talk()
    talk.go_on(2, facts=LOOKED)
    talk.go_on(2, facts={**LOOKED, "calls": b"ls"})
    talk.go_on(2, facts=LOOKED)
    assert analyse(talk.turns, PRICES).findings == ()


def test_tools_that_keep_failing() -> None:
    talk = Talk()
    talk.go_on(2, facts=LOOKED)
    failing = [talk.say(facts={**LOOKED, "failed_tool_results": 1}) for _ in range(4)]
    talk.say(facts={**LOOKED, "failed_tool_results": 0})
    (finding,) = analyse(talk.turns, PRICES).findings
    assert (finding.kind, finding.cause, finding.turn) == (Kind.LOOP, Cause.FAILING_TOOLS, 3)
    assert finding.money_nano_usd == sum(turn.cost_nano_usd for turn in failing[1:])


def test_the_same_request_sent_again_and_again() -> None:
    talk = Talk()
    talk.go_on(2)
    same = [talk.say(grows=2, facts={"request": b"same", "history_bytes": 40_000}) for _ in range(4)]
    talk.say()
    analysis = analyse(talk.turns, PRICES)
    (finding,) = analysis.findings
    assert (finding.kind, finding.cause, finding.turn, finding.detail["times"]) == (
        Kind.LOOP,
        Cause.SAME_REQUEST,
        3,
        4,
    )
    assert finding.money_nano_usd == sum(turn.cost_nano_usd for turn in same[:-1])
    assert analysis.sums.repeats == 3


def test_what_a_loop_lost_in_its_cache_is_counted_once() -> None:
    talk = Talk()
    talk.go_on(2, facts=LOOKED)
    looping = [talk.say(facts={**LOOKED, "calls": b"ls"}, read=0 if number == 2 else None) for number in range(4)]
    analysis = analyse(talk.turns, PRICES)
    loop, lost = analysis.findings
    assert (loop.kind, lost.kind, lost.turn) == (Kind.LOOP, Kind.CACHE_BREAK, 5)
    assert loop.money_nano_usd + lost.money_nano_usd == sum(turn.cost_nano_usd for turn in looping[1:])


def test_a_stretch_is_not_counted_twice() -> None:
    """The same call that fails each time is one loop, not two."""
    talk = Talk()
    talk.go_on(6, facts={**LOOKED, "calls": b"ls", "failed_tool_results": 1})
    (finding,) = analyse(talk.turns, PRICES).findings
    assert finding.detail["times"] == 6
