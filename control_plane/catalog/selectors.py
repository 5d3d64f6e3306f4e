"""Find models and prices."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from control_plane.catalog.models import KnownModel, ListPrice, OrganizationPrice, PriceFields
from switchyard_contract.pricing import Band, Price, Rates, Tier, price_in_force
from switchyard_contract.quantity import NanoUsd


def list_prices() -> QuerySet[ListPrice]:
    """The rows in force or still to come, in a stable order."""
    return ListPrice.objects.filter(superseded_at__isnull=True).order_by("version")


def organization_prices(organization_id: UUID) -> QuerySet[OrganizationPrice]:
    """An organization's own rows, in a stable order."""
    return OrganizationPrice.objects.filter(organization_id=organization_id, superseded_at__isnull=True).order_by(
        "version"
    )


def prices_standing(organization_id: UUID, now: datetime) -> QuerySet[OrganizationPrice]:
    """Those of its own rows that hold now or later."""
    return organization_prices(organization_id).filter(Q(valid_to__isnull=True) | Q(valid_to__gt=now))


def price_by_version(version: str, organization_id: UUID) -> Price | None:
    """The price an event of this organization names, superseded or not."""
    row: PriceFields | None = ListPrice.objects.filter(version=version).first()
    if row is None:
        row = OrganizationPrice.objects.filter(version=version, organization_id=organization_id).first()
    return None if row is None else contract_price(row, is_override=isinstance(row, OrganizationPrice))


def price_for(organization_id: UUID, vendor: str, model: str, at: datetime) -> Price | None:
    """The price that counts for a model at an instant; None: unpriced."""
    of_model = Q(model=model, superseded_at__isnull=True) & Q(vendor__in=["", vendor])
    rows = [contract_price(row, is_override=False) for row in ListPrice.objects.filter(of_model)]
    rows += [
        contract_price(row, is_override=True)
        for row in OrganizationPrice.objects.filter(of_model, organization_id=organization_id)
    ]
    return price_in_force(rows, vendor, model, _milliseconds(at))


def known_models() -> QuerySet[KnownModel]:
    return KnownModel.objects.order_by("vendor", "model")


def models_offered_by(vendor: str) -> list[KnownModel]:
    """The models of a vendor for which a provider offers short names."""
    return list(KnownModel.objects.filter(vendor=vendor, is_offered=True).order_by("model"))


def contract_price(row: PriceFields, *, is_override: bool) -> Price:
    """Turn a row into the contract's price, with which costs are computed."""
    return Price(
        id=row.version,
        vendor=row.vendor,
        model=row.model,
        rates=_rates(row.rates),
        bands=tuple(Band(band["from_prompt_tokens"], _rates(band["rates"])) for band in row.bands),
        tiers=tuple(
            Tier(tier["tier"], tier["per_mille"], _rates(tier["rates"]) if "rates" in tier else None)
            for tier in row.tiers
        ),
        per_web_search=NanoUsd(row.per_web_search_nano_usd),
        us_geo_per_mille=row.us_geo_per_mille or 1000,
        valid_from_ms=0 if row.valid_from is None else _milliseconds(row.valid_from),
        valid_to_ms=0 if row.valid_to is None else _milliseconds(row.valid_to),
        source=row.source,
        is_override=is_override,
    )


def _rates(table: Mapping[str, int]) -> Rates:
    return Rates(**table)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
