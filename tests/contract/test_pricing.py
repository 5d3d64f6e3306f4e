"""Tokens and a price row to money, to the nano-dollar. Every expected sum below was worked out by hand."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.pricing import Band, Billed, Price, Rates, Tier, amount_of, cost_of, price_in_force
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import KINDS, TokenCounts

DOLLAR = 1_000_000_000
"""Nano-USD; as a rate: a dollar per million tokens, which is 1,000 nano-USD per token."""

SONNET = Price(
    id="anthropic/claude-sonnet-4-5/1",
    vendor="anthropic",
    model="claude-sonnet-4-5",
    rates=Rates(
        input=3 * DOLLAR,
        cache_read=DOLLAR * 3 // 10,
        cache_write_5m=DOLLAR * 375 // 100,
        cache_write_1h=6 * DOLLAR,
        output=15 * DOLLAR,
    ),
    bands=(
        Band(
            200_001,
            Rates(
                input=6 * DOLLAR,
                cache_read=DOLLAR * 6 // 10,
                cache_write_5m=DOLLAR * 75 // 10,
                cache_write_1h=12 * DOLLAR,
                output=DOLLAR * 225 // 10,
            ),
        ),
    ),
    tiers=(Tier("batch", per_mille=500),),
    per_web_search=NanoUsd(10_000_000),
    us_geo_per_mille=1100,
)

GPT = Price(
    id="openai/gpt-5.4/1",
    vendor="openai",
    model="gpt-5.4",
    rates=Rates(input=DOLLAR * 125 // 100, cache_read=DOLLAR * 125 // 1000, output=10 * DOLLAR),
    bands=(
        Band(128_000, Rates(input=2 * DOLLAR, cache_read=DOLLAR // 5, output=12 * DOLLAR)),
        Band(272_000, Rates(input=DOLLAR * 25 // 10, cache_read=DOLLAR // 4, output=15 * DOLLAR)),
    ),
    tiers=(
        Tier("flex", per_mille=500),
        Tier("priority", rates=Rates(input=DOLLAR * 25 // 10, cache_read=DOLLAR // 4, output=20 * DOLLAR)),
    ),
)

GEMINI = Price(
    id="gemini/gemini-3-pro/1",
    vendor="gemini",
    model="gemini-3-pro",
    rates=Rates(input=2 * DOLLAR, cache_read=DOLLAR // 5, output=12 * DOLLAR, reasoning=9 * DOLLAR, input_tool=DOLLAR),
)

GOLDEN = [
    ("nothing", SONNET, TokenCounts(), Billed(), 0),
    # 1,000 × 3,000
    ("fresh input", SONNET, TokenCounts(input_fresh=1000), Billed(), 3_000_000),
    # 700 × 15,000
    ("output", SONNET, TokenCounts(output=700), Billed(), 10_500_000),
    # 100,000 × 300
    ("cache read", SONNET, TokenCounts(cache_read=100_000), Billed(), 30_000_000),
    # 3,000 × 3,750
    ("written for 5 minutes", SONNET, TokenCounts(cache_write_5m=3000), Billed(), 11_250_000),
    # 1,500 × 6,000
    ("written for an hour", SONNET, TokenCounts(cache_write_1h=1500), Billed(), 9_000_000),
    # Unknown lifetimes cost what five minutes cost: 400 × 3,750 each
    ("written for half an hour", SONNET, TokenCounts(cache_write_30m=400), Billed(), 1_500_000),
    ("written for half a day", SONNET, TokenCounts(cache_write_12h=400), Billed(), 1_500_000),
    ("written for nobody knows how long", SONNET, TokenCounts(cache_write_other=400), Billed(), 1_500_000),
    # 3,000,000 + 30,000,000 + 11,250,000 + 9,000,000 + 10,500,000; prompt 105,500
    (
        "a turn of a coding agent",
        SONNET,
        TokenCounts(input_fresh=1000, cache_read=100_000, cache_write_5m=3000, cache_write_1h=1500, output=700),
        Billed(),
        63_750_000,
    ),
    # Prompt 200,000: the last below the band. 199,000 × 300 + 1,000 × 3,000 + 10 × 15,000
    (
        "just below the long-context band",
        SONNET,
        TokenCounts(cache_read=199_000, input_fresh=1000, output=10),
        Billed(),
        62_850_000,
    ),
    # Prompt 200,001: everything at the band's rates. 199,001 × 600 + 1,000 × 6,000 + 10 × 22,500
    (
        "just inside the long-context band",
        SONNET,
        TokenCounts(cache_read=199_001, input_fresh=1000, output=10),
        Billed(),
        125_625_600,
    ),
    # Output does not count for the band: 10 × 3,000 + 300,000 × 15,000
    ("a long answer to a short prompt", SONNET, TokenCounts(input_fresh=10, output=300_000), Billed(), 4_500_030_000),
    # Half of 63,750,000
    (
        "batch is half",
        SONNET,
        TokenCounts(input_fresh=1000, cache_read=100_000, cache_write_5m=3000, cache_write_1h=1500, output=700),
        Billed(service_tier="batch"),
        31_875_000,
    ),
    # (199,001 × 600 + 1,000 × 6,000) / 2
    (
        "batch inside the band",
        SONNET,
        TokenCounts(cache_read=199_001, input_fresh=1000),
        Billed(service_tier="batch"),
        62_700_300,
    ),
    ("an unknown tier changes nothing", SONNET, TokenCounts(output=700), Billed(service_tier="standard"), 10_500_000),
    # 10,500,000 × 1.1
    ("the United States cost a tenth more", SONNET, TokenCounts(output=700), Billed(inference_geo="us"), 11_550_000),
    ("elsewhere costs the same", SONNET, TokenCounts(output=700), Billed(inference_geo="global"), 10_500_000),
    # 10,500,000 × 0.5 × 1.1
    (
        "batch in the United States",
        SONNET,
        TokenCounts(output=700),
        Billed(service_tier="batch", inference_geo="us"),
        5_775_000,
    ),
    # 3 × 10,000,000 and 10,500,000; searches know no tier and no geography
    (
        "web searches",
        SONNET,
        TokenCounts(output=700),
        Billed(web_searches=3),
        40_500_000,
    ),
    (
        "web searches are not discounted",
        SONNET,
        TokenCounts(output=700),
        Billed(web_searches=3, service_tier="batch", inference_geo="us"),
        35_775_000,
    ),
    # 1,000 × 1,250 + 500 × 10,000 + 2,000 × 10,000: reasoning without a rate of its own is output
    ("reasoning is output", GPT, TokenCounts(input_fresh=1000, output=500, reasoning=2000), Billed(), 26_250_000),
    # 8,000 × 125
    ("an eighth of a cent", GPT, TokenCounts(cache_read=8000), Billed(), 1_000_000),
    # First band: 128,000 × 2,000. Second: 272,000 × 2,500
    ("the middle band", GPT, TokenCounts(input_fresh=128_000), Billed(), 256_000_000),
    ("the last token of the middle band", GPT, TokenCounts(input_fresh=271_999), Billed(), 543_998_000),
    ("the highest band", GPT, TokenCounts(input_fresh=272_000), Billed(), 680_000_000),
    # Without a rate a write costs as fresh input: 100 × 1,250
    ("writes without a rate", GPT, TokenCounts(cache_write_1h=100), Billed(), 125_000),
    ("flex is half", GPT, TokenCounts(input_fresh=1000), Billed(service_tier="flex"), 625_000),
    # 1,000 × 2,500 + 100 × 20,000
    ("priority has rates", GPT, TokenCounts(input_fresh=1000, output=100), Billed(service_tier="priority"), 4_500_000),
    # A tier's own rates win over a band: 300,000 × 2,500
    ("priority in a band", GPT, TokenCounts(input_fresh=300_000), Billed(service_tier="priority"), 750_000_000),
    # 100 × 2,000 + 50 × 1,000 + 10 × 12,000 + 20 × 9,000
    (
        "tool prompts and reasoning with rates",
        GEMINI,
        TokenCounts(input_fresh=100, input_tool=50, output=10, reasoning=20),
        Billed(),
        550_000,
    ),
]


@pytest.mark.parametrize(
    ("price", "tokens", "billed", "expected"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN]
)
def test_the_cost_is_what_was_worked_out_by_hand(
    price: Price, tokens: TokenCounts, billed: Billed, expected: int
) -> None:
    cost = cost_of(tokens, price, billed)
    assert cost.amount == expected
    assert cost.price_id == price.id


def a_price(rate: int, **changes: object) -> Price:
    return Price(id="p", vendor="", model="m", rates=Rates(input=rate, output=rate), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "tokens", "expected"),
    [(499_999, 1, 0), (500_000, 1, 1), (500_000, 3, 2), (1, 499_999, 0), (1, 500_000, 1), (333_333, 3, 1)],
)
def test_a_sum_is_rounded_once_half_up(rate: int, tokens: int, expected: int) -> None:
    assert cost_of(TokenCounts(input_fresh=tokens), a_price(rate)).amount == expected


def test_halves_of_several_kinds_are_added_before_rounding() -> None:
    assert cost_of(TokenCounts(input_fresh=1, output=1), a_price(500_000)).amount == 1


def test_huge_numbers_stay_exact() -> None:
    tokens = TokenCounts(input_fresh=10**12 + 1)
    # 75,000.000001 a token: 75,000,000,001,000,000 for 10^12 of them, and 75,000.000001 for one more
    assert cost_of(tokens, a_price(75 * DOLLAR + 1)).amount == 75_000_000_001_075_000


def test_the_lines_tell_what_was_multiplied_with_what() -> None:
    cost = cost_of(TokenCounts(input_fresh=2, reasoning=3), GPT, Billed(service_tier="flex"))
    assert [line for line in cost.lines if line[1]] == [
        ("input_fresh", 2, 1_250_000_000),
        ("reasoning", 3, 10_000_000_000),
    ]
    assert tuple(line[0] for line in cost.lines) == KINDS
    assert cost.per_mille == 500


COUNTS = st.builds(TokenCounts, **{kind: st.integers(0, 400_000) for kind in KINDS})
RATE = st.integers(0, 100 * DOLLAR)
PRICES = st.builds(
    Price,
    id=st.just("p"),
    vendor=st.just(""),
    model=st.just("m"),
    rates=st.builds(Rates, input=RATE, cache_read=st.none() | RATE, output=RATE, reasoning=st.none() | RATE),
)


@given(COUNTS, PRICES)
def test_a_cost_is_within_half_a_nano_dollar_of_the_exact_sum(tokens: TokenCounts, price: Price) -> None:
    cost = cost_of(tokens, price)
    exact = sum(count * rate for _, count, rate in cost.lines)
    assert cost.amount >= 0
    assert abs(2 * (cost.amount * 1_000_000 - exact)) <= 1_000_000


@given(COUNTS, PRICES, st.sampled_from(KINDS))
def test_one_more_token_never_costs_less(tokens: TokenCounts, price: Price, kind: str) -> None:
    counts = {name: getattr(tokens, name) for name in KINDS}
    counts[kind] += 1
    assert cost_of(TokenCounts(**counts), price).amount >= cost_of(tokens, price).amount


def a_row(row_id: str, **changes: object) -> Price:
    values: dict[str, object] = {"id": row_id, "vendor": "openai", "model": "m", "rates": Rates(), **changes}
    return Price(**values)  # type: ignore[arg-type]


def test_the_row_in_force_is_the_closest_one() -> None:
    rows = [
        a_row("any vendor", vendor=""),
        a_row("list"),
        a_row("list, newer", valid_from_ms=100),
        a_row("of another vendor", vendor="azure", valid_from_ms=300),
        a_row("of another model", model="n", valid_from_ms=300),
        a_row("own", is_override=True, valid_from_ms=200, valid_to_ms=300),
        a_row("own, any vendor", is_override=True, vendor="", valid_from_ms=150),
    ]
    at = {50: "list", 100: "list, newer", 150: "own, any vendor", 200: "own", 299: "own", 300: "own, any vendor"}
    for instant_ms, expected in at.items():
        found = price_in_force(rows, "openai", "m", instant_ms)
        assert found is not None
        assert found.id == expected, instant_ms
        assert price_in_force(reversed(rows), "openai", "m", instant_ms) == found


def test_a_model_without_a_row_is_unpriced() -> None:
    assert price_in_force([a_row("later", valid_from_ms=10)], "openai", "m", 9) is None
    assert price_in_force([], "openai", "m", 0) is None


RATE = st.none() | st.integers(0, 10**11)
RATES = st.builds(
    Rates,
    input=st.integers(0, 10**11),
    cache_read=RATE,
    cache_write_5m=RATE,
    cache_write_1h=RATE,
    cache_write_30m=RATE,
    cache_write_12h=RATE,
    output=st.integers(0, 10**11),
    reasoning=RATE,
    input_tool=RATE,
)


@given(
    counts=st.dictionaries(st.sampled_from(KINDS), st.integers(0, 10**9)),
    rates=RATES,
    band=RATES,
    from_prompt_tokens=st.integers(0, 10**9),
    tier=st.none() | RATES,
    billed=st.builds(
        Billed,
        web_searches=st.integers(0, 100),
        service_tier=st.sampled_from(["", "flex"]),
        inference_geo=st.sampled_from(["", "us"]),
    ),
)
def test_the_short_way_to_an_amount_follows_the_lines_people_can_check(
    counts: dict[str, int], rates: Rates, band: Rates, from_prompt_tokens: int, tier: Rates | None, billed: Billed
) -> None:
    price = Price(
        id="p",
        vendor="v",
        model="m",
        rates=rates,
        bands=(Band(from_prompt_tokens, band),),
        tiers=(Tier("flex", 500, tier),),
        per_web_search=NanoUsd(7),
        us_geo_per_mille=1100,
    )
    tokens = TokenCounts(**counts)
    cost = cost_of(tokens, price, billed)
    geo = 1100 if billed.inference_geo == "us" else 1000
    exact = Fraction(sum(count * rate for _, count, rate in cost.lines) * cost.per_mille * geo, 10**12)
    assert amount_of(tokens, price, billed) == cost.amount == floor(exact + Fraction(1, 2)) + billed.web_searches * 7
