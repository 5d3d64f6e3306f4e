"""Prices in force for many models at once, as tables show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from control_plane.catalog.selectors import prices_in_force
from switchyard_contract.pricing import Price


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A price as people read it: nano-USD per million tokens, None where a rate is unknown."""

    CSV_HEAD: ClassVar = (
        "vendor",
        "model",
        "display_name",
        "context_tokens",
        "max_output_tokens",
        "price_version",
        "input_nano_usd_per_million",
        "cache_read_nano_usd_per_million",
        "cache_write_5m_nano_usd_per_million",
        "cache_write_1h_nano_usd_per_million",
        "output_nano_usd_per_million",
        "source",
        "is_own",
    )
    price: Price

    @property
    def csv(self) -> tuple[object, ...]:
        rates = self.price.rates
        return (
            self.price.id,
            rates.input,
            rates.cache_read,
            rates.cache_write_5m,
            rates.cache_write_1h,
            rates.output,
            self.price.source,
            self.price.is_override,
        )


def prices_by_model(
    organization_id: UUID, models: Iterable[tuple[str, str]], at: datetime
) -> dict[tuple[str, str], PriceRow]:
    """The price that counts for each (vendor, model); a model without a price is absent."""
    return {key: PriceRow(price) for key, price in prices_in_force(organization_id, models, at).items()}
