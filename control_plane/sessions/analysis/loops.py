"""Agents that go round in circles: the same tool call, tools that keep failing, the same request."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from control_plane.sessions.analysis.caching import Numbered
from control_plane.sessions.analysis.findings import Cause, Finding, Kind

LEAST_SAME_CALLS = 3
LEAST_FAILING = 4
LEAST_SAME_REQUESTS = 3
LONGEST_CYCLE = 3
"""So many different calls may take turns in one cycle."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Turns first to last of a strand (indices), with how often the cycle went round."""

    cause: Cause
    first: int
    last: int
    period: int
    times: int


def loop_findings(agent_id: str, turns: Sequence[Numbered]) -> list[Finding]:
    """Name each stretch once; money is what its turns cost from the second round on, without what their cache cost.

    No turn is counted in two stretches: the longer one has it.
    """
    stretches = [*_same_calls(turns), *_failing(turns), *_same_requests(turns)]
    stretches.sort(key=lambda one: (-(one.last - one.first), one.first))
    claimed: set[int] = set()
    findings: list[Finding] = []
    for stretch in stretches:
        span = set(range(stretch.first, stretch.last + 1))
        if span & claimed:
            continue
        claimed |= span
        findings.append(_finding(agent_id, turns, stretch))
    return sorted(findings, key=lambda one: one.turn)


def _finding(agent_id: str, turns: Sequence[Numbered], stretch: _Stretch) -> Finding:
    if stretch.cause is Cause.SAME_REQUEST:
        # The last answer is the one that was used.
        wasted = turns[stretch.first : stretch.last]
    else:
        wasted = turns[stretch.first + stretch.period : stretch.last + 1]
    begins = turns[stretch.first]
    return Finding(
        Kind.LOOP,
        stretch.cause,
        begins.number,
        begins.turn.exchange_id,
        begins.turn.at_ms,
        agent_id,
        sum(max(0, one.turn.cost_nano_usd - one.lost_nano_usd) for one in wasted),
        0,
        {"times": stretch.times, "through": turns[stretch.last].number, "tool": _tool(turns, stretch)},
    )


def _tool(turns: Sequence[Numbered], stretch: _Stretch) -> str:
    for one in turns[stretch.first : stretch.last + 1]:
        if one.turn.facts is not None and one.turn.facts.tool_names:
            return one.turn.facts.tool_names[0]
    return ""


def _same_calls(turns: Sequence[Numbered]) -> list[_Stretch]:
    """Tool calls that repeat one by one, or as a cycle of two or three."""
    calls = [one.turn.facts.calls if one.turn.facts is not None else b"" for one in turns]
    found: list[_Stretch] = []
    at = 0
    while at < len(calls):
        best = _cycle_at(calls, at)
        if best is None:
            at += 1
            continue
        found.append(best)
        at = best.last + 1
    return found


def _cycle_at(calls: Sequence[bytes], first: int) -> _Stretch | None:
    for period in range(1, LONGEST_CYCLE + 1):
        last = first + period - 1
        if last >= len(calls) or not all(calls[first : last + 1]):
            return None
        while last + 1 < len(calls) and calls[last + 1] == calls[last + 1 - period]:
            last += 1
        times = (last - first + 1) // period
        if times >= LEAST_SAME_CALLS:
            return _Stretch(Cause.SAME_TOOL_CALL, first, last, period, times)
    return None


def _failing(turns: Sequence[Numbered]) -> list[_Stretch]:
    return [
        _Stretch(Cause.FAILING_TOOLS, first, last, 1, last - first + 1)
        for first, last in _runs([bool(one.turn.facts and one.turn.facts.failed_tool_results) for one in turns])
        if last - first + 1 >= LEAST_FAILING
    ]


def _same_requests(turns: Sequence[Numbered]) -> list[_Stretch]:
    found: list[_Stretch] = []
    for first, last in _runs([False, *(is_repeat(one, two) for one, two in pairwise(turns))]):
        times = last - first + 2
        if times >= LEAST_SAME_REQUESTS:
            found.append(_Stretch(Cause.SAME_REQUEST, first - 1, last, 1, times))
    return found


def is_repeat(before: Numbered, now: Numbered) -> bool:
    """Whether a client sent the same request again."""
    old, new = before.turn.facts, now.turn.facts
    return old is not None and new is not None and bool(new.request) and old.request == new.request


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of each run of true ones."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    for number, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = number
        elif not flag and start is not None:
            found.append((start, number - 1))
            start = None
    return found
