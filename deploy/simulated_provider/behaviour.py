"""The behaviour that a model name asks for: `claude-sonnet-4-6-think-cut3-once`.

A name is read as tokens between `-`, `/`, `:`, `@`, `[` and `]`. Unknown tokens mean nothing, so every real model name
behaves normally. The header `x-sim-behaviour` carries the same grammar for names that must stay as they are.
Grammar: docs/how-to/use-the-simulated-provider.md
"""

import re
from dataclasses import dataclass, replace

from switchyard_contract.usage import TokenCounts

NEVER = -1
"""A chunk count that is never reached."""

_BREAKS = re.compile(r"[-/:@\[\],\s]+")
_NUMBERED = re.compile(r"([a-z]+)(\d+)\Z")
_USAGE = re.compile(r"(in|tool|read|w5m|w1h|w30m|w12h|wother|out|think)(\d+)\Z")
_USAGE_FIELDS = {
    "in": "input_fresh",
    "tool": "input_tool",
    "read": "cache_read",
    "w5m": "cache_write_5m",
    "w1h": "cache_write_1h",
    "w30m": "cache_write_30m",
    "w12h": "cache_write_12h",
    "wother": "cache_write_other",
    "out": "output",
    "think": "reasoning",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to do other than answering well. Chunk counts are events written before the fault; NEVER: no such fault."""

    thinks: bool = False
    usage: TokenCounts | None = None
    """Exact counters to bill instead of measured ones."""
    text_chunks: int | None = None
    parallel_calls: int = 0
    """Call that many of the offered tools at once, whatever the text says."""
    delay_ms: int = 0
    """Between chunks."""
    slow_ms: int = 0
    """Before the response headers."""
    late_ms: int = 0
    """Between the response headers and the first chunk."""
    status: int | None = None
    retry_after_s: int = 2
    drops: bool = False
    """Reset the connection without any answer."""
    cut_after: int = NEVER
    stall_after: int = NEVER
    error_after: int = NEVER
    malformed_after: int = NEVER
    huge_bytes: int = 0
    withholds_end: bool = False
    """Leave out everything behind the content: stop reason, usage, terminal event."""
    withholds_terminal: bool = False
    """Leave out the last event only."""
    withholds_usage: bool = False
    usage_lie: str = ""
    """"negative" or "larger": what is told differs from what the ledger bills."""
    first_calls: int = 0
    """The fault happens only for that many first calls of a conversation; 0: always."""

    @property
    def fault(self) -> str:
        """Name the faults in a word or two for the ledger; empty when there is none."""
        names = [
            (f"status-{self.status}", self.status is not None),
            ("drop", self.drops),
            ("slow", self.slow_ms > 0),
            ("late", self.late_ms > 0),
            ("cut", self.cut_after != NEVER),
            ("stall", self.stall_after != NEVER),
            ("error-midstream", self.error_after != NEVER),
            ("malformed", self.malformed_after != NEVER),
            ("huge", self.huge_bytes > 0),
            ("no-end", self.withholds_end),
            ("no-terminal", self.withholds_terminal),
            ("no-usage", self.withholds_usage),
            (f"usage-{self.usage_lie}", self.usage_lie != ""),
        ]
        return "+".join(name for name, present in names if present)

    def without_faults(self) -> "Behaviour":
        """Keep what shapes a good answer, drop what breaks it."""
        return Behaviour(
            thinks=self.thinks,
            usage=self.usage,
            text_chunks=self.text_chunks,
            parallel_calls=self.parallel_calls,
            delay_ms=self.delay_ms,
        )


def read_behaviour(model: str, header: str = "") -> Behaviour:
    """Read the behaviour out of a model name and the `x-sim-behaviour` header; the header's tokens come last and win.

    Never raises: what is not understood is part of an ordinary name.
    """
    return _read_words(_read_words(Behaviour(), model), header)


def _read_words(behaviour: Behaviour, text: str) -> Behaviour:
    words = [word for word in _BREAKS.split(text.lower()) if word]
    position = 0
    while position < len(words):
        word = words[position]
        following = words[position + 1] if position + 1 < len(words) else ""
        if word == "sim" and following == "usage":
            counts: dict[str, int] = {}
            position += 2
            while position < len(words) and (match := _USAGE.match(words[position])):
                counts[_USAGE_FIELDS[match[1]]] = int(match[2])
                position += 1
            behaviour = replace(behaviour, usage=TokenCounts(**counts))
            continue
        if word == "sim" and following == "text":
            number = words[position + 2] if position + 2 < len(words) else ""
            if number.isdecimal():
                behaviour = replace(behaviour, text_chunks=max(1, min(int(number), 100_000)))
                position += 3
                continue
        if word == "sim" and following == "tools":
            number = words[position + 2] if position + 2 < len(words) else ""
            if number.isdecimal():
                behaviour = replace(behaviour, parallel_calls=min(int(number), 64))
                position += 3
                continue
        if word == "fault":
            if len(following) == 3 and following.isdecimal() and 400 <= int(following) <= 599:
                behaviour = replace(behaviour, status=int(following))
                position += 2
            else:
                position += 1
            continue
        behaviour = _read_word(behaviour, word)
        position += 1
    return behaviour


def _read_word(behaviour: Behaviour, word: str) -> Behaviour:
    match word:
        case "think" | "thinking":
            return replace(behaviour, thinks=True)
        case "noend":
            return replace(behaviour, withholds_end=True)
        case "noterminal":
            return replace(behaviour, withholds_terminal=True)
        case "nousage":
            return replace(behaviour, withholds_usage=True)
        case "negativeusage":
            return replace(behaviour, usage_lie="negative")
        case "largerusage":
            return replace(behaviour, usage_lie="larger")
        case "drop":
            return replace(behaviour, drops=True)
        case "once":
            return replace(behaviour, first_calls=1)
        case "huge":
            return replace(behaviour, huge_bytes=1024 * 1024)
        case _:
            pass
    if (match := _NUMBERED.match(word)) is None:
        return behaviour
    amount = int(match[2])
    match match[1]:
        case "slow":
            return replace(behaviour, slow_ms=amount)
        case "late":
            return replace(behaviour, late_ms=amount)
        case "delay":
            return replace(behaviour, delay_ms=amount)
        case "cut":
            return replace(behaviour, cut_after=amount)
        case "stall":
            return replace(behaviour, stall_after=amount)
        case "errmid":
            return replace(behaviour, error_after=amount)
        case "malformed":
            return replace(behaviour, malformed_after=amount)
        case "huge":
            return replace(behaviour, huge_bytes=min(amount, 64 * 1024) * 1024)
        case "after":
            return replace(behaviour, retry_after_s=amount)
        case "times":
            return replace(behaviour, first_calls=amount)
        case _:
            return behaviour
