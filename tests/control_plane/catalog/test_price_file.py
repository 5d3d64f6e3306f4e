"""Our own price lists: their schema, and that the shipped ones keep it."""

import datetime
from typing import Any

import pytest

from control_plane.catalog.price_file import InvalidPriceList, read_price_list, read_price_lists
from control_plane.catalog.price_row import PriceBand, PriceDraft, PriceTier

DAY = datetime.date(2026, 12, 1)


def a_list(**changes: Any) -> dict[str, Any]:
    price = {"model": "m-1", "input": "3", "output": "15", **changes}
    return {"source": "a page", "checked": DAY, "price": [price]}


def test_the_shipped_lists_keep_the_schema() -> None:
    book = read_price_lists()
    assert {price.vendor for price in book.prices} == {"anthropic", "openai", "gemini", "xai", ""}
    assert len({price.version() for price in book.prices}) == len(book.prices)


def test_a_price_is_read_to_the_nano_dollar() -> None:
    raw = a_list(
        also=["m-1-latest"],
        cache_read="0.0001",
        valid_from=DAY,
        web_search="0.01",
        us_geo="1.1",
        bands=[{"from_prompt_tokens": 200_001, "input": "6", "output": "22.5"}],
        tiers=[{"tier": "batch", "multiplier": "0.5"}, {"tier": "fast", "input": "8", "output": "40"}],
    )
    book = read_price_list("acme", raw)
    assert book.prices[0] == PriceDraft(
        vendor="acme",
        model="m-1",
        rates={"input": 3_000_000_000, "cache_read": 100_000, "output": 15_000_000_000},
        bands=(PriceBand(200_001, {"input": 6_000_000_000, "output": 22_500_000_000}),),
        tiers=(PriceTier("batch", 500), PriceTier("fast", rates={"input": 8_000_000_000, "output": 40_000_000_000})),
        per_web_search_nano_usd=10_000_000,
        us_geo_per_mille=1100,
        valid_from=datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC),
    )
    assert [price.model for price in book.prices] == ["m-1", "m-1-latest"]
    assert [facts.model for facts in book.models] == ["m-1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"inptu": "3"},
        {"input": 3},
        {"input": "3e400"},
        {"input": "-1"},
        {"input": "0.0000000001"},
        {"model": ""},
        {"also": [1]},
        {"valid_from": "2026-12-01"},
        {"valid_from": DAY, "valid_to": DAY},
        {"bands": [{"from_prompt_tokens": 0, "input": "1", "output": "1"}]},
        {"bands": [{"from_prompt_tokens": 5, "input": "1"}]},
        {
            "bands": [
                {"from_prompt_tokens": 9, "input": "1", "output": "1"},
                {"from_prompt_tokens": 5, "input": "1", "output": "1"},
            ]
        },
        {"tiers": [{"tier": "batch"}]},
        {"tiers": [{"tier": "batch", "multiplier": "0.5", "input": "1"}]},
        {"tiers": [{"tier": "x", "multiplier": "0.5"}, {"tier": "x", "multiplier": "0.6"}]},
        {"tiers": [{"tier": "x", "multiplier": "0.33333"}]},
        {"us_geo": 1.1},
        {"context_tokens": "many"},
    ],
)
def test_a_list_that_breaks_the_schema_is_refused_as_a_whole(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidPriceList):
        read_price_list("acme", a_list(**changes))


def test_two_prices_may_not_hold_at_once() -> None:
    raw = a_list()
    raw["price"].append({"model": "m-1", "input": "4", "output": "20", "valid_from": DAY})
    with pytest.raises(InvalidPriceList, match="same time"):
        read_price_list("acme", raw)
    raw["price"][0]["valid_to"] = DAY
    assert len(read_price_list("acme", raw).prices) == 2


def test_every_problem_is_named_at_once() -> None:
    raw = {"price": [{"model": "a", "input": "x", "output": "1"}, {"model": "b", "input": "1"}], "colour": "red"}
    with pytest.raises(InvalidPriceList) as failure:
        read_price_list("acme", raw)
    assert len(failure.value.problems) == 4
