"""How what exchanges cost compares with the worst they could have cost, in buckets that can be added. Pure.

A ratio is in thousandths of the worst case. Small ones have a bucket each; from about 2 % on a bucket is 4.4 % wide, or
a thousandth more. A quantile is its bucket's upper bound: above the true one by no more than that, and never below.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

WHOLE: Final = 1000
_STEPS_OF_A_DOUBLING: Final = 16
UPPER_BOUNDS: Final[tuple[int, ...]] = tuple(
    sorted({min(WHOLE, round(2 ** (step / _STEPS_OF_A_DOUBLING))) for step in range(_STEPS_OF_A_DOUBLING * 10 + 1)})
)
"""Inclusive, in thousandths; the last one is the worst case itself, and takes what was above it."""
BUCKETS: Final = len(UPPER_BOUNDS)

LEAST_EXCHANGES: Final = 200
LEAST_FOR_CALIBRATED: Final = 2_000
"""Below these nothing is said: the rank would be the largest of too few."""
LEAST_PROMPT_TOKENS: Final = 4_096
"""Of shorter prompts what a provider puts around them is too large a part; pods allow for it apart."""
_MOVES_BY_PER_CENT: Final = 5


@dataclass(slots=True)
class Measured:
    """What some exchanges of one model say about it."""

    ratio_counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    above_worst: int = 0
    """Of those counted, how many cost more than the worst case: of a sound bound none."""
    prompts: int = 0
    least_bytes_per_token_milli: int = 0
    """0: no prompt was long enough."""

    @property
    def exchanges(self) -> int:
        return sum(self.ratio_counts)

    def add_cost(self, cost_nano_usd: int, worst_nano_usd: int) -> None:
        """Count one exchange; worst_nano_usd: positive."""
        self.ratio_counts[bucket_of(cost_nano_usd, worst_nano_usd)] += 1
        self.above_worst += cost_nano_usd > worst_nano_usd

    def add_prompt(self, request_bytes: int, prompt_tokens: int) -> None:
        """Count one prompt, if it says anything.

        No tokenizer makes more tokens than bytes: where there are more, the prompt was not all in the request (a file
        of the provider's, an earlier answer), and pods do not use the measure for such requests.
        """
        if prompt_tokens < LEAST_PROMPT_TOKENS or request_bytes < prompt_tokens:
            return
        self.prompts += 1
        self._lower(request_bytes * 1000 // prompt_tokens)

    def merge(self, other: "Measured") -> None:
        for bucket, count in enumerate(other.ratio_counts):
            self.ratio_counts[bucket] += count
        self.above_worst += other.above_worst
        self.prompts += other.prompts
        if other.least_bytes_per_token_milli:
            self._lower(other.least_bytes_per_token_milli)

    def _lower(self, bytes_per_token_milli: int) -> None:
        least = self.least_bytes_per_token_milli
        self.least_bytes_per_token_milli = min(least or bytes_per_token_milli, bytes_per_token_milli)


@dataclass(frozen=True, slots=True)
class Facts:
    """What pods are told of a model; 0: nothing is known."""

    expected_per_mille: int = 0
    calibrated_per_mille: int = 0
    bytes_per_token_milli: int = 0


def bucket_of(cost: int, worst: int) -> int:
    """Find the bucket of a cost: the lowest whose bound it does not exceed."""
    per_mille = -(-cost * WHOLE // worst)
    return min(BUCKETS - 1, bisect_left(UPPER_BOUNDS, per_mille))


def quantile_per_mille(counts: Sequence[int], per_mille: int) -> int:
    """Give a bound that so many thousandths of what was counted do not exceed; 0: nothing was counted."""
    rank = -(-sum(counts) * per_mille // 1000)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return UPPER_BOUNDS[bucket]
    return 0


def facts_of(costs: Measured, prompts: Measured) -> Facts:
    """Say what is known. costs: of the last days; prompts: of the last month."""
    exchanges = costs.exchanges
    return Facts(
        expected_per_mille=quantile_per_mille(costs.ratio_counts, 900) if exchanges >= LEAST_EXCHANGES else 0,
        calibrated_per_mille=quantile_per_mille(costs.ratio_counts, 999) if exchanges >= LEAST_FOR_CALIBRATED else 0,
        bytes_per_token_milli=(
            max(1000, prompts.least_bytes_per_token_milli * 8 // 10) if prompts.prompts >= LEAST_EXCHANGES else 0
        ),
    )


def steadied(told: Facts, found: Facts) -> Facts:
    """Keep what was told where the difference is not worth telling: pods get a policy anew for every change of it."""
    return Facts(
        _steady(told.expected_per_mille, found.expected_per_mille),
        _steady(told.calibrated_per_mille, found.calibrated_per_mille),
        _steady(told.bytes_per_token_milli, found.bytes_per_token_milli),
    )


def _steady(told: int, found: int) -> int:
    is_near = told and found and abs(found - told) * 100 <= told * _MOVES_BY_PER_CENT
    return told if is_near else found
