"""The disjoint token counters that every protocol's usage is brought to.

Providers count differently: some include cached tokens in the input, some leave reasoning out of the output. Here no
token is in two counters, so a sum is a sum. The mapping per protocol lives with the protocol in the data plane.
"""

from typing import NamedTuple, Self


class _Counts(NamedTuple):
    """The counters by name; a tuple, because one is built for every answer and nothing is cheaper to build."""

    input_fresh: int = 0
    input_tool: int = 0
    """Prompt tokens that the provider's own tools added (Gemini)."""
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_30m: int = 0
    cache_write_12h: int = 0
    cache_write_other: int = 0
    """Written to a cache whose lifetime the provider did not tell."""
    output: int = 0
    """Visible output, without reasoning."""
    reasoning: int = 0


_NOTHING_BESIDES = (0,) * 7


class TokenCounts(_Counts):
    """Tokens of one attempt by kind; all counters are disjoint and never negative."""

    __slots__ = ()

    def __new__(
        cls,
        input_fresh: int = 0,
        input_tool: int = 0,
        cache_read: int = 0,
        cache_write_5m: int = 0,
        cache_write_1h: int = 0,
        cache_write_30m: int = 0,
        cache_write_12h: int = 0,
        cache_write_other: int = 0,
        output: int = 0,
        reasoning: int = 0,
    ) -> Self:
        counts = (
            input_fresh,
            input_tool,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            cache_write_30m,
            cache_write_12h,
            cache_write_other,
            output,
            reasoning,
        )
        if min(counts) < 0:
            name, count = next((name, count) for name, count in zip(KINDS, counts, strict=True) if count < 0)
            raise ValueError(f"{name} is negative: {count}")
        return tuple.__new__(cls, counts)

    @property
    def is_plain(self) -> bool:
        """Nothing but fresh input and visible output, as most answers without a cache have."""
        # By place, since this is asked several times per exchange: the prompt but for what is fresh.
        return self[1:8] == _NOTHING_BESIDES and not self.reasoning

    @property
    def prompt(self) -> int:
        """All that the model read: decides the long-context band."""
        return sum(self[:8])

    @property
    def total(self) -> int:
        return self.prompt + self.output + self.reasoning


KINDS: tuple[str, ...] = _Counts._fields

TOKEN_UNITS: tuple[str, ...] = ("input_audio", "cache_read_audio", "output_audio", "input_image", "output_image")
"""Kinds of `BilledUnit` that are tokens: they stand in the counters too, and are told apart because they are dearer."""
PIECE_UNITS: tuple[str, ...] = (
    "web_fetch",
    "file_search",
    "code_execution",
    "image_generation",
    "grounding",
    "computer_use",
    "other_tool",
)
"""Kinds that are billed by the piece. Searches of the web have a counter of their own."""
