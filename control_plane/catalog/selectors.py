"""Find models and prices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from uuid import UUID

from django.db.models import Q, QuerySet

from control_plane.catalog.models import (
    Discount,
    KnownModel,
    ListPrice,
    OrganizationPrice,
    PriceFields,
    PriceListLoad,
    PricingPolicy,
)
from switchyard_contract.price_choice import (
    DISCOUNT_MARK,
    UNKNOWN_MODELS,
    Chosen,
    Shelf,
    choose_list_price,
    choose_price,
    discounted,
    known_names,
)
from switchyard_contract.price_choice import Discount as ContractDiscount
from switchyard_contract.pricing import Band, Price, Rates, Tier
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


def discounts_of(organization_id: UUID) -> QuerySet[Discount]:
    """What contracts take off list prices, past ones included, in a stable order."""
    return Discount.objects.filter(organization_id=organization_id, superseded_at__isnull=True).order_by("version")


def discounts_standing(organization_id: UUID, now: datetime) -> QuerySet[Discount]:
    """Those that hold now or later."""
    return discounts_of(organization_id).filter(Q(valid_to__isnull=True) | Q(valid_to__gt=now))


def unknown_models_of(organization_id: UUID) -> str:
    """What an organization does with models that have no price."""
    chosen = PricingPolicy.objects.filter(organization_id=organization_id).values_list("unknown_models", flat=True)
    return chosen.first() or UNKNOWN_MODELS[0]


def price_row_by_version(version: str, organization_id: UUID) -> PriceFields | None:
    """The row that a version names, superseded or not; another organization's own is not found."""
    listed = ListPrice.objects.filter(version=version).first()
    return listed or OrganizationPrice.objects.filter(version=version, organization_id=organization_id).first()


def discount_by_version(version: str, organization_id: UUID) -> Discount | None:
    return Discount.objects.filter(version=version, organization_id=organization_id).first()


def price_by_version(version: str, organization_id: UUID) -> Price | None:
    """The price an event of this organization names, superseded or not, less the discount that it names too."""
    version, _, discount_version = version.partition(DISCOUNT_MARK)
    row = price_row_by_version(version, organization_id)
    if row is None:
        return None
    price = contract_price(row, is_override=isinstance(row, OrganizationPrice))
    if not discount_version:
        return price
    discount = discount_by_version(discount_version, organization_id)
    return None if discount is None else discounted(price, contract_discount(discount))


def price_for(organization_id: UUID, vendor: str, model: str, at: datetime) -> Price | None:
    """The price that counts for a model at an instant; None: unpriced."""
    found = book_of(organization_id, [model]).choose(vendor, model, _milliseconds(at))
    return None if found.note else found.price


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that decides what an organization's usage costs, as pods have it."""

    own: Mapping[str, Sequence[Price]]
    listed: Mapping[str, Sequence[Price]]
    discounts: Sequence[ContractDiscount]
    unknown_models: str

    def choose(self, vendor: str, model: str, at_ms: int, *, is_subscription: bool = False) -> Chosen:
        """What a model costs at an instant; of what the caller's own account paid, what the list asks."""
        listed, own = self.listed, self.own
        if is_subscription:
            return choose_list_price(
                lambda name: listed.get(name, ()),
                lambda name: own.get(name, ()),
                lambda: chain.from_iterable(listed.values()),
                vendor,
                model,
                at_ms,
            )
        shelf = Shelf(
            lambda name: (*own.get(name, ()), *listed.get(name, ())),
            lambda: chain(chain.from_iterable(own.values()), chain.from_iterable(listed.values())),
            self.discounts,
            self.unknown_models,
        )
        return choose_price(shelf, vendor, model, at_ms)


def book_of(organization_id: UUID, models: Iterable[str] | None = None) -> Book:
    """Read the book of an organization. models: rows of these alone, so that the dearest is not found."""
    own, listed = organization_prices(organization_id), list_prices()
    if models is not None:
        names = {name for model in models for name in known_names(model)}
        own, listed = own.filter(model__in=names), listed.filter(model__in=names)
    return Book(
        own=_by_model(contract_price(row, is_override=True) for row in own),
        listed=_by_model(contract_price(row, is_override=False) for row in listed),
        discounts=tuple(contract_discount(row) for row in discounts_of(organization_id)),
        unknown_models=unknown_models_of(organization_id),
    )


def prices_in_force(
    organization_id: UUID, models: Iterable[tuple[str, str]], at: datetime
) -> dict[tuple[str, str], Price]:
    """The price that counts for each (vendor, model), discounts taken off; a model without a price is absent."""
    wanted = set(models)
    book, at_ms = book_of(organization_id, {model for _, model in wanted}), _milliseconds(at)
    found = {(vendor, model): book.choose(vendor, model, at_ms) for vendor, model in wanted}
    return {key: chosen.price for key, chosen in found.items() if chosen.price is not None and not chosen.note}


def _by_model(prices: Iterable[Price]) -> dict[str, list[Price]]:
    index: dict[str, list[Price]] = {}
    for price in prices:
        index.setdefault(price.model, []).append(price)
    return index


def prices_of_model(organization_id: UUID, vendor: str, model: str) -> list[PriceFields]:
    """All rows of a model that were ever in the book, an organization's own first, the newest first."""
    of_model = Q(model=model) & Q(vendor__in=["", vendor])
    own = OrganizationPrice.objects.filter(of_model, organization_id=organization_id).order_by("-created_at")
    return [*own, *ListPrice.objects.filter(of_model).order_by("-created_at", "-id")]


def price_loads(limit: int = 20) -> list[PriceListLoad]:
    """Loads of the shipped list that changed something, the newest first."""
    return list(PriceListLoad.objects.all()[:limit])


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
        unit_nano_usd=dict(row.unit_nano_usd),
    )


def contract_discount(row: Discount) -> ContractDiscount:
    """Turn a row into the contract's discount."""
    return ContractDiscount(
        id=row.version,
        vendor=row.vendor,
        model_glob=row.model_glob,
        per_mille=row.per_mille,
        valid_from_ms=0 if row.valid_from is None else _milliseconds(row.valid_from),
        valid_to_ms=0 if row.valid_to is None else _milliseconds(row.valid_to),
    )


def _rates(table: Mapping[str, int]) -> Rates:
    return Rates(**table)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
