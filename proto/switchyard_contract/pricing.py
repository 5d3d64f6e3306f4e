"""Tokens and a price row to money: one arithmetic for pods, ledger and backtests.

Rates are whole nano-USD per million tokens. A cost is summed exactly and rounded once, half up, at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import TokenCounts

PER_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-USD per million tokens by kind. None: not known for this kind, so the fallback named below is used."""

    input: int = 0
    cache_read: int | None = None
    """None: as fresh input (never cheaper than known)."""
    cache_write_5m: int | None = None
    """None: as fresh input; so for the other lifetimes."""
    cache_write_1h: int | None = None
    cache_write_30m: int | None = None
    cache_write_12h: int | None = None
    output: int = 0
    reasoning: int | None = None
    """None: as output."""
    input_tool: int | None = None
    """None: as fresh input."""

    def lines(self, tokens: TokenCounts) -> tuple[tuple[str, int, int], ...]:
        """Say what is multiplied with what: (kind, tokens, rate) for each kind; the arithmetic people can check."""
        write = _known(self.cache_write_5m, self.input)
        return (
            ("input_fresh", tokens.input_fresh, self.input),
            ("input_tool", tokens.input_tool, _known(self.input_tool, self.input)),
            ("cache_read", tokens.cache_read, _known(self.cache_read, self.input)),
            ("cache_write_5m", tokens.cache_write_5m, write),
            ("cache_write_1h", tokens.cache_write_1h, _known(self.cache_write_1h, write)),
            ("cache_write_30m", tokens.cache_write_30m, _known(self.cache_write_30m, write)),
            ("cache_write_12h", tokens.cache_write_12h, _known(self.cache_write_12h, write)),
            ("cache_write_other", tokens.cache_write_other, write),
            ("output", tokens.output, self.output),
            ("reasoning", tokens.reasoning, _known(self.reasoning, self.output)),
        )


def _known(rate: int | None, fallback: int) -> int:
    return fallback if rate is None else rate


@dataclass(frozen=True, slots=True)
class Band:
    """Rates that hold for the whole request once its prompt reaches a size."""

    from_prompt_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Tier:
    """What a service tier (batch, flex, priority, fast) changes."""

    name: str
    per_mille: int = 1000
    rates: Rates | None = None
    """A tier's own rates win over the multiplier and over bands."""


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the price book."""

    id: str
    vendor: str
    model: str
    rates: Rates
    bands: tuple[Band, ...] = ()
    tiers: tuple[Tier, ...] = ()
    per_web_search: NanoUsd = NanoUsd(0)
    us_geo_per_mille: int = 1000
    valid_from_ms: int = 0
    valid_to_ms: int = 0
    """0: open."""
    source: str = ""
    is_override: bool = False

    def is_valid_at(self, at_ms: int) -> bool:
        return self.valid_from_ms <= at_ms and (self.valid_to_ms == 0 or at_ms < self.valid_to_ms)


@dataclass(frozen=True, slots=True)
class Billed:
    """What besides tokens decides the price, as the answer (not the request) said it."""

    web_searches: int = 0
    service_tier: str = ""
    inference_geo: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost and how it came about."""

    amount: NanoUsd
    price_id: str
    lines: tuple[tuple[str, int, int], ...] = field(default=())
    per_mille: int = 1000


def cost_of(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> Cost:
    """Price one attempt, exact to the nano-dollar.

    The band is chosen by the whole prompt, cache reads and writes included; the tier and the geography by what the
    answer said. Rounded once, half up.
    """
    rates, per_mille = _rates_for(tokens, price, billed)
    return Cost(amount_of(tokens, price, billed), price.id, rates.lines(tokens), per_mille)


def amount_of(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> NanoUsd:
    """Say only how much: what `cost_of` says, without how it came about; done for every answer."""
    rates, per_mille = _rates_for(tokens, price, billed)
    if tokens.is_plain:
        scaled = tokens.input_fresh * rates.input + tokens.output * rates.output
    else:
        scaled = sum(count * rate for _, count, rate in rates.lines(tokens))
    scaled *= per_mille
    divisor = PER_MILLION * 1000
    if billed.inference_geo == "us" and price.us_geo_per_mille:
        scaled *= price.us_geo_per_mille
        divisor *= 1000
    return NanoUsd((2 * scaled + divisor) // (2 * divisor) + billed.web_searches * price.per_web_search)


def _rates_for(tokens: TokenCounts, price: Price, billed: Billed) -> tuple[Rates, int]:
    """The rates of the band and tier, and what is multiplied with them (per mille)."""
    rates = price.rates
    if price.bands:
        prompt = tokens.prompt
        for band in price.bands:
            if prompt >= band.from_prompt_tokens:
                rates = band.rates
    per_mille = 1000
    for tier in price.tiers:
        if tier.name == billed.service_tier:
            if tier.rates is not None:
                rates = tier.rates
            else:
                per_mille = tier.per_mille
    return rates, per_mille


def price_in_force(prices: Iterable[Price], vendor: str, model: str, at_ms: int) -> Price | None:
    """Find the row for a model at an instant.

    An organization's own row wins over the list, a row for the vendor over one for any, the later start over the
    earlier. None: unpriced.
    """
    best: Price | None = None
    best_rank: tuple[bool, bool, int] | None = None
    for price in prices:
        if price.model != model or price.vendor not in ("", vendor) or not price.is_valid_at(at_ms):
            continue
        rank = (price.is_override, price.vendor == vendor, price.valid_from_ms)
        if best_rank is None or rank > best_rank:
            best, best_rank = price, rank
    return best
