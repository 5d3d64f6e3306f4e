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


def counted(*durations_us: int) -> list[int]:
    counts = histogram.empty()
    for duration_us in durations_us:
        counts[histogram.bucket_of(duration_us)] += 1
    return counts


def test_a_single_answer_is_read_in_the_middle_of_its_bucket_and_has_no_high_quantile() -> None:
    median = histogram.quantile_us(counted(5_500), 0.5)
    assert median is not None
    assert 5_500 / 1.42 < median < 5_500 * 1.42
    assert median == 5_793  # of 4,096 to 8,192, as the logarithm goes
    assert histogram.quantile_us(counted(5_500), 0.95) is None
    assert histogram.quantile_us(counted(100), 0.5) == 64


@pytest.mark.parametrize(("share", "least"), [(0.5, 1), (0.9, 10), (0.95, 20), (0.99, 100)])
def test_a_high_quantile_is_told_as_soon_as_it_is_not_the_greatest_one(share: float, least: int) -> None:
    assert histogram.least_for(share) == least
    many = [1_000] * (least - 2) + [70_000]
    if least > 1:
        assert histogram.quantile_us(counted(*many), share) is None
    assert histogram.quantile_us(counted(*[1_000] * least), share) is not None


def test_one_slow_answer_in_twenty_is_not_what_95_of_100_stay_below() -> None:
    fast = histogram.quantile_us(counted(*[1_500] * 19, 900_000), 0.95)
    assert fast is not None
    assert fast < 2_048
    slow = histogram.quantile_us(counted(*[1_500] * 18, 900_000, 900_000), 0.95)
    assert slow is not None
    assert slow > 524_288


@given(st.lists(st.integers(min_value=128, max_value=2**29), min_size=1, max_size=60))
def test_the_median_is_off_by_less_than_a_factor_of_two(durations_us: list[int]) -> None:
    truth = sorted(durations_us)[(len(durations_us) + 1) // 2 - 1]
    found = histogram.quantile_us(counted(*durations_us), 0.5)
    assert found is not None
    assert truth / 2 < found < truth * 2


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
