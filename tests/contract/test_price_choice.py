"""Which row of the price book counts, what a discount takes off, and what happens without a price."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from switchyard_contract.price_choice import (
    DEAREST,
    FOR_EVER_MS,
    REFUSE,
    Discount,
    Shelf,
    choose_list_price,
    choose_price,
    dearest,
    discount_in_force,
    discounted,
)
from switchyard_contract.pricing import (
    Band,
    Billed,
    Price,
    Rates,
    Tier,
    amount_and_saved,
    amount_of,
    cost_of,
    saved_by_cache,
)
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import TokenCounts

TEN = Rates(input=10_000_000_000, cache_read=1_000_000_000, output=50_000_000_000)


def a_price(identifier: str, model: str = "m", **changes: Any) -> Price:
    return Price(**{"id": identifier, "vendor": "acme", "model": model, "rates": TEN, **changes})


def a_shelf(*prices: Price, discounts: Sequence[Discount] = (), unknown_models: str = "") -> Shelf:
    return Shelf(
        lambda name: [price for price in prices if price.model == name], lambda: prices, discounts, unknown_models
    )


def test_a_discount_is_taken_off_the_list_and_both_are_named() -> None:
    found = choose_price(a_shelf(a_price("list"), discounts=[Discount("d1", "acme", "*", 850)]), "acme", "m", 5)

    assert found.price is not None
    assert (found.price.id, found.note) == ("list|d1", "")
    assert found.price.rates == Rates(input=8_500_000_000, cache_read=850_000_000, output=42_500_000_000)


def test_an_own_price_is_taken_as_it_stands() -> None:
    shelf = a_shelf(a_price("list"), a_price("own", is_override=True), discounts=[Discount("d1", "", "*", 500)])

    found = choose_price(shelf, "acme", "m", 5)

    assert found.price is not None
    assert (found.price.id, found.price.rates) == ("own", TEN)


def test_the_most_specific_discount_counts() -> None:
    discounts = [
        Discount("any", "", "*", 100),
        Discount("vendor", "acme", "*", 200),
        Discount("family", "acme", "claude-*", 300),
        Discount("exact", "acme", "claude-opus-5", 400),
        Discount("over", "acme", "claude-opus-5", 500, valid_from_ms=100, valid_to_ms=200),
    ]

    def found(vendor: str, model: str, at_ms: int = 0) -> str:
        each = discount_in_force(discounts, vendor, model, at_ms)
        return each.id if each else ""

    assert found("acme", "claude-opus-5") == "exact"
    assert found("acme", "claude-opus-5", 150) == "over"
    assert found("acme", "claude-haiku-5") == "family"
    assert found("acme", "gpt") == "vendor"
    assert found("other", "gpt") == "any"


def test_a_discount_for_a_model_takes_in_its_dated_name() -> None:
    shelf = a_shelf(a_price("list"), discounts=[Discount("d1", "acme", "m", 500)])

    found = choose_price(shelf, "acme", "m-20251001", 5)

    assert found.price is not None
    assert found.price.id == "list|d1"


def test_the_answer_holds_until_a_price_or_a_discount_begins_or_ends() -> None:
    shelf = a_shelf(
        a_price("old", valid_to_ms=1000),
        a_price("new", valid_from_ms=1000),
        discounts=[Discount("d1", "", "*", 500, valid_from_ms=300, valid_to_ms=700)],
    )

    spans = [choose_price(shelf, "acme", "m", at_ms) for at_ms in (0, 299, 300, 699, 700, 999, 1000)]

    told = [(each.price.id if each.price else "", each.from_ms, each.until_ms) for each in spans]
    assert told == [
        ("old", 0, 300),
        ("old", 0, 300),
        ("old|d1", 300, 700),
        ("old|d1", 300, 700),
        ("old", 700, 1000),
        ("old", 700, 1000),
        ("new", 1000, FOR_EVER_MS),
    ]


def test_what_has_no_price_is_billed_by_the_dearest_of_its_vendor_and_marked() -> None:
    cheap = a_price("cheap", "a", rates=Rates(input=1, output=1))
    dear = a_price("dear", "b", rates=Rates(input=3, output=9))
    gone = a_price("gone", "c", rates=Rates(input=99, output=99), valid_to_ms=3)
    other = a_price("other", "d", vendor="else", rates=Rates(input=50, output=90))
    shelf = a_shelf(cheap, dear, gone, other)

    of_vendor, of_all = choose_price(shelf, "acme", "new", 5), choose_price(shelf, "nobody", "new", 5)

    assert of_vendor.price is not None
    assert of_all.price is not None
    assert (of_vendor.price.id, of_vendor.note) == ("dear", DEAREST)
    assert (of_all.price.id, of_all.note) == ("other", DEAREST)


def test_what_has_no_price_may_be_refused_instead() -> None:
    assert choose_price(a_shelf(a_price("list"), unknown_models=REFUSE), "acme", "new", 5).price is None


def test_without_any_price_there_is_none() -> None:
    assert choose_price(a_shelf(), "acme", "new", 5).price is None
    assert dearest([], "acme", 5) is None


def test_what_callers_pay_themselves_is_shown_at_the_list_price() -> None:
    listed, own = [a_price("list")], [a_price("own", is_override=True), a_price("house", "h", is_override=True)]

    def found(model: str) -> tuple[str, str]:
        chosen = choose_list_price(
            lambda name: [price for price in listed if price.model == name],
            lambda name: [price for price in own if price.model == name],
            lambda: listed,
            "acme",
            model,
            5,
        )
        assert chosen.price is not None
        return chosen.price.id, chosen.note

    assert found("m") == ("list", "")
    assert found("h") == ("house", "")
    assert found("new") == ("list", DEAREST)


def test_a_discount_reaches_bands_tiers_and_fees() -> None:
    price = a_price(
        "list",
        bands=(Band(100, TEN),),
        tiers=(Tier("fast", rates=TEN), Tier("batch", 500)),
        per_web_search=NanoUsd(10_000_001),
        unit_nano_usd={"file_search": 2_500_000},
    )

    less = discounted(price, Discount("d1", "", "*", 900))

    assert less.bands[0].rates.output == 45_000_000_000
    assert less.tiers[0].rates is not None
    assert less.tiers[0].rates.input == 9_000_000_000
    assert less.tiers[1] == Tier("batch", 500)
    # 9,000,000.9 rounded half up
    assert (less.per_web_search, less.unit_nano_usd) == (9_000_001, {"file_search": 2_250_000})


def test_tokens_of_dearer_kinds_cost_the_difference_and_pieces_their_fee() -> None:
    rates = Rates(input=1_000_000, output=2_000_000, input_audio=5_000_000, output_image=10_000_000)
    price = a_price("list", rates=rates, unit_nano_usd={"file_search": 7})
    billed = Billed(units=(("file_search", 2), ("input_audio", 30), ("output_image", 4), ("web_fetch", 9)))

    cost = cost_of(TokenCounts(input_fresh=100, output=10), price, billed)

    # 70*1 + 30*5 + 6*2 + 4*10 + 2*7; a fetch has no fee
    assert cost.amount == 70 + 150 + 12 + 40 + 14
    assert cost.above == (("input_audio", 30, 4_000_000), ("output_image", 4, 8_000_000))
    assert cost.fees == (("file_search", 2, 7), ("web_fetch", 9, 0))


@given(
    tokens=st.builds(
        TokenCounts,
        input_fresh=st.integers(0, 10**6),
        cache_read=st.integers(0, 10**6),
        cache_write_5m=st.integers(0, 10**6),
        cache_write_1h=st.integers(0, 10**6),
        cache_write_30m=st.just(0),
        cache_write_12h=st.just(0),
        cache_write_other=st.just(0),
        input_tool=st.just(0),
        output=st.integers(0, 10**5),
        reasoning=st.integers(0, 10**5),
    ),
    tier=st.sampled_from(["", "batch"]),
    geo=st.sampled_from(["", "us"]),
)
def test_what_a_cache_saved_is_what_all_as_fresh_would_have_cost_more(tokens: TokenCounts, tier: str, geo: str) -> None:
    price = a_price("p", bands=(Band(500_000, TEN),), tiers=(Tier("batch", 500),), us_geo_per_mille=1100)
    billed = Billed(service_tier=tier, inference_geo=geo)
    fresh = TokenCounts(input_fresh=tokens.prompt, output=tokens.output, reasoning=tokens.reasoning)

    saved = saved_by_cache(tokens, price, billed)

    assert saved == amount_of(fresh, price, billed) - amount_of(tokens, price, billed)
    assert amount_and_saved(tokens, price, billed) == (amount_of(tokens, price, billed), saved)


@given(st.integers(0, 10**12), st.integers(0, 1000))
def test_a_discount_never_makes_a_rate_dearer_or_less_than_nothing(rate: int, per_mille: int) -> None:
    less = discounted(a_price("p", rates=Rates(input=rate, output=rate)), Discount("d", "", "*", per_mille))

    assert 0 <= less.rates.input <= rate
