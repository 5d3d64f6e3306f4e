"""The disjoint counters: a sum is a sum, and nothing is negative."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.usage import KINDS, TokenCounts
from switchyard_contract.v1.usage_pb2 import Tokens

COUNTS = st.fixed_dictionaries({kind: st.integers(0, 10**9) for kind in KINDS})


@given(COUNTS)
def test_the_total_is_the_sum_of_all_kinds(counts: dict[str, int]) -> None:
    tokens = TokenCounts(**counts)
    assert tokens.total == sum(counts.values())
    assert tokens.prompt == tokens.total - counts["output"] - counts["reasoning"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_negative_counter_is_refused_by_name(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} is negative: -1"):
        TokenCounts(**{kind: -1})


def test_the_message_has_exactly_these_counters() -> None:
    """Both planes copy field by field; a kind that only one side knows would be lost on the way."""
    assert {field.name for field in Tokens.DESCRIPTOR.fields} == set(KINDS)
