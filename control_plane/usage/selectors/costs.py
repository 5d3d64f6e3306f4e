"""How a cost came about, line by line, so that anybody can do the sum again."""

from dataclasses import dataclass

from control_plane.catalog.selectors import price_by_version
from control_plane.usage.entries import LedgerRow
from switchyard_contract.pricing import Billed, Price, cost_of
from switchyard_contract.quantity import NanoUsd


@dataclass(frozen=True, slots=True)
class CostLine:
    """Tokens of one kind times their rate. rate: nano-USD per million tokens; amount is exact only in the sum."""

    kind: str
    tokens: int
    rate_nano_usd_per_million: int

    @property
    def amount_nano_usd_times_million(self) -> int:
        return self.tokens * self.rate_nano_usd_per_million


@dataclass(frozen=True, slots=True)
class CostExplanation:
    """The arithmetic of one attempt's cost."""

    price: Price
    lines: tuple[CostLine, ...]
    """Only kinds that had tokens."""
    band_from_prompt_tokens: int
    """The long-context band that applied; 0: none."""
    tier_per_mille: int
    geo_per_mille: int
    web_searches: int
    web_searches_nano_usd: int
    computed_nano_usd: NanoUsd
    booked_nano_usd: NanoUsd

    @property
    def agrees(self) -> bool:
        """Whether the sum done again is the amount that was booked."""
        return self.computed_nano_usd == self.booked_nano_usd


def cost_explained(row: LedgerRow) -> CostExplanation | None:
    """Do the sum of an attempt again, with the price it was booked with. None: it was unpriced."""
    if not row.price_version:
        return None
    price = price_by_version(row.price_version, row.organization_id)
    if price is None:
        return None
    tokens = row.tokens
    cost = cost_of(tokens, price, Billed(row.web_searches, row.service_tier, row.inference_geo))
    bands = [band.from_prompt_tokens for band in price.bands if tokens.prompt >= band.from_prompt_tokens]
    return CostExplanation(
        price=price,
        lines=tuple(CostLine(kind, count, rate) for kind, count, rate in cost.lines if count),
        band_from_prompt_tokens=bands[-1] if bands else 0,
        tier_per_mille=cost.per_mille,
        geo_per_mille=(price.us_geo_per_mille or 1000) if row.inference_geo == "us" else 1000,
        web_searches=row.web_searches,
        web_searches_nano_usd=row.web_searches * price.per_web_search,
        computed_nano_usd=cost.amount,
        booked_nano_usd=NanoUsd(row.cost_nano_usd),
    )
