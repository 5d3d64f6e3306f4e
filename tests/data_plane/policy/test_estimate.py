from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_plane.policy.estimate import (
    FLOOR_PER_MILLE,
    LEAST_OUTPUT_TOKENS,
    UNKNOWN_CONTEXT_TOKENS,
    Tariff,
    likely_cost,
    output_that_fits,
    quote,
    tariff_of,
    with_output,
)
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.policy.rules import ModelFacts
from switchyard_contract.pricing import Band, Billed, Price, Rates, Tier, cost_of
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import TokenCounts
from tests.data_plane.policy.builders import PATIENT

USD = 1_000_000_000
OPUS = Rates(
    input=5 * USD, cache_read=USD // 2, cache_write_5m=625 * USD // 100, cache_write_1h=10 * USD, output=25 * USD
)


def a_price(rates: Rates = OPUS, **changes: Any) -> Price:
    return Price("p1", "anthropic", "claude-opus-4-8", rates, **changes)


def a_tariff(price: Price | None = None, **facts: int) -> Tariff:
    known = {"context_tokens": 200_000, "max_output_tokens": 32_000, **facts}
    return tariff_of(price or a_price(), ModelFacts(**known))


RATE = st.integers(0, 100 * USD)
SOME_RATE = st.none() | RATE
RATES = st.builds(
    Rates,
    input=RATE,
    cache_read=SOME_RATE,
    cache_write_5m=SOME_RATE,
    cache_write_1h=SOME_RATE,
    cache_write_30m=SOME_RATE,
    cache_write_12h=SOME_RATE,
    output=RATE,
    reasoning=SOME_RATE,
    input_tool=SOME_RATE,
)
TIERS = st.lists(
    st.builds(
        Tier, name=st.sampled_from(["flex", "priority"]), per_mille=st.integers(100, 3000), rates=st.none() | RATES
    ),
    max_size=2,
    unique_by=lambda tier: tier.name,
).map(tuple)
PRICES = st.builds(
    Price,
    id=st.just("p1"),
    vendor=st.just("v"),
    model=st.just("m"),
    rates=RATES,
    bands=st.lists(st.builds(Band, from_prompt_tokens=st.integers(1, 9000), rates=RATES), max_size=2).map(
        lambda bands: tuple(
            sorted({band.from_prompt_tokens: band for band in bands}.values(), key=lambda band: band.from_prompt_tokens)
        )
    ),
    tiers=TIERS,
    per_web_search=st.integers(0, USD).map(NanoUsd),
    us_geo_per_mille=st.sampled_from([1000, 1100]),
)
PARTS = st.lists(st.integers(0, 5), min_size=8, max_size=8)


FACTS = st.builds(
    ModelFacts,
    context_tokens=st.sampled_from([0, 8000]),
    max_output_tokens=st.sampled_from([0, 2000]),
    bytes_per_token_milli=st.sampled_from([0, 1000, 3500]),
    calibrated_per_mille=st.sampled_from([0, 300, 1000]),
    expected_per_mille=st.sampled_from([0, 10, 700]),
)
LAST_TURNS = st.none() | st.builds(
    LastTurn, st.integers(0, 9000), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000)
)


@PATIENT
@given(PRICES, FACTS, st.integers(0, 10_000), st.sampled_from([0, 50, 5000]), LAST_TURNS)
def test_a_plain_request_comes_to_the_same_on_the_short_way(
    price: Price, facts: ModelFacts, body_bytes: int, output: int, last: LastTurn | None
) -> None:
    tariff = tariff_of(price, facts)

    assert quote(tariff, RequestSize(body_bytes, output, is_plain=True), last) == quote(
        tariff, RequestSize(body_bytes, output), last
    )


@PATIENT
@given(PRICES, st.data())
def test_no_answer_costs_more_than_the_worst_case(price: Price, data: st.DataObject) -> None:
    asked_tier = data.draw(st.sampled_from(["", "flex", "priority", "auto"]))
    size = RequestSize(
        data.draw(st.integers(0, 10_000)),
        data.draw(st.sampled_from([0, 50, 5000])),
        answers=data.draw(st.integers(1, 3)),
        max_web_searches=data.draw(st.integers(0, 2)),
        service_tier=asked_tier,
    )
    asked = quote(tariff_of(price, ModelFacts(context_tokens=8000, max_output_tokens=2000)), size)
    # Whatever the provider makes of it: so many tokens at most, of whatever kinds, at a tier that was asked for.
    prompt = data.draw(st.integers(0, min(size.body_bytes + 2048, 8000)))
    kinds = spread(prompt, data.draw(PARTS))
    output = data.draw(st.integers(0, asked.output_tokens))
    reasoning = data.draw(st.integers(0, output))
    possible = {"": [""], "auto": ["", "flex", "priority"]}.get(asked_tier, ["", asked_tier])
    billed = Billed(
        web_searches=data.draw(st.integers(0, size.max_web_searches)),
        service_tier=data.draw(st.sampled_from(possible)),
        inference_geo=data.draw(st.sampled_from(["", "us"])),
    )

    actual = cost_of(TokenCounts(*kinds, output - reasoning, reasoning), price, billed).amount

    assert actual <= asked.amounts.worst


def spread(total: int, shares: list[int]) -> list[int]:
    """Split a number into as many parts as there are shares."""
    whole = sum(shares) or 1
    parts = [total * share // whole for share in shares]
    parts[0] += total - sum(parts)
    return parts


@PATIENT
@given(
    PRICES,
    st.integers(0, 10_000_000),
    st.integers(0, 100_000),
    st.none() | st.builds(LastTurn, *[st.integers(0, 1_000_000)] * 4),
    st.integers(1000, 8000),
    st.integers(0, 1000),
    st.integers(0, 1000),
)
def test_expected_is_within_calibrated_and_that_within_worst(
    price: Price,
    body_bytes: int,
    most: int,
    last: LastTurn | None,
    per_token: int,
    expected: int,
    calibrated: int,
) -> None:
    facts = ModelFacts(200_000, 32_000, 0, per_token, expected, calibrated)

    amounts = quote(tariff_of(price, facts), RequestSize(body_bytes, most), last).amounts

    assert 0 <= amounts.expected <= amounts.calibrated <= amounts.worst
    assert amounts.input_tokens >= 0
    assert amounts.output_tokens >= 0


def test_the_worst_case_takes_every_byte_for_a_token_written_to_the_dearest_cache() -> None:
    amounts = quote(a_tariff(), RequestSize(97_952, 4000)).amounts

    assert amounts.worst == 100_000 * 10 * USD // 1_000_000 + 4000 * 25 * USD // 1_000_000


def test_the_models_own_bounds_hold_where_the_request_says_more_or_nothing() -> None:
    whole = quote(a_tariff(), RequestSize(5_000_000)).amounts.worst

    assert whole == quote(a_tariff(), RequestSize(1, 10**9, is_unbounded=True)).amounts.worst
    assert whole == (200_000 * 10 + 32_000 * 25) * USD // 1_000_000


def test_what_is_not_known_of_a_model_is_the_most_there_is() -> None:
    tariff = tariff_of(a_price(), ModelFacts())

    assert tariff.context_tokens == UNKNOWN_CONTEXT_TOKENS
    assert tariff_of(a_price(), ModelFacts(), context_tokens=8, max_output_tokens=9).max_output_tokens == 9


def test_pictures_and_several_answers_count() -> None:
    plain = quote(a_tariff(), RequestSize(1000, 1000))
    rich = quote(a_tariff(), RequestSize(1000, 1000, answers=3, images=2))

    assert rich.output_tokens == 3 * plain.output_tokens
    assert rich.amounts.worst - plain.amounts.worst == (2 * 4096 * 10 + 2000 * 25) * USD // 1_000_000


def test_a_long_prompt_is_bounded_by_the_dearer_band() -> None:
    price = a_price(bands=(Band(100_000, Rates(input=20 * USD, output=50 * USD)),))

    below = quote(a_tariff(price), RequestSize(90_000, 1000)).amounts.worst
    above = quote(a_tariff(price), RequestSize(98_000, 1000)).amounts.worst

    assert below == (92_048 * 10 + 1000 * 25) * USD // 1_000_000
    assert above == (100_048 * 20 + 1000 * 50) * USD // 1_000_000


def test_what_was_measured_makes_the_calibrated_bound_and_never_the_worst_case() -> None:
    size = RequestSize(100_000, 1000)
    plain = quote(a_tariff(), size).amounts

    by_bytes = quote(a_tariff(bytes_per_token_milli=2500), size).amounts
    by_share = quote(a_tariff(calibrated_per_mille=300), size).amounts

    assert plain.calibrated == plain.worst == by_bytes.worst == by_share.worst
    assert by_bytes.calibrated == (42_048 * 10 + 1000 * 25) * USD // 1_000_000
    assert by_share.calibrated == -(-plain.worst * 300 // 1000)


def test_a_turn_of_a_session_is_expected_to_read_what_the_turn_before_left_in_the_cache() -> None:
    last = LastTurn(body_bytes=400_000, prompt_tokens=100_000, warm_tokens=99_000, output_tokens=400)

    amounts = quote(a_tariff(), RequestSize(404_000, 32_000), last).amounts

    # 101,000 tokens: 99,000 of them read, 2,000 written, and an answer half as long again.
    assert amounts.input_tokens == 101_000
    assert amounts.output_tokens == 600
    assert amounts.expected == 99_000 * 500 + 2000 * 6250 + 600 * 25_000
    assert amounts.worst > 25 * amounts.expected


def test_nothing_is_expected_to_cost_less_than_a_share_of_the_worst_case() -> None:
    last = LastTurn(body_bytes=4_000_000, prompt_tokens=100, warm_tokens=100, output_tokens=1)

    amounts = quote(a_tariff(), RequestSize(190_000, 32_000), last).amounts

    assert amounts.expected == -(-amounts.worst * FLOOR_PER_MILLE // 1000)


def test_of_a_request_without_a_session_is_expected_what_others_came_to() -> None:
    amounts = quote(a_tariff(expected_per_mille=100), RequestSize(190_000, 32_000)).amounts

    assert amounts.expected == amounts.worst // 10


def test_what_is_free_of_charge_asks_for_nothing() -> None:
    amounts = quote(a_tariff(), RequestSize(10**6, is_billable=False)).amounts

    assert (amounts.worst, amounts.input_tokens, amounts.output_tokens) == (0, 0, 0)


def test_what_a_subscription_pays_costs_nothing_and_is_counted_in_tokens() -> None:
    amounts = quote(None, RequestSize(35_000, 4000)).amounts

    assert (amounts.expected, amounts.calibrated, amounts.worst) == (0, 0, 0)
    assert (amounts.input_tokens, amounts.output_tokens) == (10_000, 1000)


def test_an_embedding_writes_nothing() -> None:
    asked = quote(a_tariff(), RequestSize(1000, answers_with_text=False))

    assert (asked.output_tokens, asked.amounts.output_tokens) == (0, 0)


@PATIENT
@given(PRICES, st.integers(0, 10_000), st.integers(1, 10**12), st.booleans(), st.integers(0, 1000))
def test_a_limit_that_fits_fits_and_is_the_greatest(
    price: Price, body_bytes: int, left: int, is_strict: bool, calibrated: int
) -> None:
    facts = ModelFacts(8000, 32_000, 0, 1000, 0, calibrated)
    asked = quote(tariff_of(price, facts), RequestSize(body_bytes))
    bound = asked.amounts.worst if is_strict else asked.amounts.calibrated
    assume(bound > left)

    tokens = output_that_fits(asked, NanoUsd(left), is_strict=is_strict)

    assert tokens == 0 or LEAST_OUTPUT_TOKENS <= tokens < asked.output_tokens
    if tokens:
        cut = with_output(asked, tokens).amounts
        assert (cut.worst if is_strict else cut.calibrated) <= left
    if is_strict and tokens:
        assert with_output(asked, tokens + 1).amounts.worst > left
    if is_strict and not tokens:
        assert with_output(asked, LEAST_OUTPUT_TOKENS).amounts.worst > left


def test_what_fits_anyway_is_not_cut() -> None:
    asked = quote(a_tariff(), RequestSize(1000, 4000))

    assert output_that_fits(asked, asked.amounts.worst, is_strict=True) == 0
    assert output_that_fits(asked, NanoUsd(0), is_strict=True) == 0


@PATIENT
@given(PRICES, st.integers(0, 10_000), st.integers(0, 4000), st.integers(0, 4000))
def test_a_stream_that_grows_reserves_more_and_never_less(price: Price, body_bytes: int, a: int, b: int) -> None:
    asked = quote(tariff_of(price, ModelFacts(8000, 4000)), RequestSize(body_bytes))
    less, more = sorted((a, b))

    assert with_output(asked, less).amounts.worst <= with_output(asked, more).amounts.worst
    assert with_output(asked, asked.output_tokens).amounts.worst == asked.amounts.worst


@pytest.mark.parametrize(("warm", "expected"), [(0, 10_000 * 6250), (9000, 9000 * 500 + 1000 * 6250)])
def test_a_prompt_that_is_not_cached_is_written_to_the_cache(warm: int, expected: int) -> None:
    assert likely_cost(a_price(), 10_000, warm, 0) == expected
