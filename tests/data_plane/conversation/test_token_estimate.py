"""Counting what no provider told."""

import pytest

from data_plane.conversation.tally import MAX_TOLD, told
from data_plane.conversation.token_estimate import MAX_MEASURED, count_text, estimate_prompt, warm_up


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (7, 2), (3500, 1000), (3501, 1001)])
def test_a_prompt_is_estimated_from_its_size_and_rounded_up(size: int, tokens: int) -> None:
    assert estimate_prompt(size) == tokens


def test_text_is_counted_whole_whatever_its_pieces() -> None:
    warm_up()

    assert count_text([]) == 0
    assert count_text(["Hello", ", ", "world"]) == count_text(["Hello, world"]) == 3


def test_a_long_text_is_measured_in_part_and_extended() -> None:
    part = "some words that repeat " * (MAX_MEASURED // 23)

    assert count_text([part * 4]) == pytest.approx(count_text([part]) * 4, rel=0.05)


@pytest.mark.parametrize(("number", "kept"), [(None, 0), (-5, 0), (7, 7), (10**15, MAX_TOLD)])
def test_a_provider_s_number_is_brought_to_what_a_counter_holds(number: int | None, kept: int) -> None:
    assert told(number) == kept
