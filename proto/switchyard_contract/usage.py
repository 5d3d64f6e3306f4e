"""The disjoint token counters that every protocol's usage is brought to.

Providers count differently: some include cached tokens in the input, some leave reasoning out of the output. Here no
token is in two counters, so a sum is a sum. The mapping per protocol lives with the protocol in the data plane.
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of one attempt by kind; all counters are disjoint and never negative."""

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

    def __post_init__(self) -> None:
        # Asked once for all: this is built for every answer.
        if (
            self.input_fresh < 0
            or self.input_tool < 0
            or self.cache_read < 0
            or self.cache_write_5m < 0
            or self.cache_write_1h < 0
            or self.cache_write_30m < 0
            or self.cache_write_12h < 0
            or self.cache_write_other < 0
            or self.output < 0
            or self.reasoning < 0
        ):
            name, count = next((name, getattr(self, name)) for name in KINDS if getattr(self, name) < 0)
            raise ValueError(f"{name} is negative: {count}")

    @property
    def is_plain(self) -> bool:
        """Nothing but fresh input and visible output, as most answers without a cache have."""
        return not (
            self.cache_read
            or self.reasoning
            or self.cache_write_5m
            or self.cache_write_1h
            or self.cache_write_30m
            or self.cache_write_12h
            or self.cache_write_other
            or self.input_tool
        )

    @property
    def prompt(self) -> int:
        """All that the model read: decides the long-context band."""
        return (
            self.input_fresh
            + self.input_tool
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.cache_write_30m
            + self.cache_write_12h
            + self.cache_write_other
        )

    @property
    def total(self) -> int:
        return self.prompt + self.output + self.reasoning


KINDS: tuple[str, ...] = tuple(field.name for field in fields(TokenCounts))
