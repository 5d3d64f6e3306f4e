"""Which exchanges of a session go on from one another.

A session holds more than one line of talk: sub-agents, and small calls on the side (a title, a summary of a page) that
share nothing with the conversation. Compared with one another they would all look like broken caches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from control_plane.sessions.analysis.turns import Facts, Turn

SMALL_PERCENT = 25
LARGE_PERCENT = 75


@dataclass(frozen=True, slots=True)
class Line:
    """Exchanges of one agent that go on from one another, in time order."""

    agent_id: str
    turns: tuple[Turn, ...]
    is_aside: bool
    """Beside the agent's conversation."""


@dataclass(slots=True)
class _Open:
    turns: list[Turn] = field(default_factory=list)
    facts: Facts | None = None


def lines_of(turns: Iterable[Turn]) -> tuple[Line, ...]:
    """Part a session into lines: for each agent its conversation, then what was asked on the side.

    The session's own conversation (no agent) comes first, then the agents as they appeared. turns: in time order.
    """
    by_agent: dict[str, list[Turn]] = {"": []}
    for turn in turns:
        by_agent.setdefault(turn.agent_id, []).append(turn)
    found: list[Line] = []
    for agent_id, its_turns in by_agent.items():
        parted = sorted(_part(its_turns), key=lambda one: (-len(one.turns), one.turns[0].at_ms))
        found += [Line(agent_id, tuple(one.turns), number > 0) for number, one in enumerate(parted)]
    return tuple(found)


def _part(turns: Sequence[Turn]) -> list[_Open]:
    opened: list[_Open] = []
    recent: _Open | None = None
    for number, turn in enumerate(turns):
        if turn.facts is None:
            line = recent
            if line is not None and _is_small_aside(turns, number, line):
                opened.append(_Open([turn]))
                continue
        else:
            line = _continued(opened, turn.facts)
        if line is None:
            line = _Open()
            opened.append(line)
        line.turns.append(turn)
        line.facts = turn.facts or line.facts
        recent = line
    return opened


def _continued(opened: Sequence[_Open], facts: Facts) -> _Open | None:
    """The line that shares most with a turn: its history first, then its system prompt and tools."""
    best: _Open | None = None
    best_score = (0, 0)
    for line in opened:
        score = (0, 1) if line.facts is None else (shared_marks(line.facts, facts), _alike(line.facts, facts))
        if score > best_score:
            best, best_score = line, score
    return best


def shared_marks(before: Facts, now: Facts) -> int:
    """How many of the beginnings that both have are the same."""
    count = 0
    for one, other in zip(before.marks, now.marks, strict=False):
        if one != other:
            break
        count += 1
    return count


def _alike(before: Facts, now: Facts) -> int:
    return (before.system == now.system and bool(now.system)) + (before.tools == now.tools and bool(now.tools))


def _is_small_aside(turns: Sequence[Turn], number: int, line: _Open) -> bool:
    """Without facts, sizes alone speak: a small request between large ones, which go on as if it had not been."""
    size = max((turn.prompt for turn in line.turns[-3:]), default=0)
    turn = turns[number]
    if turn.prompt * 100 >= size * SMALL_PERCENT:
        return False
    return any(later.prompt * 100 >= size * LARGE_PERCENT for later in turns[number + 1 : number + 4])
