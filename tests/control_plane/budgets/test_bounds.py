"""The bound in dollars, and what it rests on."""

import pytest

from control_plane.budgets.bounds import Seen, WorstExchange, bound_of
from switchyard_contract.quantity import NANO_PER_USD, NanoUsd, nano_usd

LIMIT = nano_usd("10")
OPUS = WorstExchange("claude-opus-4-8", nano_usd("3"), nano_usd("0.5"), is_measured=True)
NOTHING = NanoUsd(0)


def test_strict_is_never_above_the_line() -> None:
    bound = bound_of(limit=LIMIT, block_percent=100, is_strict=True, grace=NOTHING, dearest=OPUS)

    assert (bound.hard, bound.at_most) == (LIMIT, LIMIT)


def test_calibrated_may_exceed_the_line_by_what_runs_at_once() -> None:
    bound = bound_of(limit=LIMIT, block_percent=100, is_strict=False, grace=NOTHING, dearest=OPUS)

    assert bound.at_most == 35 * NANO_PER_USD
    assert "10 exchanges at once (assumed, since nothing was measured yet)" in bound.assumption
    assert "claude-opus-4-8" in bound.assumption


@pytest.mark.parametrize(
    ("seen", "at_most", "told"),
    [
        (4, 35, "10 exchanges at once (in the last 14 days any one team ran 4 at most; 10 are taken at least)"),
        (1_200, 3_010, "1,200 exchanges at once (in the last 14 days any one team ran 1,200 at most)"),
    ],
)
def test_as_many_are_taken_as_were_seen_and_ten_at_least(seen: int, at_most: int, told: str) -> None:
    bound = bound_of(
        limit=LIMIT, block_percent=100, is_strict=False, grace=NOTHING, dearest=OPUS, seen=Seen(seen, "any one team")
    )

    assert bound.at_most == at_most * NANO_PER_USD
    assert told in bound.assumption


def test_what_was_never_measured_is_reserved_at_its_worst() -> None:
    unknown = WorstExchange("new", nano_usd("3"), nano_usd("3"))
    bound = bound_of(limit=LIMIT, block_percent=100, is_strict=False, grace=NOTHING, dearest=unknown)

    assert bound.at_most == LIMIT
    assert "Until exchanges were measured" in bound.assumption


def test_a_tolerance_moves_the_line_and_grace_comes_on_top() -> None:
    bound = bound_of(limit=LIMIT, block_percent=110, is_strict=True, grace=nano_usd("0.5"), dearest=None)

    assert (bound.hard, bound.at_most) == (nano_usd("11"), nano_usd("11.5"))
    assert "grace" in bound.assumption


def test_without_a_block_nothing_holds_it_back() -> None:
    bound = bound_of(limit=LIMIT, block_percent=None, is_strict=True, grace=NOTHING, dearest=OPUS)

    assert (bound.hard, bound.at_most) == (None, None)
    assert "warns" in bound.assumption


def test_without_a_priced_model_nothing_can_be_spent() -> None:
    assert bound_of(limit=LIMIT, block_percent=100, is_strict=False, grace=NOTHING, dearest=None).at_most == LIMIT
