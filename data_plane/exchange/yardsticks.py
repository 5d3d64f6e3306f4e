"""What this pod has learned of how models count: for answers that are cut before their provider tells what they used.

We count with one tokenizer, every vendor with its own, and what a prompt comes to hangs on what a tool sends. So the
first answers of each model that end well, and then some of them, are counted by us too, and the differences remembered.
Where nothing was learned, our own count stands (docs/decisions/0154-counting-what-passed.md).
"""

import msgspec

from data_plane.conversation.token_estimate import BYTES_PER_TOKEN_TENTHS, Counted, Scale
from data_plane.policy.request_size import LastTurn
from switchyard_contract.usage import TokenCounts

LIMIT = 2_000
"""Models that are remembered; beyond, those that were learned first go."""
_FIRST, _THEN = 8, 64
"""The first answers of a model are learned from, then one of so many."""
_NEW_SHARE = 0.2
_LEAST_TOKENS = 24
"""An answer shorter than this says more of its frame than of its words."""
_LEAST_BYTES = 1024
"""A request shorter than this, too."""
_LIKELY_PER_COUNTED = (0.5, 2.5)
_LIKELY_BYTES_PER_TOKEN = (1.5, 12.0)
"""Beyond, it is a picture that was sent or something was not shown."""

Place = tuple[str, str]
"""Provider account, and model as its vendor names it."""


class _Learned(msgspec.Struct):
    answers: int = 0
    bytes_per_token: float = BYTES_PER_TOKEN_TENTHS / 10
    per_counted: float = 1.0
    prompts: int = 0
    outputs: int = 0


class Yardsticks:
    """How each model counts."""

    __slots__ = ("_learned", "_limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._learned: dict[Place, _Learned] = {}

    def wants(self, place: Place) -> bool:
        """Whether the answer that has just ended is one to learn from."""
        learned = self._learned.get(place)
        if learned is None:
            if len(self._learned) >= self._limit:
                del self._learned[next(iter(self._learned))]
            learned = self._learned[place] = _Learned()
        learned.answers += 1
        return learned.answers <= _FIRST or learned.answers % _THEN == 0

    def note(self, place: Place, body_bytes: int, told: TokenCounts, own: Counted | None) -> None:
        """Learn from an answer whose usage was told, and whose words were counted if they could be."""
        learned = self._learned.get(place)
        if learned is None:
            return
        if body_bytes >= _LEAST_BYTES and told.prompt >= _LEAST_TOKENS:
            found = body_bytes / told.prompt
            if _is_between(found, _LIKELY_BYTES_PER_TOKEN):
                learned.bytes_per_token = _mixed(learned.bytes_per_token, found, learned.prompts)
                learned.prompts += 1
        # Reasoning is shown in part or not at all, and what it comes to says nothing of words.
        if own is None or told.reasoning or own.reasoning or min(told.output, own.visible) < _LEAST_TOKENS:
            return
        found = told.output / own.visible
        if _is_between(found, _LIKELY_PER_COUNTED):
            learned.per_counted = _mixed(learned.per_counted, found, learned.outputs)
            learned.outputs += 1

    def scale(self, place: Place, body_bytes: int, last: LastTurn | None, answer_bytes: int = 0) -> Scale:
        """What stands in for the usage of an answer that was cut.

        last: the session's turn before at the same place. Its prompt is the beginning of this one's, and as much of it
        as is still in the provider's cache was read from there.
        """
        learned = self._learned.get(place) or _Learned()
        if last is None or not last.prompt_tokens or last.body_bytes > body_bytes:
            prompt = TokenCounts(input_fresh=_rounded_up(body_bytes / learned.bytes_per_token))
        else:
            grown = _rounded_up((body_bytes - last.body_bytes) / learned.bytes_per_token)
            warm = min(last.warm_tokens, last.prompt_tokens)
            prompt = TokenCounts(input_fresh=last.prompt_tokens - warm + grown, cache_read=warm)
        return Scale(prompt, learned.per_counted, answer_bytes)


def _mixed(before: float, found: float, times: int) -> float:
    return found if not times else before + (found - before) * _NEW_SHARE


def _is_between(number: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= number <= bounds[1]


def _rounded_up(number: float) -> int:
    return -int(-number // 1)
