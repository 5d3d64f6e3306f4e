"""The dearest exchange that a budget may meet, by the prices of today."""

from datetime import UTC, datetime

import pytest

from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.services import budget_create
from control_plane.catalog.models import KnownModel, ListPrice
from control_plane.usage.models import ModelMeasure
from switchyard_contract.quantity import NANO_PER_USD, nano_usd
from tests.builders.tenants import Tenant, a_provider, a_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def tenant() -> Tenant:
    """Two models of a million tokens of context: one at $5 in and $10 to the cache, one at a tenth."""
    tenant = a_tenant()
    a_provider(tenant)
    for model, dollars in (("claude-big", 10), ("claude-small", 1)):
        KnownModel.objects.create(
            vendor="anthropic", model=f"{model}-20260101", context_tokens=1_000_000, max_output_tokens=100_000
        )
        rates = {"input": dollars, "cache_write_5m": 2 * dollars, "output": 5 * dollars}
        ListPrice.objects.create(
            version=model,
            vendor="anthropic",
            model=f"{model}-20260101",
            rates={name: rate * NANO_PER_USD // 2 for name, rate in rates.items()},
        )
    return tenant


def bound(tenant: Tenant, **fields: object) -> tuple[str, int | None]:
    spec = {"limit_usd": "100", "period": "month", **fields}
    name = f"b{len(str(fields))}"
    budget = budget_create(organization=tenant.organization, name=name, spec=spec, actor=tenant.actor)
    found = BoundFinder.of(tenant.organization).bound_of(budget)
    return found.assumption, found.at_most


def measure(model: str, per_mille: int) -> None:
    ModelMeasure.objects.create(
        vendor="anthropic",
        model=model,
        exchanges=10_000,
        above_worst=0,
        prompts=10_000,
        found_expected_per_mille=20,
        found_calibrated_per_mille=per_mille,
        found_bytes_per_token_milli=3000,
        expected_per_mille=20,
        calibrated_per_mille=per_mille,
        bytes_per_token_milli=3000,
        measured_at=NOW,
    )


def test_what_was_not_measured_is_reserved_at_its_worst(tenant: Tenant) -> None:
    assumption, at_most = bound(tenant)

    assert at_most == nano_usd("100")
    assert "Until exchanges were measured" in assumption


def test_what_was_measured_may_be_exceeded_by_as_many_exchanges_as_run_at_once(tenant: Tenant) -> None:
    measure("claude-big", 200)
    measure("claude-small", 200)

    assumption, at_most = bound(tenant)

    # A million tokens written to the cache at $10 and 100,000 written at $25 per million: $12.50, of which 80 % beyond.
    assert at_most == nano_usd("100") + 10 * nano_usd("10")
    assert "claude-big-20260101" in assumption


def test_only_models_that_the_budget_is_about_count(tenant: Tenant) -> None:
    measure("claude-big", 200)
    measure("claude-small", 200)

    assert bound(tenant, when={"models": ["claude-small*"]})[1] == nano_usd("100") + 10 * nano_usd("1")
    assert bound(tenant, when={"models": ["*/claude-small*"]})[1] == nano_usd("110")
    assert "no model" in bound(tenant, when={"models": ["gpt-*"]})[0].lower()


def test_a_strict_budget_ends_at_its_line(tenant: Tenant) -> None:
    measure("claude-big", 200)

    assert bound(tenant, bound="strict", stages=[{"do": "block", "at": 110}])[1] == nano_usd("110")
