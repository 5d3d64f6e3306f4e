"""Latencies in buckets that can be added, and quantiles read from them. Pure.

Bucket 0 counts what is below 128 µs; bucket i counts [128 * 2^(i-1), 128 * 2^i) µs; the last one everything from about
nine minutes up. A quantile is interpolated geometrically inside its bucket, so it is off by less than a factor of two,
typically by a few per cent.
"""

from collections.abc import Sequence
from typing import Final

BUCKETS: Final = 24
LOWEST_BOUND_US: Final = 128
_SHIFT: Final = LOWEST_BOUND_US.bit_length() - 1


def bucket_of(duration_us: int) -> int:
    """Find the bucket of a duration, never negative."""
    return min(BUCKETS - 1, (duration_us >> _SHIFT).bit_length())


def bounds_us(bucket: int) -> tuple[int, int]:
    """Say where a bucket begins and ends; the last one is drawn as if it ended like the others."""
    lower = 0 if bucket == 0 else LOWEST_BOUND_US << (bucket - 1)
    return lower, LOWEST_BOUND_US << bucket


def empty() -> list[int]:
    return [0] * BUCKETS


def quantile_us(counts: Sequence[int], share: float) -> int | None:
    """Read the duration below which `share` of all observations lie. None: nothing was observed."""
    total = sum(counts)
    if total <= 0:
        return None
    wanted = share * total
    seen = 0
    for bucket, count in enumerate(counts):
        if count > 0 and seen + count >= wanted:
            lower, upper = bounds_us(bucket)
            part = (wanted - seen) / count
            if lower == 0:
                return round(upper * part)
            return round(lower * (upper / lower) ** part)
        seen += count
    return bounds_us(len(counts) - 1)[1]
