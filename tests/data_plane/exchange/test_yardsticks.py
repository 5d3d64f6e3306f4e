"""What a pod learns of how models count, and what then stands in for numbers that nobody told."""

import pytest

from data_plane.conversation.token_estimate import Counted
from data_plane.exchange.yardsticks import Yardsticks
from data_plane.policy.request_size import LastTurn
from switchyard_contract.usage import TokenCounts

PLACE = ("provider", "model")


def learned(*answers: tuple[int, TokenCounts, Counted | None]) -> Yardsticks:
    sticks = Yardsticks()
    for body_bytes, told, own in answers:
        assert sticks.wants(PLACE)
        sticks.note(PLACE, body_bytes, told, own)
    return sticks


def test_a_model_that_nothing_is_known_of_counts_as_we_do() -> None:
    scale = Yardsticks().scale(PLACE, 3500, None)

    assert scale.prompt == TokenCounts(input_fresh=1000)
    assert scale.scaled(123) == 123


def test_answers_that_end_well_teach_how_a_model_counts() -> None:
    scale = learned((4000, TokenCounts(input_fresh=900, cache_read=100, output=120), Counted(100, 0))).scale(
        PLACE, 8000, None
    )

    assert scale.prompt == TokenCounts(input_fresh=2000)
    assert scale.scaled(50) == 60


def test_newer_answers_count_for_a_fifth() -> None:
    told = [TokenCounts(input_fresh=1000, output=output) for output in (100, 200)]
    sticks = learned(*[(4000, each, Counted(100, 0)) for each in told])

    assert sticks.scale(PLACE, 0, None).per_counted == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("told", "own"),
    [
        (TokenCounts(input_fresh=1000, output=100, reasoning=900), Counted(100, 0)),
        (TokenCounts(input_fresh=1000, output=100), Counted(100, 50)),
        (TokenCounts(input_fresh=1000, output=900), Counted(100, 0)),
        (TokenCounts(input_fresh=1000, output=8), Counted(4, 0)),
        (TokenCounts(input_fresh=1000, output=0), Counted(0, 0)),
        (TokenCounts(input_fresh=1000, output=500), None),
    ],
    ids=["hidden reasoning", "reasoning beside", "unlikely", "too short", "nothing", "a document"],
)
def test_what_says_nothing_of_words_teaches_nothing(told: TokenCounts, own: Counted | None) -> None:
    assert learned((4000, told, own)).scale(PLACE, 0, None).per_counted == 1.0


def test_a_picture_teaches_nothing_of_prompts() -> None:
    scale = learned((4_000_000, TokenCounts(input_fresh=1500), None)).scale(PLACE, 3500, None)

    assert scale.prompt == TokenCounts(input_fresh=1000)


def test_a_short_request_teaches_nothing_of_prompts() -> None:
    scale = learned((300, TokenCounts(input_fresh=30), None)).scale(PLACE, 3500, None)

    assert scale.prompt == TokenCounts(input_fresh=1000)


def test_a_session_goes_on_from_its_last_turn() -> None:
    last = LastTurn(body_bytes=400_000, prompt_tokens=110_000, warm_tokens=100_000, output_tokens=5)

    scale = Yardsticks().scale(PLACE, 403_500, last)

    assert scale.prompt == TokenCounts(input_fresh=11_000, cache_read=100_000)


def test_a_session_that_was_compacted_begins_anew() -> None:
    last = LastTurn(body_bytes=400_000, prompt_tokens=110_000, warm_tokens=100_000, output_tokens=5)

    assert Yardsticks().scale(PLACE, 3500, last).prompt == TokenCounts(input_fresh=1000)


def test_the_first_answers_are_learned_from_and_then_a_few() -> None:
    sticks = Yardsticks()

    wanted = [sticks.wants(PLACE) for _ in range(1000)]

    assert wanted[:8] == [True] * 8
    assert sum(wanted[8:]) == 1000 // 64


def test_models_are_forgotten_when_there_are_too_many() -> None:
    sticks = Yardsticks(limit=2)
    for name in "abc":
        sticks.wants(("p", name))
        sticks.note(("p", name), 4000, TokenCounts(input_fresh=2000), None)

    assert sticks.scale(("p", "a"), 3500, None).prompt.input_fresh == 1000
    assert sticks.scale(("p", "c"), 3500, None).prompt.input_fresh == 1750
