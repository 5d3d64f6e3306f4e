"""How long a provider keeps a prompt prefix, and how much of it the next turn should find.

Anthropic (and Claude on Bedrock and Vertex) keeps what the client marks: 5 minutes or 1 hour since the last use, told
by which counter the write was billed in; writes of 30 minutes and 12 hours are OpenAI's from GPT-5.6 on. Older OpenAI
models, Gemini and others keep prefixes by themselves, without a promise; 5 minutes is what OpenAI names as the least.
"""

from dataclasses import dataclass

from control_plane.sessions.analysis.turns import Turn

LIFETIMES_S: tuple[tuple[str, int], ...] = (
    ("cache_write_5m", 300),
    ("cache_write_30m", 1800),
    ("cache_write_1h", 3600),
    ("cache_write_12h", 43_200),
    ("cache_write_other", 300),
)
IMPLICIT_LIFETIME_S = 300
LEAST_PREFIX = 1024
"""No vendor caches less."""
LEAST_LOST = 1024
"""So few tokens are no break: a tool's last lines were put in other words."""
IMPLICIT_LEAST_LOST = 2048
IMPLICIT_SLACK_PERCENT = 15
"""A cache nobody promised is cut at blocks, and leaves out what a tool drops from its history (old reasoning)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a turn left in the cache of its target.

    parts: (lifetime in seconds, tokens), the longest lifetime first, as prefixes are nested (Anthropic: 1 hour before
    5 minutes).
    """

    parts: tuple[tuple[int, int], ...]
    touched_ms: int
    is_explicit: bool

    @property
    def prefix(self) -> int:
        return sum(tokens for _, tokens in self.parts)

    @property
    def lifetime_s(self) -> int:
        """Of what goes first."""
        return min(lifetime for lifetime, _ in self.parts)

    def slack(self, expected: int) -> int:
        """How much may be missing without meaning anything."""
        if self.is_explicit:
            return LEAST_LOST
        return max(IMPLICIT_LEAST_LOST, expected * IMPLICIT_SLACK_PERCENT // 100)


def kept_after(turn: Turn, before: Kept | None, *, is_caching: bool) -> Kept | None:
    """What the turn left behind; None: nothing that can be counted on.

    is_caching: whether this target was seen to find a prefix again; without a word of the client that is all that is
    known of it.
    """
    read = turn.tokens.cache_read
    was_explicit = before is not None and before.is_explicit
    if turn.written or (was_explicit and read):
        parts = _read_again(read, before if was_explicit else None)
        for kind, lifetime in LIFETIMES_S:
            parts[lifetime] = parts.get(lifetime, 0) + getattr(turn.tokens, kind)
        return _kept(parts, turn, is_explicit=True)
    if is_caching and turn.prompt >= LEAST_PREFIX:
        return _kept({IMPLICIT_LIFETIME_S: turn.prompt}, turn, is_explicit=False)
    return None


def _read_again(read: int, before: Kept | None) -> dict[int, int]:
    """Reading keeps alive what is read. What nobody here wrote (another session's beginning) is counted as short."""
    parts: dict[int, int] = {}
    for lifetime, tokens in before.parts if before is not None else ():
        parts[lifetime] = min(tokens, read)
        read -= parts[lifetime]
    shortest = min(parts, default=IMPLICIT_LIFETIME_S)
    parts[shortest] = parts.get(shortest, 0) + read
    return parts


def _kept(parts: dict[int, int], turn: Turn, *, is_explicit: bool) -> Kept | None:
    filled = tuple(sorted(((lifetime, tokens) for lifetime, tokens in parts.items() if tokens), reverse=True))
    return Kept(filled, turn.touched_ms, is_explicit) if filled else None
