from hypothesis import given
from hypothesis import strategies as st

from data_plane.policy.budgets import budget_claim, told_by
from data_plane.policy.claims import BudgetClaim, percent_of, stage_at
from data_plane.policy.counting import Counter
from data_plane.policy.periods import LIFETIME
from data_plane.policy.rules import EVERYTHING, Budget, Raise, Stage
from switchyard_contract.quantity import NanoUsd
from tests.data_plane.policy.builders import PATIENT

STAGES = (
    st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["alert", "downgrade", "block"])), max_size=5)
    .map(sorted)
    .map(lambda stages: tuple(Stage(at, action, to=("small",)) for at, action in stages))
)
LIMITS = st.integers(0, 10**15).map(NanoUsd)


def a_claim(limit: NanoUsd, stages: tuple[Stage, ...], raised: int = 0) -> BudgetClaim:
    raises = (Raise("r", "", NanoUsd(raised), 0, 10),) if raised else ()
    budget = Budget(
        "b",
        "b",
        False,
        EVERYTHING,
        (),
        "",
        (),
        limit,
        LIFETIME,
        stages,
        True,
        "deny",
        NanoUsd(0),
        NanoUsd(0),
        raises,
        "",
    )
    return budget_claim(budget, Counter("", False, ""), 1, 5, may_downgrade=True)


@PATIENT
@given(LIMITS, LIMITS, STAGES)
def test_a_higher_limit_lowers_no_line(one: NanoUsd, other: NanoUsd, stages: tuple[Stage, ...]) -> None:
    low, high = (a_claim(limit, stages) for limit in sorted((one, other)))

    assert low.soft <= high.soft
    assert low.hard <= high.hard
    assert low.downgrade_at <= high.downgrade_at
    assert all(a.at <= b.at for a, b in zip(low.stages, high.stages, strict=True))


@PATIENT
@given(LIMITS, STAGES, st.integers(1, 10**12))
def test_a_raise_is_worth_as_much_as_a_higher_limit(limit: NanoUsd, stages: tuple[Stage, ...], more: int) -> None:
    assert a_claim(limit, stages, more) == a_claim(NanoUsd(limit + more), stages)


@PATIENT
@given(LIMITS, STAGES, st.lists(st.integers(0, 10**15), min_size=2, max_size=2))
def test_what_is_spent_only_ever_moves_on_through_the_stages(
    limit: NanoUsd, stages: tuple[Stage, ...], spent: list[int]
) -> None:
    claim = a_claim(limit, stages)
    less, more = sorted(spent)
    actions = [stage.action for stage in stages]
    found = [stage_at(claim, NanoUsd(amount)) for amount in (less, more)]
    reached = [sum(stage.at <= amount for stage in claim.stages) for amount in (less, more)]

    assert found == [actions[count - 1] if count else "" for count in reached]
    assert reached == sorted(reached)
    assert percent_of(claim, NanoUsd(less)) <= percent_of(claim, NanoUsd(more))


@PATIENT
@given(LIMITS, STAGES)
def test_the_line_is_where_the_first_block_stands(limit: NanoUsd, stages: tuple[Stage, ...]) -> None:
    claim = a_claim(limit, stages)
    blocks = [stage.at for stage in claim.stages if stage.action == "block"]

    assert claim.soft == claim.hard == (blocks[0] if blocks else -1)


def test_told_are_those_of_the_stages_that_were_reached_each_once() -> None:
    stages = (
        Stage(50, "alert", told=("lead",)),
        Stage(80, "alert", told=("finance", "lead")),
        Stage(100, "block", told=("owner",)),
    )
    claim = a_claim(NanoUsd(1000), stages)

    assert [told_by(claim, NanoUsd(posted)) for posted in (0, 499, 500, 800, 1000)] == [
        (),
        (),
        ("lead",),
        ("lead", "finance"),
        ("lead", "finance", "owner"),
    ]
