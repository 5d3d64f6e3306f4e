"""How a cost came about, line by line, so that anybody can do the sum again."""

from dataclasses import dataclass
from decimal import Decimal

from control_plane.catalog.models import Discount, PriceFields
from control_plane.catalog.selectors import discount_by_version, price_by_version, price_row_by_version
from control_plane.usage.entries import LedgerRow
from control_plane.usage.row_costs import BilledPass, passes_of
from switchyard_contract.price_choice import DISCOUNT_MARK
from switchyard_contract.pricing import PER_MILLION, Cost, Price, cost_of
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

    @property
    def exact_nano_usd(self) -> Decimal:
        """Not rounded: a sum is rounded once."""
        return Decimal(self.amount_nano_usd_times_million) / PER_MILLION


@dataclass(frozen=True, slots=True)
class FeeLine:
    """Something billed by the piece."""

    kind: str
    count: int
    each_nano_usd: int

    @property
    def amount_nano_usd(self) -> int:
        return self.count * self.each_nano_usd


@dataclass(frozen=True, slots=True)
class PassExplained:
    """The arithmetic of what was billed at one price."""

    model: str
    price: Price
    row: PriceFields | None
    """The row of the price book, for its source."""
    discount: Discount | None
    lines: tuple[CostLine, ...]
    """Only kinds that had tokens."""
    above: tuple[CostLine, ...]
    """Tokens of sound and pictures: what their rate is above that of the line that holds them too."""
    fees: tuple[FeeLine, ...]
    cost: Cost
    booked_nano_usd: NanoUsd

    @property
    def computed_nano_usd(self) -> NanoUsd:
        return self.cost.amount

    @property
    def agrees(self) -> bool:
        return self.computed_nano_usd == self.booked_nano_usd

    @property
    def tokens_exact_nano_usd(self) -> Decimal:
        """The sum of all lines, before tier and geography."""
        return sum((line.exact_nano_usd for line in (*self.lines, *self.above)), Decimal(0))

    @property
    def multiplied_exact_nano_usd(self) -> Decimal:
        """With tier and geography, before it is rounded."""
        return self.tokens_exact_nano_usd * self.cost.per_mille * self.cost.geo_per_mille / 1_000_000

    @property
    def rounded_nano_usd(self) -> int:
        return self.computed_nano_usd - self.fees_nano_usd

    @property
    def fees_nano_usd(self) -> int:
        return sum(fee.amount_nano_usd for fee in self.fees)


@dataclass(frozen=True, slots=True)
class CostExplanation:
    """The arithmetic of one attempt's cost: the answering model's own share, and passes of others."""

    own: PassExplained
    parts: tuple[PassExplained, ...]
    note: str
    """dearest: the model had no price, the dearest known one was taken."""
    is_shadow: bool
    """The caller's own account paid; the cost is what the list asks."""
    computed_nano_usd: NanoUsd
    booked_nano_usd: NanoUsd

    @property
    def price(self) -> Price:
        return self.own.price

    @property
    def lines(self) -> tuple[CostLine, ...]:
        return self.own.lines

    @property
    def band_from_prompt_tokens(self) -> int:
        return self.own.cost.band_from_prompt_tokens

    @property
    def tier_per_mille(self) -> int:
        return self.own.cost.per_mille

    @property
    def geo_per_mille(self) -> int:
        return self.own.cost.geo_per_mille

    @property
    def web_searches_nano_usd(self) -> int:
        return sum(fee.amount_nano_usd for fee in self.own.fees if fee.kind == "web_search")

    @property
    def agrees(self) -> bool:
        """Whether the sum done again is the amount that was booked."""
        return self.computed_nano_usd == self.booked_nano_usd

    @property
    def passes(self) -> tuple[PassExplained, ...]:
        return (self.own, *self.parts)


def cost_explained(row: LedgerRow) -> CostExplanation | None:
    """Do the sum of an attempt again, with the prices it was booked with. None: it was unpriced."""
    explained = [_pass_explained(row, each) for each in passes_of(row)]
    told = [each for each in explained if each is not None]
    if not told or len(told) < len(explained):
        return None
    return CostExplanation(
        own=told[0],
        parts=tuple(told[1:]),
        note=row.price_note,
        is_shadow=row.is_subscription,
        computed_nano_usd=NanoUsd(sum(each.computed_nano_usd for each in told)),
        booked_nano_usd=NanoUsd(row.cost_nano_usd),
    )


def _pass_explained(row: LedgerRow, billed: BilledPass) -> PassExplained | None:
    price = price_by_version(billed.price_version, row.organization_id) if billed.price_version else None
    if price is None:
        return None
    version, _, discount_version = billed.price_version.partition(DISCOUNT_MARK)
    cost = cost_of(billed.tokens, price, billed.billed)
    return PassExplained(
        model=billed.model,
        price=price,
        row=price_row_by_version(version, row.organization_id),
        discount=discount_by_version(discount_version, row.organization_id) if discount_version else None,
        lines=tuple(CostLine(*line) for line in cost.lines if line[1]),
        above=tuple(CostLine(*line) for line in cost.above if line[1]),
        fees=tuple(FeeLine(*fee) for fee in cost.fees),
        cost=cost,
        booked_nano_usd=NanoUsd(billed.cost_nano_usd),
    )
