"""Counters as both planes write them, and the admission script's answer as both read it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.counters import (
    BudgetNumbers,
    CountersAnswer,
    RateNumbers,
    Verdict,
    answer_of,
    budget_key,
    counter_of,
    rate_key,
    read_answer,
    values_of,
    write_answer,
)

WHOLE = st.integers(-(2**63), 2**63 - 1)
AMOUNT = st.integers(0, 2**53)
RATES = st.builds(RateNumbers, st.booleans(), st.booleans(), WHOLE, WHOLE)
BUDGETS = st.builds(BudgetNumbers, st.booleans(), st.booleans(), WHOLE, WHOLE, WHOLE, AMOUNT, st.booleans())
ANSWERS = st.builds(
    CountersAnswer,
    verdict=st.sampled_from(Verdict),
    candidate=st.integers(0, 2),
    index=st.integers(-1, 15),
    retry_after_ms=WHOLE,
    now_ms=AMOUNT,
    generation=AMOUNT,
    sequence=AMOUNT,
    expected=AMOUNT,
    calibrated=AMOUNT,
    worst=AMOUNT,
    rates=st.lists(RATES, max_size=16).map(tuple),
    budgets=st.lists(BUDGETS, max_size=16).map(tuple),
)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_counter_reads_back_as_the_values_it_was_written_from(values: list[str]) -> None:
    assert values_of(counter_of(values)) == tuple(values)


def test_a_rule_without_per_has_one_counter() -> None:
    assert counter_of(()) == ""
    assert values_of("") == ()


def test_keys_of_an_organization_share_its_tag() -> None:
    assert budget_key("a1", "b2", "1700000000000", "u/claude") == "b:{a1}:b2:1700000000000:u/claude"
    assert rate_key("a1", "r3", "", "u") == "r:{a1}:r3::u"


@given(ANSWERS)
def test_an_answer_reads_back(answer: CountersAnswer) -> None:
    text = msgspec.msgpack.encode(write_answer(answer))
    assert read_answer(text) == answer
    assert answer_of(msgspec.msgpack.decode(text)) == answer


@given(ANSWERS, st.data())
def test_an_answer_that_is_cut_is_refused(answer: CountersAnswer, data: st.DataObject) -> None:
    text = msgspec.msgpack.encode(write_answer(answer))
    with pytest.raises(ValueError, match="counters"):
        read_answer(text[: data.draw(st.integers(0, len(text) - 1))])


@given(st.binary(max_size=200))
def test_anything_else_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"counters|Verdict"):
        read_answer(text)
