"""What is found in a session, whether it could have been avoided, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    COLD_CACHE = "cold_cache"
    CACHE_BREAK = "cache_break"
    MODEL_CHANGE = "model_change"
    FAILOVER = "failover"
    COMPACTION = "compaction"
    NEVER_CACHED = "never_cached"
    LOOP = "loop"


class Cause(StrEnum):
    IDLE = "idle"
    TOOLS_CHANGED = "tools_changed"
    SYSTEM_CHANGED = "system_changed"
    HISTORY_REWRITTEN = "history_rewritten"
    MARKS_GONE = "marks_gone"
    PROVIDER_MISSED = "provider_missed"
    """Nothing on the way to it changed: the provider did not find what it had."""
    UNTOLD = "untold"
    """The pod said nothing of the turn, so what changed is not known."""
    MODEL_CHANGED = "model_changed"
    DOWNGRADED = "downgraded"
    REROUTED = "rerouted"
    FAILED_OVER = "failed_over"
    COMPACTED = "compacted"
    NO_MARKS = "no_marks"
    NO_CACHE = "no_cache"
    SAME_TOOL_CALL = "same_tool_call"
    FAILING_TOOLS = "failing_tools"
    SAME_REQUEST = "same_request"
    NEW_INPUT = "new_input"
    """Of a low cache share only: what was read was new each time."""


AVOIDABLE: frozenset[Cause] = frozenset(
    {
        Cause.IDLE,
        Cause.TOOLS_CHANGED,
        Cause.SYSTEM_CHANGED,
        Cause.HISTORY_REWRITTEN,
        Cause.MARKS_GONE,
        Cause.MODEL_CHANGED,
        Cause.REROUTED,
        Cause.NO_MARKS,
        Cause.SAME_TOOL_CALL,
        Cause.FAILING_TOOLS,
        Cause.SAME_REQUEST,
    }
)
"""What people or settings can do something about. The rest is told, but is no avoidable spend."""

CACHE_KINDS: frozenset[Kind] = frozenset(Kind) - {Kind.LOOP}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cost more than it had to, at one turn.

    turn: number within its strand, from 1 on. money: what it cost more, priced as the turn itself was.
    """

    kind: Kind
    cause: Cause
    turn: int
    exchange_id: str
    at_ms: int
    agent_id: str = ""
    money_nano_usd: int = 0
    lost_tokens: int = 0
    """That had been in a cache and were paid for anew."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """Numbers and names for the sentence: idle_s, lifetime_s, before, after, kib, times, tool."""

    @property
    def is_avoidable(self) -> bool:
        return self.cause in AVOIDABLE
