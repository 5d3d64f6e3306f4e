"""The price book: what is shipped, how it is loaded, whose price counts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from control_plane.audit.models import ShardKind
from control_plane.audit.selectors import open_outbox
from control_plane.catalog.genai_import import read_genai_prices
from control_plane.catalog.models import ListPrice
from control_plane.catalog.price_row import PriceDraft, PriceList
from control_plane.catalog.selectors import models_offered_by, price_by_version, price_for
from control_plane.catalog.services import (
    list_prices_load,
    organization_price_end,
    organization_price_set,
    shipped_prices,
)
from switchyard_contract.pricing import cost_of
from switchyard_contract.usage import TokenCounts
from tests.builders.tenants import SYSTEM, a_tenant

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OCTOBER_6 = datetime(2026, 10, 6, tzinfo=UTC)


@pytest.fixture
def book(db: None) -> PriceList:
    book = shipped_prices()
    list_prices_load(actor=SYSTEM, book=book)
    return book


@pytest.mark.parametrize(
    "model",
    [
        ("anthropic", "claude-sonnet-4-6"),
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-haiku-4-5-20251001"),
        ("anthropic", "claude-opus-4-7"),
        ("openai", "gpt-5.1"),
        ("openai", "gpt-5.1-mini"),
        ("openai", "gpt-5.5"),
        ("openai", "gpt-5.2"),
        ("openai", "text-embedding-3-small"),
        ("gemini", "gemini-2.5-pro"),
        ("gemini", "gemini-2.5-flash"),
        ("gemini", "gemini-3-flash"),
        ("xai", "grok-4.7"),
        ("openai", "sim-text"),
        ("gemini", "sim-large"),
    ],
)
def test_the_models_that_tools_ask_for_are_priced(book: PriceList, model: tuple[str, str]) -> None:
    tenant = a_tenant()
    assert price_for(tenant.organization.id, *model, NOW) is not None


@pytest.mark.parametrize(
    ("vendor", "model", "at", "tokens", "nano_usd"),
    [
        # 1,000 fresh at $3, 100,000 read at $0.30, 2,000 written at $3.75, 500 out at $15.
        (
            "anthropic",
            "claude-sonnet-4-6",
            NOW,
            TokenCounts(input_fresh=1000, cache_read=100_000, cache_write_5m=2000, output=500),
            3_000_000 + 30_000_000 + 7_500_000 + 7_500_000,
        ),
        # 100,001 in the prompt: the higher band on everything.
        (
            "anthropic",
            "claude-haiku-5-5",
            NOW,
            TokenCounts(input_fresh=1, cache_read=100_000, output=1000),
            500 + 5_000_000 + 2_500_000,
        ),
        ("anthropic", "claude-haiku-5-5", NOW, TokenCounts(cache_read=100_000, output=1000), 1_000_000 + 500_000),
        # Reads cost half from 7 October on.
        (
            "anthropic",
            "claude-sonnet-5-5",
            datetime(2026, 10, 6, tzinfo=UTC),
            TokenCounts(cache_read=1_000_000),
            200_000_000,
        ),
        ("anthropic", "claude-sonnet-5-5", NOW, TokenCounts(cache_read=1_000_000), 100_000_000),
        ("gemini", "gemini-4-argon", NOW, TokenCounts(input_fresh=1000), 2_000_000),
        ("gemini", "gemini-4-argon", datetime(2026, 12, 1, tzinfo=UTC), TokenCounts(input_fresh=1000), 4_000_000),
        # Grok's band begins at its threshold, the others above it.
        ("xai", "grok-4.7", NOW, TokenCounts(input_fresh=200_000), 800_000_000),
        ("openai", "gpt-6-sol", NOW, TokenCounts(input_fresh=272_000), 544_000_000),
        ("openai", "gpt-6-sol", NOW, TokenCounts(input_fresh=272_001), 1_088_004_000),
    ],
)
def test_costs_are_those_computed_by_hand(
    book: PriceList, vendor: str, model: str, at: datetime, tokens: TokenCounts, nano_usd: int
) -> None:
    price = price_for(a_tenant().organization.id, vendor, model, at)
    assert price is not None
    assert cost_of(tokens, price).amount == nano_usd


def test_loading_again_changes_nothing(book: PriceList) -> None:
    open_rows = open_outbox(ShardKind.GLOBAL, None).count()
    report = list_prices_load(actor=SYSTEM, book=book)
    assert (report.added, report.superseded, report.total) == (0, 0, len(book.prices))
    assert open_outbox(ShardKind.GLOBAL, None).count() == open_rows


@pytest.mark.django_db
def test_a_corrected_price_supersedes_and_the_old_version_can_still_be_explained() -> None:
    tenant = a_tenant()
    wrong = PriceDraft("acme", "m", {"input": 1, "output": 2})
    right = PriceDraft("acme", "m", {"input": 3, "output": 4})
    list_prices_load(actor=SYSTEM, book=PriceList((wrong,), ()))
    list_prices_load(actor=SYSTEM, book=PriceList((right,), ()))
    found = price_for(tenant.organization.id, "acme", "m", NOW)
    assert found is not None
    assert found.rates.input == 3
    old = price_by_version(wrong.version(), tenant.organization.id)
    assert old is not None
    assert old.rates.input == 1
    list_prices_load(actor=SYSTEM, book=PriceList((wrong,), ()))
    assert [row.version for row in ListPrice.objects.filter(superseded_at__isnull=True)] == [wrong.version()]
    assert ListPrice.objects.count() == 2


@pytest.mark.django_db
def test_an_own_price_wins_over_the_list_for_its_organization_only() -> None:
    one, other = a_tenant(), a_tenant()
    list_prices_load(actor=SYSTEM, book=PriceList((PriceDraft("acme", "m", {"input": 9, "output": 9}),), ()))
    own = organization_price_set(
        organization=one.organization, draft=PriceDraft("acme", "m", {"input": 5, "output": 5}), actor=one.actor
    )
    prices = [price_for(row.organization.id, "acme", "m", timezone.now()) for row in (one, other)]
    assert [price and price.rates.input for price in prices] == [5, 9]
    assert price_by_version(own.version, other.organization.id) is None
    organization_price_end(price=own, at=timezone.now() - timedelta(seconds=1), actor=one.actor)
    ended = price_for(one.organization.id, "acme", "m", timezone.now())
    assert ended is not None
    assert ended.rates.input == 9


@pytest.mark.django_db
@pytest.mark.parametrize("rates", [{"input": 1}, {"input": -1, "output": 1}, {"input": 1, "output": 1, "gold": 1}])
def test_an_impossible_price_is_refused(rates: dict[str, int]) -> None:
    tenant = a_tenant()
    with pytest.raises(ValidationError):
        organization_price_set(organization=tenant.organization, draft=PriceDraft("a", "m", rates), actor=SYSTEM)


def test_the_imported_list_has_no_two_prices_at_one_instant() -> None:
    by_model: dict[tuple[str, str], list[PriceDraft]] = {}
    for price in read_genai_prices().prices:
        by_model.setdefault((price.vendor, price.model), []).append(price)
    for rows in by_model.values():
        assert all(earlier.valid_to == later.valid_from for earlier, later in pairwise(rows))
        assert rows[-1].valid_to is None


def test_models_are_offered_by_their_vendor(book: PriceList) -> None:
    offered = [row.model for row in models_offered_by("anthropic")]
    assert "claude-sonnet-4-6" in offered
    assert not any(model.startswith("sim-") for model in offered)
