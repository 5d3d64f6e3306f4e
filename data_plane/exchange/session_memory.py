"""What this pod remembers of sessions: the last turn of each at each place, for as long as there is room.

A provider keeps a prompt for some minutes, and a conversation whose prompt is kept costs a tenth of one that is not.
So what a turn is expected to cost, and whether a cheaper model would really be cheaper, hangs on the turn before. The
memory is the pod's own: a session that was elsewhere is simply not known, which makes an estimate coarser and never
wrong in the caller's favour.
"""

import msgspec

from data_plane.policy.request_size import LastTurn
from switchyard_contract.usage import TokenCounts

LIMIT = 20_000
"""Turns that are kept; beyond, those that were not asked for longest go."""
SHORT_MS, HALF_HOUR_MS, HOUR_MS, HALF_DAY_MS = 5 * 60_000, 30 * 60_000, 60 * 60_000, 12 * 60 * 60_000
"""How long providers keep a prompt after it was last read."""

CACHES_UNASKED = frozenset({"openai", "azure_openai", "xai", "gemini", "vertex"})
"""Vendors that keep every long prompt and tell of it only when they read it again."""
LEAST_KEPT = 1024
"""Tokens of the shortest prompt that those keep."""


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What the newest turn of a session used at one place."""

    at_ms: int
    """When it ended."""
    model: str
    provider_id: str
    body_bytes: int
    prompt_tokens: int
    kept_tokens: int
    """So much of its prompt the provider has put, or left, in its cache."""
    kept_ms: int
    """So long after `at_ms`."""
    output_tokens: int
    """Reasoning included."""

    def is_warm(self, now_ms: int) -> bool:
        """Whether the next turn finds this one's prompt in the provider's cache, as far as anybody can tell."""
        return self.kept_tokens > 0 and now_ms < self.at_ms + self.kept_ms


Place = tuple[str, str, str, str]
"""Organization, session, provider account, model as the vendor names it."""


class SessionMemory:
    """The last turn of each session at each place."""

    __slots__ = ("_limit", "_turns")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._turns: dict[Place, Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def last(self, organization_id: str, session_id: str, provider_id: str, model: str, now_ms: int) -> LastTurn | None:
        """The newest turn there, as it is worth now; None: it is not known, or the request belongs to no session."""
        if not session_id:
            return None
        turn = self._turns.get((organization_id, session_id, provider_id, model))
        if turn is None:
            return None
        warm = turn.kept_tokens if turn.is_warm(now_ms) else 0
        return LastTurn(turn.body_bytes, turn.prompt_tokens, warm, turn.output_tokens, turn.at_ms)

    def note(self, organization_id: str, session_id: str, turn: Turn) -> None:
        """Keep in mind how a turn went; one of the same session and place before it is forgotten."""
        if not session_id:
            return
        place = (organization_id, session_id, turn.provider_id, turn.model)
        turns = self._turns
        # Taken out and put in again: what stands first is what has not been written for longest.
        if turns.pop(place, None) is None and len(turns) >= self._limit:
            del turns[next(iter(turns))]
        turns[place] = turn


def turn_of(tokens: TokenCounts, at_ms: int, model: str, provider_id: str, vendor: str, body_bytes: int) -> Turn:
    """What is worth keeping of an answer's usage."""
    if tokens.is_plain:
        prompt, kept, kept_ms, output = tokens.input_fresh, 0, SHORT_MS, tokens.output
    else:
        prompt, kept_ms, output = tokens.prompt, _kept_ms(tokens), tokens.output + tokens.reasoning
        kept = (
            tokens.cache_read
            + tokens.cache_write_5m
            + tokens.cache_write_1h
            + tokens.cache_write_30m
            + tokens.cache_write_12h
            + tokens.cache_write_other
        )
    if vendor in CACHES_UNASKED:
        kept = prompt if prompt >= LEAST_KEPT else 0
    return Turn(at_ms, model, provider_id, body_bytes, prompt, kept, kept_ms, output)


def _kept_ms(tokens: TokenCounts) -> int:
    """How long the largest part of a prompt is kept. A turn mostly reads what an earlier one wrote, whose time it does
    not tell, and writes its own few words for as long."""
    if tokens.cache_write_5m or tokens.cache_write_other:
        return SHORT_MS
    for count, kept_ms in (
        (tokens.cache_write_30m, HALF_HOUR_MS),
        (tokens.cache_write_1h, HOUR_MS),
        (tokens.cache_write_12h, HALF_DAY_MS),
    ):
        if count:
            return kept_ms
    return SHORT_MS
