"""Counting tokens that no provider told: an answer that was cut, a prompt nobody measured.

o200k stands in for every vendor's tokenizer; the result is marked as counted wherever it is shown.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec
from rs_bpe.bpe import openai  # type: ignore[import-not-found]  # the wheel ships no stub of this module

from switchyard_contract.usage import TokenCounts

BYTES_PER_TOKEN_TENTHS = 35
"""Prompts of coding tools, JSON included, run to about 3.5 bytes per token."""
MAX_MEASURED = 64 * 1024
"""Characters that are really tokenised (a few milliseconds); beyond, the share found is extended."""


_LONGEST_WORD = 256


class Counted(NamedTuple):
    """Our own count of an answer."""

    visible: int
    """Text and arguments of tool calls."""
    reasoning: int


class Scale(msgspec.Struct, frozen=True):
    """What stands in for the numbers that a provider did not tell."""

    prompt: TokenCounts
    """The prompt by our best guess."""
    per_counted: float = 1.0
    """Tokens as this model's vendor counts them, for each one of ours."""
    answer_bytes: int = 0
    """How long the answer said it would be; 0: it did not."""

    def scaled(self, counted: int) -> int:
        """From our count to the vendor's."""
        return counted if self.per_counted == 1.0 else round(counted * self.per_counted)


class Tokenizer(Protocol):
    """What is used of a tokenizer."""

    def count(self, text: str) -> int: ...


def estimate_prompt(request_bytes: int) -> int:
    """Tokens of a prompt, from the size of its request."""
    return -(-request_bytes * 10 // BYTES_PER_TOKEN_TENTHS)


def plain_scale(request_bytes: int) -> Scale:
    """The scale of a model that nothing is known of."""
    return Scale(TokenCounts(input_fresh=estimate_prompt(request_bytes)))


def count_text(pieces: Sequence[str]) -> int:
    """Tokens of a text that came in pieces."""
    text = "".join(pieces)
    if not text:
        return 0
    measured = text[:MAX_MEASURED]
    tokens = _tokenizer().count(measured)
    return int(tokens) if len(measured) == len(text) else -(-tokens * len(text) // len(measured))


class RunningCount:
    """Tokens of a text that goes on: what was counted once is not looked at again."""

    __slots__ = ("_counted", "_last")

    def __init__(self) -> None:
        self._counted = 0
        self._last = ""
        """Its last word, which may go on."""

    def add(self, pieces: Sequence[str]) -> int:
        """Go on with these pieces; give the tokens of the whole text so far."""
        text = self._last + "".join(pieces)
        cut = text.rfind(" ")
        if len(text) - cut > _LONGEST_WORD:
            cut = len(text)
        if cut > 0:
            self._counted += count_text((text[:cut],))
            text = text[cut:]
        self._last = text
        return self._counted + count_text((text,))


def warm_up() -> None:
    """Load the tokenizer (80 ms) at start, not inside somebody's stream."""
    _tokenizer()


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    tokenizer: Tokenizer = openai.o200k_base()
    return tokenizer
