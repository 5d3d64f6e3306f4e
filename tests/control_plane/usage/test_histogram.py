"""Latencies in buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.usage import histogram


@given(st.integers(min_value=0, max_value=2**40))
def test_a_duration_lies_within_the_bounds_of_its_bucket(duration_us: int) -> None:
    bucket = histogram.bucket_of(duration_us)
    lower, upper = histogram.bounds_us(bucket)

    assert lower <= duration_us
    assert duration_us < upper or bucket == histogram.BUCKETS - 1


def test_no_observation_has_no_quantile() -> None:
    assert histogram.quantile_us(histogram.empty(), 0.5) is None


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_quantile_is_off_by_less_than_a_factor_of_two(share: float) -> None:
    durations = [1000 + 700 * number for number in range(1000)]
    counts = histogram.empty()
    for duration in durations:
        counts[histogram.bucket_of(duration)] += 1

    truth = durations[int(share * len(durations))]
    found = histogram.quantile_us(counts, share)
    assert found is not None
    assert truth / 2 < found < truth * 2
