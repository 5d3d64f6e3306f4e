"""Which row of the price book counts for a model at an instant: one choice for pods, ledger and backtests.

An organization's own row, else the list less what a contract takes off, else (by the organization's policy) the dearest
row that is known, never nothing.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from switchyard_contract.pricing import Band, Price, Rates, Tier, price_in_force
from switchyard_contract.quantity import NanoUsd

REFUSE: Final = "refuse"
"""What has no price is not served, except where the caller's own account pays."""
DEAREST: Final = "dearest"
"""What has no price is served, and billed by the dearest row that is known; also the note on such a cost."""
UNKNOWN_MODELS: Final = (DEAREST, REFUSE)
"""What an organization may choose; the first one stands where it chose nothing."""
DISCOUNT_MARK: Final = "|"
"""Between the version of a list row and that of the discount taken off it."""
FOR_EVER_MS: Final = 2**62
_DATED = re.compile(r"(?P<undated>.+?)(?:[-@]\d{8}|-\d{4}-\d{2}-\d{2})")
_RATES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "output",
    "reasoning",
    "input_tool",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
)


@dataclass(frozen=True, slots=True)
class Discount:
    """What a contract takes off list prices, fees included."""

    id: str
    vendor: str
    """Empty: any."""
    model_glob: str
    per_mille: int
    """Of the list price that is paid: 850 is 15 % off."""
    valid_from_ms: int = 0
    valid_to_ms: int = 0
    """0: open."""

    def is_valid_at(self, at_ms: int) -> bool:
        return self.valid_from_ms <= at_ms and (self.valid_to_ms == 0 or at_ms < self.valid_to_ms)

    def takes_in(self, vendor: str, model: str) -> bool:
        return self.vendor in ("", vendor) and fnmatchcase(model, self.model_glob)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The price that counts, and from when until when it does. None: nothing is known, or the policy is to refuse."""

    price: Price | None
    note: str
    """"" or DEAREST"""
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rows to choose from. `of`: those of one model's name; `everything`: all of them, asked where none fits."""

    of: Callable[[str], Sequence[Price]]
    everything: Callable[[], Iterable[Price]]
    discounts: Sequence[Discount] = ()
    unknown_models: str = ""


def known_names(model: str) -> list[str]:
    """What a model is called in lists, its own name first and the plainest last.

    A dated id (claude-haiku-4-5-20251001, gpt-5.1-2025-11-13) is the model without the date; "vendor/model", as
    aggregators write it, is what comes after the slash.
    """
    names = [model]
    dated = _DATED.fullmatch(model)
    if dated is not None:
        names.append(dated["undated"])
    if model.startswith("models/"):
        names += known_names(model.removeprefix("models/"))
    elif "/" in model:
        names += known_names(model.rpartition("/")[2])
    return names


def choose_price(shelf: Shelf, vendor: str, model: str, at_ms: int) -> Chosen:
    """Find what a model costs at an instant, and how long that answer stays the same."""
    edges: list[int] = []
    for name in known_names(model):
        rows = shelf.of(name)
        # The answer may change whenever anything that was looked at begins or ends.
        edges += [edge_ms for row in rows for edge_ms in (row.valid_from_ms, row.valid_to_ms)]
        price = price_in_force(rows, vendor, name, at_ms) if rows else None
        if price is not None:
            if not price.is_override and shelf.discounts:
                edges += [ms for each in shelf.discounts for ms in (each.valid_from_ms, each.valid_to_ms)]
                price = _less(price, shelf.discounts, vendor, model, at_ms)
            return _chosen(price, "", edges, at_ms)
    if shelf.unknown_models == REFUSE:
        return _chosen(None, "", edges, at_ms)
    everything = list(shelf.everything())
    edges += [edge_ms for row in everything for edge_ms in (row.valid_from_ms, row.valid_to_ms)]
    price = dearest(everything, vendor, at_ms)
    if price is None:
        return _chosen(None, "", edges, at_ms)
    if not price.is_override and shelf.discounts:
        edges += [ms for each in shelf.discounts for ms in (each.valid_from_ms, each.valid_to_ms)]
        price = _less(price, shelf.discounts, vendor, model, at_ms)
    return _chosen(price, DEAREST, edges, at_ms)


def choose_list_price(
    listed: Callable[[str], Sequence[Price]],
    own: Callable[[str], Sequence[Price]],
    every_listed: Callable[[], Iterable[Price]],
    vendor: str,
    model: str,
    at_ms: int,
) -> Chosen:
    """What everybody is asked for a model: what a call would have cost that the caller's own account paid.

    An own price is taken only where the list has none; nothing is refused, and nothing is free.
    """
    found = choose_price(Shelf(listed, tuple, unknown_models=REFUSE), vendor, model, at_ms)
    if found.price is not None:
        return found
    other = choose_price(Shelf(own, every_listed), vendor, model, at_ms)
    return Chosen(other.price, other.note, max(found.from_ms, other.from_ms), min(found.until_ms, other.until_ms))


def dearest(prices: Iterable[Price], vendor: str, at_ms: int) -> Price | None:
    """The row in force with the highest rate of output, then of input: the vendor's, else anybody's."""
    valid = [price for price in prices if price.is_valid_at(at_ms)]
    of_vendor = [price for price in valid if price.vendor == vendor]
    return max(of_vendor or valid, key=lambda price: (price.rates.output, price.rates.input, price.id), default=None)


def discount_in_force(discounts: Iterable[Discount], vendor: str, model: str, at_ms: int) -> Discount | None:
    """The most specific of those that take a model in: by vendor, by the longer pattern, the later one."""
    found = [each for each in discounts if each.is_valid_at(at_ms) and each.takes_in(vendor, model)]
    return max(
        found,
        key=lambda each: (each.vendor != "", len(each.model_glob.replace("*", "")), each.valid_from_ms, each.id),
        default=None,
    )


def discounted(price: Price, discount: Discount) -> Price:
    """The row less the discount, each rate rounded half up to a whole one. Its id names both."""

    def less(amount: int) -> int:
        return (2 * amount * discount.per_mille + 1000) // 2000

    def rates_less(rates: Rates) -> Rates:
        known = {name: rate for name in _RATES if (rate := getattr(rates, name)) is not None}
        return Rates(**{name: less(rate) for name, rate in known.items()})

    return replace(
        price,
        id=f"{price.id}{DISCOUNT_MARK}{discount.id}",
        rates=rates_less(price.rates),
        bands=tuple(Band(band.from_prompt_tokens, rates_less(band.rates)) for band in price.bands),
        tiers=tuple(
            Tier(tier.name, tier.per_mille, None if tier.rates is None else rates_less(tier.rates))
            for tier in price.tiers
        ),
        per_web_search=NanoUsd(less(price.per_web_search)),
        unit_nano_usd={kind: less(fee) for kind, fee in price.unit_nano_usd.items()},
    )


def _less(price: Price, discounts: Sequence[Discount], vendor: str, model: str, at_ms: int) -> Price:
    names = known_names(model)
    found = next((each for name in names if (each := discount_in_force(discounts, vendor, name, at_ms))), None)
    return price if found is None else discounted(price, found)


def _chosen(price: Price | None, note: str, edges: Iterable[int], at_ms: int) -> Chosen:
    edges = list(edges)
    return Chosen(
        price,
        note,
        from_ms=max((edge_ms for edge_ms in edges if edge_ms <= at_ms), default=0),
        until_ms=min((edge_ms for edge_ms in edges if edge_ms > at_ms), default=FOR_EVER_MS),
    )
