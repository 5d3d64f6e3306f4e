"""A whole session: its strands turn by turn, its findings, and its sums by day, model and target."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise

from control_plane.sessions.analysis.caching import Numbered, cache_findings
from control_plane.sessions.analysis.costing import Prices
from control_plane.sessions.analysis.findings import CACHE_KINDS, Cause, Finding, Kind
from control_plane.sessions.analysis.loops import is_repeat, loop_findings
from control_plane.sessions.analysis.strands import lines_of
from control_plane.sessions.analysis.turns import CANCELLED, FAILURES, Turn

TOOL_STOPS = frozenset({"tool_use", "tool_calls", "function_call", "TOOL_USE"})
PERSON_STOPS = frozenset({"end_turn", "stop", "STOP", "stop_sequence"})


@dataclass(frozen=True, slots=True)
class Step:
    """A turn in its strand, with what lay before it."""

    number: int
    turn: Turn
    expected: int
    lost: int
    tool_ms: int
    """From the end of the answer before to this turn, which brings what tools found."""
    person_ms: int
    """From the end of the answer before to this turn, which somebody typed."""
    is_repeat: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Strand:
    """The conversation of the session itself or of one sub-agent, with what was asked beside it."""

    agent_id: str
    steps: tuple[Step, ...]
    asides: tuple[Turn, ...]

    @property
    def cost_nano_usd(self) -> int:
        return sum(step.turn.cost_nano_usd for step in self.steps) + self.aside_cost_nano_usd

    @property
    def aside_cost_nano_usd(self) -> int:
        return sum(turn.cost_nano_usd for turn in self.asides)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for step in self.steps for finding in step.findings)

    @property
    def avoidable_nano_usd(self) -> int:
        return sum(finding.money_nano_usd for finding in self.findings if finding.is_avoidable)

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        return (*(step.turn for step in self.steps), *self.asides)


@dataclass(slots=True)
class Sums:
    """Sums over turns and findings; grows while they are added. Money is nano-USD, times are milliseconds."""

    turns: int = 0
    asides: int = 0
    typed: int = 0
    prompt_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    saved_cache_nano_usd: int = 0
    tool_results: int = 0
    failed_tool_results: int = 0
    repeats: int = 0
    """Requests that a client sent once more."""
    gateway_retries: int = 0
    aborts: int = 0
    errors: int = 0
    compactions: int = 0
    model_changes: int = 0
    failovers: int = 0
    tool_ms: int = 0
    person_ms: int = 0
    model_ms: int = 0
    cold_nano_usd: int = 0
    broken_nano_usd: int = 0
    moved_nano_usd: int = 0
    uncached_nano_usd: int = 0
    loop_nano_usd: int = 0
    avoidable_nano_usd: int = 0
    """Of all findings that somebody can do something about."""
    unavoidable_nano_usd: int = 0
    """Of the others."""
    stop_reasons: Counter[str] = field(default_factory=Counter)

    @property
    def lost_nano_usd(self) -> int:
        return self.avoidable_nano_usd + self.unavoidable_nano_usd

    @property
    def cache_share_per_mille(self) -> int:
        return self.cache_read_tokens * 1000 // self.prompt_tokens if self.prompt_tokens else 0

    def add_turn(self, turn: Turn) -> None:
        facts = turn.facts
        self.prompt_tokens += turn.prompt
        self.cache_read_tokens += turn.tokens.cache_read
        self.output_tokens += turn.tokens.output + turn.tokens.reasoning
        self.cost_nano_usd += turn.cost_nano_usd
        self.saved_cache_nano_usd += turn.saved_cache_nano_usd
        self.gateway_retries += turn.attempts - 1
        self.aborts += turn.outcome == CANCELLED
        self.errors += turn.outcome in FAILURES
        self.model_ms += max(0, turn.ended_ms - turn.at_ms)
        if facts is not None:
            self.typed += facts.is_typed
            self.tool_results += facts.tool_results
            self.failed_tool_results += facts.failed_tool_results
        if turn.stop_reason:
            self.stop_reasons[turn.stop_reason[:60]] += 1

    def add_step(self, step: Step) -> None:
        self.turns += 1
        self.repeats += step.is_repeat
        self.tool_ms += step.tool_ms
        self.person_ms += step.person_ms
        self.add_turn(step.turn)
        for finding in step.findings:
            self.add_finding(finding)

    def add_aside(self, turn: Turn) -> None:
        self.asides += 1
        self.add_turn(turn)

    def add_finding(self, finding: Finding) -> None:
        money = finding.money_nano_usd
        if finding.is_avoidable:
            self.avoidable_nano_usd += money
        else:
            self.unavoidable_nano_usd += money
        match finding.kind:
            case Kind.COLD_CACHE:
                self.cold_nano_usd += money
            case Kind.CACHE_BREAK:
                self.broken_nano_usd += money
            case Kind.MODEL_CHANGE:
                self.model_changes += 1
                self.moved_nano_usd += money
            case Kind.FAILOVER:
                self.failovers += 1
                self.moved_nano_usd += money
            case Kind.COMPACTION:
                self.compactions += 1
            case Kind.NEVER_CACHED:
                self.uncached_nano_usd += money
            case Kind.LOOP:
                self.loop_nano_usd += money


Place = tuple[date, str, str, str]
"""UTC day, model, provider's id and name: what outcomes are compared by."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of a session. The first strand is its own conversation; it may be empty."""

    strands: tuple[Strand, ...]
    sums: Sums
    places: dict[Place, Sums]

    @property
    def main(self) -> Strand:
        return self.strands[0]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all strands, as they happened."""
        found = [finding for strand in self.strands for finding in strand.findings]
        return tuple(sorted(found, key=lambda finding: (finding.at_ms, finding.exchange_id, finding.kind)))

    @property
    def most_context(self) -> int:
        return max((step.turn.prompt for strand in self.strands for step in strand.steps), default=0)

    @property
    def share_cause(self) -> Cause:
        """What took most from the share of the prompt that came from caches."""
        lost: Counter[Cause] = Counter()
        for finding in self.findings:
            if finding.kind in CACHE_KINDS and finding.lost_tokens:
                lost[finding.cause] += finding.lost_tokens
        return max(lost, key=lambda cause: (lost[cause], cause)) if lost else Cause.NEW_INPUT


def analyse(turns: Sequence[Turn], prices: Prices) -> Analysis:
    """Work out a session. turns: all exchanges that generate, in time order, sub-agents among them."""
    strands: list[Strand] = []
    asides: dict[str, list[Turn]] = {}
    mains: dict[str, Strand] = {}
    for line in lines_of(turns):
        if line.is_aside:
            asides.setdefault(line.agent_id, []).extend(line.turns)
        else:
            mains[line.agent_id] = _strand(line.agent_id, line.turns, prices)
    mains.setdefault("", Strand("", (), ()))
    for agent_id in sorted(mains, key=lambda agent: (agent != "", _first_ms(mains[agent]))):
        beside = sorted(asides.get(agent_id, ()), key=lambda turn: turn.exchange_id)
        strands.append(Strand(agent_id, mains[agent_id].steps, tuple(beside)))
    sums = Sums()
    places: dict[Place, Sums] = {}
    for strand in strands:
        for step in strand.steps:
            sums.add_step(step)
            places.setdefault(_place(step.turn), Sums()).add_step(step)
        for turn in strand.asides:
            sums.add_aside(turn)
            places.setdefault(_place(turn), Sums()).add_aside(turn)
    return Analysis(tuple(strands), sums, places)


def _first_ms(strand: Strand) -> int:
    return strand.steps[0].turn.at_ms if strand.steps else 0


def _place(turn: Turn) -> Place:
    day = datetime.fromtimestamp(turn.at_ms / 1000, UTC).date()
    return (day, turn.target.model, turn.provider_id, turn.target.provider)


def _strand(agent_id: str, turns: Sequence[Turn], prices: Prices) -> Strand:
    numbered, findings = cache_findings(agent_id, turns, prices)
    findings += loop_findings(agent_id, numbered)
    at_turn: dict[int, list[Finding]] = {}
    for finding in findings:
        at_turn.setdefault(finding.turn, []).append(finding)
    repeats = [False, *(is_repeat(before, now) for before, now in pairwise(numbered))]
    waits = [(0, 0), *(_waits(before.turn, now.turn) for before, now in pairwise(numbered))]
    steps = tuple(
        _step(one, repeated, wait, at_turn.get(one.number, ()))
        for one, repeated, wait in zip(numbered, repeats, waits, strict=True)
    )
    return Strand(agent_id, steps, ())


def _step(one: Numbered, repeated: bool, wait: tuple[int, int], findings: Sequence[Finding]) -> Step:
    tool_ms, person_ms = (0, 0) if repeated else wait
    return Step(one.number, one.turn, one.expected, one.lost, tool_ms, person_ms, repeated, tuple(findings))


def _waits(before: Turn, now: Turn) -> tuple[int, int]:
    """How long tools, and how long a person took between two turns; at most one of them."""
    gap = max(0, now.at_ms - before.ended_ms)
    if now.facts is not None:
        if now.facts.tool_results:
            return gap, 0
        return (0, gap) if now.facts.is_typed else (0, 0)
    if before.stop_reason in TOOL_STOPS:
        return gap, 0
    return (0, gap) if before.stop_reason in PERSON_STOPS else (0, 0)
