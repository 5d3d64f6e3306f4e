"""Tokens and a price row to money: one arithmetic for pods, ledger and backtests.

Rates are whole nano-USD per million tokens. A cost is summed exactly and rounded once, half up, at the end. Which row
of the price book counts, and what a contract takes off it, is decided in `price_choice`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import mul

from switchyard_contract.quantity import NanoUsd
from switchyard_contract.usage import KINDS, TokenCounts

PER_MILLION = 1_000_000
Units = tuple[tuple[str, int], ...]
"""Kind of `TOKEN_UNITS` or `PIECE_UNITS`, and how many; each kind once."""
_COUNTER_OF = {
    "input_audio": "input",
    "cache_read_audio": "cache_read",
    "output_audio": "output",
    "input_image": "input",
    "output_image": "output",
}
"""Tokens told apart by what they carry, and the rate of the counter that they stand in too."""
_FRESH_KIND_OF = {"cache_read_audio": "input_audio"}


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
    input_audio: int | None = None
    """None: as text, so for the other kinds below."""
    cache_read_audio: int | None = None
    output_audio: int | None = None
    input_image: int | None = None
    output_image: int | None = None
    row: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The rate of each counter, in the order of `TokenCounts`, fallbacks resolved: a sum is made of it for every
    answer."""

    def __post_init__(self) -> None:
        write = _known(self.cache_write_5m, self.input)
        row = (
            self.input,
            _known(self.input_tool, self.input),
            _known(self.cache_read, self.input),
            write,
            _known(self.cache_write_1h, write),
            _known(self.cache_write_30m, write),
            _known(self.cache_write_12h, write),
            write,
            self.output,
            _known(self.reasoning, self.output),
        )
        object.__setattr__(self, "row", row)

    def lines(self, tokens: TokenCounts) -> tuple[tuple[str, int, int], ...]:
        """Say what is multiplied with what: (kind, tokens, rate) for each kind; the arithmetic people can check."""
        return tuple(zip(KINDS, tokens, self.row, strict=True))

    def above(self, units: Units) -> tuple[tuple[str, int, int], ...]:
        """What tokens of dearer kinds cost more than the counter that they stand in: (kind, tokens, difference)."""
        lines = []
        for kind, count in units:
            counter = _COUNTER_OF.get(kind)
            rate = getattr(self, kind) if counter is not None else None
            if counter is not None and rate is not None:
                lines.append((kind, count, rate - _known(getattr(self, counter), self.input)))
        return tuple(lines)


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
    unit_nano_usd: Mapping[str, int] = field(default_factory=dict)
    """Fee for a piece by its kind (`PIECE_UNITS`); absent: nothing is asked for it."""

    def is_valid_at(self, at_ms: int) -> bool:
        return self.valid_from_ms <= at_ms and (self.valid_to_ms == 0 or at_ms < self.valid_to_ms)


@dataclass(frozen=True, slots=True)
class Billed:
    """What besides tokens decides the price, as the answer (not the request) said it."""

    web_searches: int = 0
    service_tier: str = ""
    inference_geo: str = ""
    units: Units = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost and how it came about.

    (the sum of all `lines` and `above`, tokens times rate, times `per_mille` times `geo_per_mille`, over a million
    times a million) rounded half up, plus the `fees`.
    """

    amount: NanoUsd
    price_id: str
    lines: tuple[tuple[str, int, int], ...] = field(default=())
    per_mille: int = 1000
    above: tuple[tuple[str, int, int], ...] = ()
    """Tokens of dearer kinds, and what their rate is above that of the line that holds them too."""
    fees: tuple[tuple[str, int, int], ...] = ()
    """(kind, pieces, nano-USD each)"""
    geo_per_mille: int = 1000
    band_from_prompt_tokens: int = 0
    """The long-context band that applied; 0: none."""
    tier: str = ""
    """The service tier that changed something."""


def cost_of(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> Cost:
    """Price one attempt, exact to the nano-dollar.

    The band is chosen by the whole prompt, cache reads and writes included; the tier and the geography by what the
    answer said. Rounded once, half up.
    """
    rates, per_mille = _rates_for(tokens, price, billed)
    known_tier = next((tier for tier in price.tiers if tier.name == billed.service_tier), None)
    has_own_rates = known_tier is not None and known_tier.rates is not None
    bands = [band.from_prompt_tokens for band in price.bands if tokens.prompt >= band.from_prompt_tokens]
    fees = [("web_search", billed.web_searches, int(price.per_web_search))] if billed.web_searches else []
    fees += [(kind, count, price.unit_nano_usd.get(kind, 0)) for kind, count in billed.units if kind not in _COUNTER_OF]
    return Cost(
        amount=amount_of(tokens, price, billed),
        price_id=price.id,
        lines=rates.lines(tokens),
        per_mille=per_mille,
        above=rates.above(billed.units),
        fees=tuple(fees),
        geo_per_mille=(price.us_geo_per_mille or 1000) if billed.inference_geo == "us" else 1000,
        band_from_prompt_tokens=bands[-1] if bands and not has_own_rates else 0,
        tier=billed.service_tier if known_tier is not None else "",
    )


def amount_of(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> NanoUsd:
    """Say only how much: what `cost_of` says, without how it came about; done for every answer."""
    rates, per_mille = _rates_for(tokens, price, billed)
    scaled = sum(map(mul, tokens, rates.row))
    fees = billed.web_searches * price.per_web_search
    if billed.units:
        scaled += sum(count * difference for _, count, difference in rates.above(billed.units))
        fees += sum(count * price.unit_nano_usd.get(kind, 0) for kind, count in billed.units)
    scaled *= per_mille
    divisor = PER_MILLION * 1000
    if billed.inference_geo == "us" and price.us_geo_per_mille:
        scaled *= price.us_geo_per_mille
        divisor *= 1000
    return NanoUsd((2 * scaled + divisor) // (2 * divisor) + fees)


def amount_and_saved(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> tuple[NanoUsd, NanoUsd]:
    """What `amount_of` and `saved_by_cache` say, together: asked of every answer whose prompt was cached."""
    if billed.units:
        amount = amount_of(tokens, price, billed)
        return amount, saved_below(amount, tokens, price, billed)
    rates, factor = _rates_for(tokens, price, billed)
    divisor = PER_MILLION * 1000
    if billed.inference_geo == "us" and price.us_geo_per_mille:
        factor *= price.us_geo_per_mille
        divisor *= 1000
    row = rates.row
    scaled = sum(map(mul, tokens, row))
    fresh = tokens[0] + sum(tokens[2:8])
    as_fresh = fresh * row[0] + tokens[1] * row[1] + tokens[8] * row[8] + tokens[9] * row[9]
    tokens_cost = (2 * scaled * factor + divisor) // (2 * divisor)
    saved = (2 * as_fresh * factor + divisor) // (2 * divisor) - tokens_cost
    return NanoUsd(tokens_cost + billed.web_searches * price.per_web_search), NanoUsd(saved)


def saved_by_cache(tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> NanoUsd:
    """What all that was read from or written to a cache would have cost as fresh input, less what it cost.

    Negative: writes that nobody has read so far. The band stays the same, as the prompt is as long.
    """
    return saved_below(amount_of(tokens, price, billed), tokens, price, billed)


def saved_below(amount: NanoUsd, tokens: TokenCounts, price: Price, billed: Billed = Billed()) -> NanoUsd:
    """The same for whoever knows what it cost already."""
    cached = tokens.prompt - tokens.input_fresh - tokens.input_tool
    if not cached:
        return NanoUsd(0)
    fresh = TokenCounts(
        input_fresh=tokens.input_fresh + cached,
        input_tool=tokens.input_tool,
        output=tokens.output,
        reasoning=tokens.reasoning,
    )
    if billed.units:
        units = tuple((_FRESH_KIND_OF.get(kind, kind), count) for kind, count in billed.units)
        billed = Billed(billed.web_searches, billed.service_tier, billed.inference_geo, units)
    return NanoUsd(amount_of(fresh, price, billed) - amount)


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
