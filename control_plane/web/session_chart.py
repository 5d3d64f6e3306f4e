"""The picture of a session: its turns from left to right as cost, context and what of it came from a cache. Pure.

Everything is drawn in a box of 1,000 by 100 that the page stretches; words and numbers stand around it, in HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.sessions.analysis.advice import KINDS
from control_plane.sessions.analysis.findings import Finding, Kind
from control_plane.sessions.analysis.session import Step, Strand
from control_plane.web import numbers

MOST_COLUMNS = 240
"""More turns than that share columns: a column is then a few turns."""
WIDTH, HEIGHT = 1000.0, 100.0
TONES = {
    Kind.COLD_CACHE: "look",
    Kind.CACHE_BREAK: "look",
    Kind.NEVER_CACHED: "look",
    Kind.LOOP: "stopped",
    Kind.MODEL_CHANGE: "told",
    Kind.FAILOVER: "told",
    Kind.COMPACTION: "off",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle."""

    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Column:
    """One turn, or a few where there are many. exchange: the first one's."""

    exchange_id: str
    words: str
    hit: Bar
    cost: Bar
    lost: Bar
    """The part of the cost that a lost cache or a loop made; on top."""
    context: Bar
    cached: Bar
    """The part of the context that was read from a cache; at the bottom."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A finding, where it happened."""

    x: str
    tone: str
    words: str


@dataclass(frozen=True, slots=True)
class SessionChart:
    columns: tuple[Column, ...]
    markers: tuple[Marker, ...]
    share: str
    """Points of a line: the share of each column's context that came from a cache, 0 to 100 %."""
    most_cost_nano_usd: int
    most_context: int
    first_turn: int
    last_turn: int
    turns_per_column: int
    sentence: str

    @property
    def is_empty(self) -> bool:
        return not self.columns


def session_chart(strand: Strand) -> SessionChart:
    """Draw a strand's turns."""
    steps = strand.steps
    size = max(1, -(-len(steps) // MOST_COLUMNS))
    groups = [steps[at : at + size] for at in range(0, len(steps), size)]
    costs = [sum(step.turn.cost_nano_usd for step in group) for group in groups]
    contexts = [max(step.turn.prompt for step in group) for group in groups]
    most_cost, most_context = max(costs, default=0), max(contexts, default=0)
    step_width = WIDTH / max(1, len(groups))
    columns = tuple(
        _column(group, number * step_width, step_width, cost, context, most_cost, most_context)
        for number, (group, cost, context) in enumerate(zip(groups, costs, contexts, strict=True))
    )
    markers = tuple(
        Marker(_text((number + 0.5) * step_width), TONES[finding.kind], f"{KINDS[finding.kind]}, turn {finding.turn}")
        for number, group in enumerate(groups)
        for finding in _one_of_a_kind(group)
    )
    share = " ".join(
        f"{_text((number + 0.5) * step_width)},{_text(HEIGHT * (1 - _share(group)))}"
        for number, group in enumerate(groups)
    )
    return SessionChart(
        columns,
        markers,
        share,
        most_cost,
        most_context,
        steps[0].number if steps else 0,
        steps[-1].number if steps else 0,
        size,
        _sentence(strand, most_context),
    )


def _column(
    group: Sequence[Step], x: float, width: float, cost: int, context: int, most_cost: int, most_context: int
) -> Column:
    lost = min(cost, sum(finding.money_nano_usd for step in group for finding in _of_one_turn(step)))
    gap = min(width * 0.18, 3.0)
    left, wide = x + gap / 2, width - gap
    cost_height = _height(cost, most_cost)
    lost_height = _height(lost, most_cost)
    context_height = _height(context, most_context)
    cached_height = context_height * _share(group)
    return Column(
        exchange_id=group[0].turn.exchange_id,
        words=_words(group, cost, context, lost),
        hit=_bar(x, 0, width, HEIGHT),
        cost=_bar(left, HEIGHT - cost_height, wide, cost_height),
        lost=_bar(left, HEIGHT - cost_height, wide, lost_height),
        context=_bar(left, HEIGHT - context_height, wide, context_height),
        cached=_bar(left, HEIGHT - cached_height, wide, cached_height),
    )


def _of_one_turn(step: Step) -> list[Finding]:
    """Findings whose money is part of this very turn's cost; a loop's is spread over its turns."""
    return [finding for finding in step.findings if finding.kind not in (Kind.LOOP, Kind.NEVER_CACHED)]


def _one_of_a_kind(group: Sequence[Step]) -> list[Finding]:
    found: dict[Kind, Finding] = {}
    for step in group:
        for finding in step.findings:
            found.setdefault(finding.kind, finding)
    return list(found.values())


def _words(group: Sequence[Step], cost: int, context: int, lost: int) -> str:
    first, last = group[0].number, group[-1].number
    turns = f"Turn {first}" if first == last else f"Turns {first} to {last}"
    parts = [f"{turns}: {numbers.money(cost)}", f"{numbers.compact(context)} tokens in"]
    parts.append(f"{round(100 * _share(group))} % from cache")
    if lost:
        parts.append(f"{numbers.money(lost)} of it for a cache that was lost")
    parts += [KINDS[finding.kind].lower() for finding in _one_of_a_kind(group)]
    return ", ".join(parts)


def _sentence(strand: Strand, most_context: int) -> str:
    if not strand.steps:
        return "No turn yet."
    prompt = sum(step.turn.prompt for step in strand.steps)
    read = sum(step.turn.tokens.cache_read for step in strand.steps)
    count = len(strand.steps)
    findings = len(strand.findings)
    return (
        f"{count} turn{'' if count == 1 else 's'} for {numbers.money(strand.cost_nano_usd)}; the context grew to "
        f"{numbers.compact(most_context)} tokens, {numbers.share(read, prompt)} of all input came from the cache; "
        f"{findings} finding{'' if findings == 1 else 's'}."
    )


def _share(group: Sequence[Step]) -> float:
    prompt = sum(step.turn.prompt for step in group)
    return sum(step.turn.tokens.cache_read for step in group) / prompt if prompt else 0.0


def _height(value: int, most: int) -> float:
    """At least a hair where there is anything."""
    return max(0.8, HEIGHT * value / most) if value > 0 and most else 0.0


def _bar(x: float, y: float, width: float, height: float) -> Bar:
    return Bar(_text(x), _text(y), _text(width), _text(height))


def _text(value: float) -> str:
    return f"{value:.2f}"
