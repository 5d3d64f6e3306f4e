"""What was billed, meter by meter: a quantity, what the list asks for one, and what was agreed. Pure.

Costs are rounded once for each request, so the booked sum of many is some nano-dollars beside quantity times price.
That difference goes to the largest meter; where the arithmetic does not explain a sum at all, there is one meter
without prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from switchyard_contract.pricing import PER_MILLION, Billed, Price, cost_of
from switchyard_contract.quantity import NANO_PER_USD
from switchyard_contract.usage import KINDS, TokenCounts

TOKENS: Final = "Tokens"
ALL_KINDS: Final = "tokens"
"""The meter that tells no kinds apart."""
LABELS: Final[Mapping[str, str]] = {
    "input_fresh": "Input tokens",
    "input_tool": "Input tokens of tools",
    "cache_read": "Cached input tokens read",
    "cache_write_5m": "Input tokens cached for 5 minutes",
    "cache_write_1h": "Input tokens cached for 1 hour",
    "cache_write_30m": "Input tokens cached for 30 minutes",
    "cache_write_12h": "Input tokens cached for 12 hours",
    "cache_write_other": "Input tokens cached",
    "output": "Output tokens",
    "reasoning": "Reasoning tokens",
    "input_audio": "Audio input tokens",
    "cache_read_audio": "Cached audio input tokens read",
    "output_audio": "Audio output tokens",
    "input_image": "Image input tokens",
    "output_image": "Image output tokens",
    "web_search": "Web searches",
}
_STANDS_IN: Final[Mapping[str, str]] = {
    "input_audio": "input_fresh",
    "cache_read_audio": "cache_read",
    "output_audio": "output",
    "input_image": "input_fresh",
    "output_image": "output",
}
"""Tokens that are told apart stand in a counter, too; here each is in one meter."""
_EXACT: Final = Context(prec=30)


@dataclass(frozen=True, slots=True)
class Meter:
    """One kind of what was billed. Prices are nano-USD for one; None: they are not known."""

    kind: str
    quantity: int
    unit: str
    list_price: Fraction | None
    price: Fraction | None
    billed_nano_usd: int
    """Its part of what was booked."""

    @property
    def label(self) -> str:
        return LABELS.get(self.kind) or self.kind.replace("_", " ").capitalize()

    @property
    def is_input(self) -> bool:
        return self.unit == TOKENS and not self.kind.startswith(("output", "reasoning"))

    @property
    def list_nano_usd(self) -> int:
        return self.billed_nano_usd if self.list_price is None else nano_of(self.list_price * self.quantity)

    @property
    def contracted_nano_usd(self) -> int:
        return self.billed_nano_usd if self.price is None else nano_of(self.price * self.quantity)


@dataclass(frozen=True, slots=True)
class Priced:
    """What a sum was booked by, and what everybody is asked: often the same."""

    price: Price
    listed: Price


def split(
    tokens: list[int],
    units: Mapping[str, int],
    web_searches: int,
    *,
    priced: Priced | None,
    band: int,
    tier: str,
    geo: str,
    booked: int,
    rows: int,
) -> tuple[Meter, ...]:
    """Take a sum of alike requests apart. tokens: in the order of KINDS; amounts of reversals are negative.

    band: the prompts reached so many tokens. rows: of how many requests it is the sum.
    """
    quantities = _quantities(tokens, units, web_searches)
    if priced is None:
        return _unexplained(tokens, booked)
    own, listed = _rates(priced.price, units, band, tier, geo), _rates(priced.listed, units, band, tier, geo)
    found = [
        Meter(
            kind=kind,
            quantity=quantity,
            unit=unit,
            list_price=listed.get(kind, Fraction(0)),
            price=own.get(kind, Fraction(0)),
            billed_nano_usd=nano_of(own.get(kind, Fraction(0)) * quantity),
        )
        for kind, (quantity, unit) in quantities.items()
        if quantity
    ]
    beside = booked - sum(meter.billed_nano_usd for meter in found)
    if not found or abs(beside) > rows + len(found):
        return _unexplained(tokens, booked)
    if not beside:
        return tuple(found)
    largest = max(range(len(found)), key=lambda place: abs(found[place].billed_nano_usd))
    return tuple(_with_more(meter, beside) if place == largest else meter for place, meter in enumerate(found))


def _with_more(meter: Meter, more: int) -> Meter:
    return Meter(meter.kind, meter.quantity, meter.unit, meter.list_price, meter.price, meter.billed_nano_usd + more)


def _unexplained(tokens: list[int], booked: int) -> tuple[Meter, ...]:
    quantity = sum(tokens)
    return (Meter(ALL_KINDS, quantity, TOKENS, None, None, booked),) if quantity or booked else ()


def _quantities(tokens: list[int], units: Mapping[str, int], web_searches: int) -> dict[str, tuple[int, str]]:
    counts = dict(zip(KINDS, tokens, strict=True))
    for kind, count in units.items():
        if kind in _STANDS_IN:
            counts[_STANDS_IN[kind]] -= count
            counts[kind] = count
    found = {kind: (count, TOKENS) for kind, count in counts.items()}
    found["web_search"] = (web_searches, "Searches")
    return found | {kind: (count, "Pieces") for kind, count in units.items() if kind not in _STANDS_IN}


def _rates(price: Price, units: Mapping[str, int], band: int, tier: str, geo: str) -> dict[str, Fraction]:
    """Nano-USD for one of each kind."""
    said = tuple((kind, 1) for kind in units)
    cost = cost_of(TokenCounts(input_fresh=band), price, Billed(1, tier, geo, said))
    factor = Fraction(cost.per_mille * cost.geo_per_mille, PER_MILLION * 1000 * 1000)
    found = {kind: rate * factor for kind, _, rate in cost.lines}
    found |= {kind: found[_STANDS_IN[kind]] for kind in units if kind in _STANDS_IN}
    for kind, _, above in cost.above:
        found[kind] += above * factor
    return found | {kind: Fraction(fee) for kind, _, fee in cost.fees}


def nano_of(amount: Fraction) -> int:
    """Whole nano-dollars, half up."""
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)


@lru_cache(maxsize=4096)
def usd_for_one(price: Fraction) -> str:
    """A price of one as a decimal number of dollars, as exact as 30 digits are."""
    dollars = _EXACT.divide(Decimal(price.numerator), Decimal(price.denominator * NANO_PER_USD))
    return f"{dollars.normalize():f}"
