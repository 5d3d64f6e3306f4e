"""Counting tokens that no provider told: an answer that was cut, a prompt nobody measured.

o200k stands in for every vendor's tokenizer; the result is marked as counted wherever it is shown.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from rs_bpe.bpe import openai  # type: ignore[import-not-found]  # the wheel ships no stub of this module

BYTES_PER_TOKEN_TENTHS = 35
"""Prompts of coding tools, JSON included, run to about 3.5 bytes per token."""
MAX_MEASURED = 64 * 1024
"""Characters that are really tokenised (a few milliseconds); beyond, the share found is extended."""


class Tokenizer(Protocol):
    """What is used of a tokenizer."""

    def count(self, text: str) -> int: ...


def estimate_prompt(request_bytes: int) -> int:
    """Tokens of a prompt, from the size of its request."""
    return -(-request_bytes * 10 // BYTES_PER_TOKEN_TENTHS)


def count_text(pieces: Sequence[str]) -> int:
    """Tokens of a text that came in pieces."""
    text = "".join(pieces)
    if not text:
        return 0
    measured = text[:MAX_MEASURED]
    tokens = _tokenizer().count(measured)
    return int(tokens) if len(measured) == len(text) else -(-tokens * len(text) // len(measured))


def warm_up() -> None:
    """Load the tokenizer (80 ms) at start, not inside somebody's stream."""
    _tokenizer()


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    tokenizer: Tokenizer = openai.o200k_base()
    return tokenizer
