"""Ratios of actual to worst-case cost, and what is said from them."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.usage.ratios import (
    BUCKETS,
    LEAST_EXCHANGES,
    LEAST_FOR_CALIBRATED,
    UPPER_BOUNDS,
    Facts,
    Measured,
    bucket_of,
    facts_of,
    quantile_per_mille,
    steadied,
)

COSTS = st.lists(st.integers(0, 1_000_000), min_size=1, max_size=300)


def counted(costs: list[int], worst: int = 1_000_000) -> Measured:
    measured = Measured()
    for cost in costs:
        measured.add_cost(cost, worst)
    return measured


def test_the_buckets_are_few_and_end_at_the_worst_case() -> None:
    assert UPPER_BOUNDS[0] == 1
    assert UPPER_BOUNDS[-1] == 1000
    assert BUCKETS == len(set(UPPER_BOUNDS)) < 120
    assert all(later - earlier <= 1 + earlier * 0.045 for earlier, later in pairwise(UPPER_BOUNDS))


@given(COSTS, st.sampled_from([500, 900, 999]))
def test_a_quantile_is_never_below_the_true_one_and_hardly_above(costs: list[int], share: int) -> None:
    told = quantile_per_mille(counted(costs).ratio_counts, share)
    truth = Fraction(sorted(costs)[-(-len(costs) * share // 1000) - 1], 1000)

    assert truth <= told <= truth * Fraction(1045, 1000) + 2


def test_what_cost_more_than_the_worst_case_is_the_worst_case_and_is_counted_apart() -> None:
    measured = counted([1_000_000, 1_000_001, 5_000_000])

    assert bucket_of(5, 1) == BUCKETS - 1
    assert measured.ratio_counts[-1] == 3
    assert measured.above_worst == 2


def test_nothing_was_counted() -> None:
    assert quantile_per_mille(Measured().ratio_counts, 900) == 0
    assert facts_of(Measured(), Measured()) == Facts()


@pytest.mark.parametrize(
    ("count", "expected", "calibrated"),
    [
        (LEAST_EXCHANGES - 1, False, False),
        (LEAST_EXCHANGES, True, False),
        (LEAST_FOR_CALIBRATED - 1, True, False),
        (LEAST_FOR_CALIBRATED, True, True),
    ],
)
def test_of_too_few_nothing_is_said(count: int, expected: bool, calibrated: bool) -> None:
    facts = facts_of(counted([30_000] * count), Measured())

    assert (facts.expected_per_mille > 0, facts.calibrated_per_mille > 0) == (expected, calibrated)


def test_nine_in_ten_and_all_but_one_in_a_thousand() -> None:
    facts = facts_of(counted([10_000] * 9000 + [100_000] * 990 + [900_000] * 10), Measured())

    assert facts.expected_per_mille == 10
    assert 100 <= facts.calibrated_per_mille <= 105


def test_bytes_per_token_are_the_lowest_seen_less_a_fifth() -> None:
    prompts = Measured()
    for number in range(LEAST_EXCHANGES - 1):
        prompts.add_prompt(40_000 + number, 10_000)
    assert facts_of(Measured(), prompts).bytes_per_token_milli == 0

    prompts.add_prompt(30_000, 10_000)
    assert facts_of(Measured(), prompts).bytes_per_token_milli == 2400


@pytest.mark.parametrize(
    ("request_bytes", "prompt_tokens"),
    [(4_095 * 2, 4_095), (9_999, 10_000), (0, 0)],
    ids=["short", "not all in the request", "nothing"],
)
def test_prompts_that_say_nothing_are_not_counted(request_bytes: int, prompt_tokens: int) -> None:
    prompts = Measured()
    prompts.add_prompt(request_bytes, prompt_tokens)

    assert (prompts.prompts, prompts.least_bytes_per_token_milli) == (0, 0)


def test_a_token_is_never_said_to_be_less_than_a_byte() -> None:
    prompts = Measured(prompts=LEAST_EXCHANGES, least_bytes_per_token_milli=1100)

    assert facts_of(Measured(), prompts).bytes_per_token_milli == 1000


@given(COSTS, COSTS)
def test_days_that_are_added_are_as_if_counted_together(one: list[int], other: list[int]) -> None:
    added = counted(one)
    added.merge(counted(other))

    assert added == counted(one + other)


def test_the_lowest_of_two_days_is_that_of_the_day_that_has_one() -> None:
    added = Measured()
    added.merge(Measured(prompts=1, least_bytes_per_token_milli=3000))
    added.merge(Measured())
    added.merge(Measured(prompts=2, least_bytes_per_token_milli=2500))

    assert (added.prompts, added.least_bytes_per_token_milli) == (3, 2500)


@pytest.mark.parametrize(
    ("told", "found", "tells"),
    [(0, 40, 40), (40, 0, 0), (100, 105, 100), (100, 106, 106), (100, 95, 100), (100, 94, 94), (20, 21, 20)],
)
def test_only_what_moved_is_told_anew(told: int, found: int, tells: int) -> None:
    facts = steadied(Facts(told, told, told), Facts(found, found, found))

    assert facts == Facts(tells, tells, tells)
