"""Latencies in buckets that can be added, and quantiles read from them. Pure.

Bucket 0 counts what is below 128 µs; bucket i counts [128 * 2^(i-1), 128 * 2^i) µs; the last one everything from about
nine minutes up.

What lies inside of a bucket is not known: its observations are taken to be spread evenly over it, as its logarithm
goes. The one of a single answer is read in the middle, off by at most 41 %; of many that fill several buckets a
quantile is off by a few per cent, of many that lie at one edge of one bucket by less than a factor of two. With too few
observations a high quantile would be nothing but the greatest of them, and is not told (`least_for`).
"""

from collections.abc import Sequence
from math import ceil
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


def least_for(share: float) -> int:
    """How many observations tell a quantile apart from the greatest one: 20 for 95 %, 100 for 99 %."""
    return 1 if share <= 0.5 else ceil(round(1 / (1 - share), 6))


def quantile_us(counts: Sequence[int], share: float) -> int | None:
    """Read the duration below which `share` of all observations lie. None: too few were observed."""
    total = sum(counts)
    if total <= 0 or total < least_for(share):
        return None
    # By rank, each in the middle of the part of the bucket that it has: none is read at the bucket's end.
    rank = max(1, ceil(round(share * total, 6)))
    seen = 0
    for bucket, count in enumerate(counts):
        if count > 0 and seen + count >= rank:
            lower, upper = bounds_us(bucket)
            part = (rank - seen - 0.5) / count
            if lower == 0:
                return round(upper * part)
            return round(lower * (upper / lower) ** part)
        seen += count
    return bounds_us(len(counts) - 1)[1]
