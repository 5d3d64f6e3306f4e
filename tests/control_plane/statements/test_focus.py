"""A month in FOCUS columns: what was billed, what was agreed and what the list asks, meter by meter."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from control_plane.audit.services import Actor
from control_plane.catalog.price_row import DiscountDraft, PriceDraft, PriceList
from control_plane.catalog.selectors import price_by_version
from control_plane.catalog.services import discount_set, list_prices_load, organization_price_set
from control_plane.statements.focus import COLUMNS, focus_rows
from control_plane.statements.selectors import statement_of
from switchyard_contract.pricing import Billed, Price, amount_of
from switchyard_contract.usage import TokenCounts
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.statements.conftest import Books

pytestmark = pytest.mark.django_db
FINANCE = Actor.system("finance")
SONNET = "claude-sonnet-4-6"
LISTED = PriceDraft("anthropic", SONNET, {"input": 3_000_000_000, "cache_read": 300_000_000, "output": 15_000_000_000})
# 100 fresh, 1,000 read and 50 out, as `an_event` has them.
LIST_COST = 1_350_000
NOVEMBER = date(2026, 11, 1)
AT = datetime(2026, 11, 10, 9, tzinfo=UTC)
Row = dict[str, str]


@pytest.fixture(autouse=True)
def listed(books: Books) -> None:
    list_prices_load(actor=FINANCE, book=PriceList((LISTED,), ()))


def spend(books: Books, version: str, cost_nano_usd: int, **changes: object) -> usage_pb2.UsageEvent:
    made = books.spend(AT, books.core, books.ada, 0, price_version=version, **changes)
    made.cost_nano_usd = cost_nano_usd
    return made


def rows_of(books: Books) -> list[Row]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in focus_rows(books.tenant.organization, NOVEMBER)]


def nano(rows: list[Row], name: str) -> int:
    return int(sum(Decimal(row[name] or "0") for row in rows) * 10**9)


def by_meter(rows: list[Row]) -> dict[str, Row]:
    return {row["SkuMeter"]: row for row in rows}


def test_each_kind_of_tokens_has_its_unit_price(books: Books) -> None:
    for _ in range(3):
        spend(books, LISTED.version(), LIST_COST)
    books.book()

    rows = by_meter(rows_of(books))

    assert {name: (row["PricingQuantity"], row["ListUnitPrice"], row["ListCost"]) for name, row in rows.items()} == {
        "Input tokens": ("300", "0.000003", "0.000900000"),
        "Cached input tokens read": ("3000", "0.0000003", "0.000900000"),
        "Output tokens": ("150", "0.000015", "0.002250000"),
    }
    for row in rows.values():
        assert row["BilledCost"] == row["EffectiveCost"] == row["ContractedCost"] == row["ListCost"]
        assert row["SkuPriceId"].startswith(LISTED.version() + "/")
    assert [row["x_Requests"] for row in rows.values()] == ["3", "0", "0"]
    assert (rows["Output tokens"]["x_TokensOut"], rows["Output tokens"]["x_TokensIn"]) == ("150", "0")


def test_a_discount_is_between_list_and_contract(books: Books) -> None:
    discount = discount_set(organization=books.tenant.organization, draft=DiscountDraft(850), actor=FINANCE)
    version = f"{LISTED.version()}|{discount.version}"
    spend(books, version, LIST_COST * 85 // 100)
    books.book()

    rows = rows_of(books)

    assert nano(rows, "ListCost") == LIST_COST
    assert nano(rows, "ContractedCost") == nano(rows, "BilledCost") == LIST_COST * 85 // 100
    output = by_meter(rows)["Output tokens"]
    assert (output["ListUnitPrice"], output["ContractedUnitPrice"]) == ("0.000015", "0.00001275")


def test_an_own_price_is_held_against_the_list(books: Books) -> None:
    own = PriceDraft("anthropic", SONNET, {"input": 1_000_000_000, "output": 10_000_000_000})
    made = organization_price_set(organization=books.tenant.organization, draft=own, actor=FINANCE)
    price = price_by_version(made.version, books.tenant.organization.id)
    assert price is not None
    paid = amount_of(TokenCounts(input_fresh=100, cache_read=1000, output=50), price)
    spend(books, made.version, paid)
    books.book()

    rows = rows_of(books)

    assert (nano(rows, "BilledCost"), nano(rows, "ListCost")) == (paid, LIST_COST)


def test_a_subscription_is_billed_nothing_and_listed_in_full(books: Books) -> None:
    spend(books, LISTED.version(), LIST_COST, is_subscription=True)
    books.book()

    rows = rows_of(books)

    for name in ("BilledCost", "EffectiveCost", "ContractedCost"):
        assert nano(rows, name) == 0
    assert nano(rows, "ListCost") == nano(rows, "x_SubscriptionCost") == LIST_COST
    assert {row["ContractedUnitPrice"] for row in rows} == {"0"}
    assert {row["ListUnitPrice"] for row in rows} == {"0.000003", "0.0000003", "0.000015"}


def test_an_estimate_that_was_replaced_leaves_the_truth_alone(books: Books) -> None:
    guess = spend(books, LISTED.version(), 45_000, kind=usage_pb2.USAGE_KIND_ESTIMATED)
    guess.tokens.CopyFrom(usage_pb2.Tokens(input_fresh=15))
    truth = usage_pb2.UsageEvent.FromString(guess.SerializeToString())
    books.book()
    truth.kind, truth.cost_nano_usd = usage_pb2.USAGE_KIND_FINAL, LIST_COST
    truth.tokens.CopyFrom(usage_pb2.Tokens(input_fresh=100, cache_read=1000, output=50))
    books.number += 1
    books.events.append(truth)
    books.book()

    rows = rows_of(books)

    assert nano(rows, "BilledCost") == nano(rows, "ListCost") == LIST_COST
    assert by_meter(rows)["Input tokens"]["PricingQuantity"] == "100"
    assert sum(int(row["x_Requests"]) for row in rows) == 1


def test_passes_of_other_models_and_searches_are_metered_with_their_own_price(books: Books) -> None:
    haiku = PriceDraft("anthropic", "claude-haiku", {"input": 1_000_000_000, "output": 5_000_000_000})
    searching = PriceDraft("anthropic", SONNET, dict(LISTED.rates), per_web_search_nano_usd=10_000_000)
    list_prices_load(actor=FINANCE, book=PriceList((searching, haiku), ()))
    part = usage_pb2.BilledPart(
        model="claude-haiku",
        tokens=usage_pb2.Tokens(input_fresh=40, output=10),
        cost_nano_usd=90_000,
        price_version=haiku.version(),
    )
    own = amount_of(
        TokenCounts(input_fresh=60, cache_read=1000, output=40),
        _price(books, searching.version()),
        Billed(web_searches=2),
    )
    spend(books, searching.version(), own + 90_000, web_searches=2, parts=[part])
    books.book()

    rows = rows_of(books)

    assert nano(rows, "BilledCost") == nano(rows, "ListCost") == own + 90_000
    assert {(row["SkuId"], row["SkuMeter"], row["PricingQuantity"]) for row in rows} == {
        (SONNET, "Input tokens", "60"),
        (SONNET, "Cached input tokens read", "1000"),
        (SONNET, "Output tokens", "40"),
        (SONNET, "Web searches", "2"),
        ("claude-haiku", "Input tokens", "40"),
        ("claude-haiku", "Output tokens", "10"),
    }
    assert sum(int(row["x_Requests"]) for row in rows) == 1


def test_days_of_which_only_sums_are_left_have_no_unit_prices(books: Books) -> None:
    spend(books, LISTED.version(), LIST_COST)
    spend(books, LISTED.version(), 5_000, is_subscription=True)
    books.book()
    rows = [
        dict(zip(COLUMNS, row, strict=True))
        for row in focus_rows(books.tenant.organization, NOVEMBER, kept_since=date(2026, 12, 1))
    ]
    assert [row["ListUnitPrice"] for row in rows] == [""]
    assert (nano(rows, "BilledCost"), nano(rows, "ListCost")) == (LIST_COST, LIST_COST + 5_000)
    assert nano(rows_of(books), "BilledCost") == statement_of(books.tenant.organization, NOVEMBER).whole.used_nano_usd


def _price(books: Books, version: str) -> Price:
    found = price_by_version(version, books.tenant.organization.id)
    assert found is not None
    return found
