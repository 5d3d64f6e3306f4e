"""Money as text and back, without a float anywhere."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.quantity import NanoUsd, nano_usd, usd_text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (15_734_500, "0.015734500"),
        (12_500_000_000, "12.500000000"),
        (-1, "-0.000000001"),
        (-2_000_000_000, "-2.000000000"),
    ],
)
def test_money_is_written_with_all_its_digits(amount: int, text: str) -> None:
    assert usd_text(NanoUsd(amount)) == text


@given(st.integers(-(10**18), 10**18))
def test_what_is_written_reads_back(amount: int) -> None:
    assert nano_usd(usd_text(NanoUsd(amount))) == amount


@pytest.mark.parametrize(("text", "amount"), [("12.50", 12_500_000_000), ("1e-9", 1), (Decimal("0.1"), 100_000_000)])
def test_dollars_are_read_exactly(text: str | Decimal, amount: int) -> None:
    assert nano_usd(text) == amount


@pytest.mark.parametrize("text", ["", "ten", "NaN", "Infinity", "-Infinity", "1,50", "$5", "0x10"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount in US dollars"):
        nano_usd(text)


def test_less_than_a_nano_dollar_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="finer than a billionth"):
        nano_usd("0.0000000001")
