"""Take over the list prices of the `genai-prices` library, which carries them as data. Only this module knows it.

What it says that we do not bill (video, storage by time) is left out. Its updater is never started: prices change with
our releases, each row under a version of its own.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from importlib import metadata

from genai_prices import types as genai
from genai_prices.data import providers

from control_plane.catalog.price_row import ModelFacts, PriceBand, PriceDraft, PriceList, PriceTier
from switchyard_contract.quantity import NANO_PER_USD

VENDOR_BY_LIBRARY_NAME = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "gemini",
    "x-ai": "xai",
    "openrouter": "openrouter",
}
SOURCE = "genai-prices"
_VERSION = metadata.version("genai-prices")

_RATE_BY_LIBRARY_NAME = {
    "input_mtok": "input",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cache_read_audio",
    "output_audio_mtok": "output_audio",
    "input_image_mtok": "input_image",
    "output_image_mtok": "output_image",
}
_TIER_BY_CONDITION = {
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("processing", "batch"): "batch",
    ("speed", "fast"): "fast",
}


def read_genai_prices() -> PriceList:
    """Everything the library says of the vendors we know."""
    prices: list[PriceDraft] = []
    models: list[ModelFacts] = []
    for provider in providers:
        vendor = VENDOR_BY_LIBRARY_NAME.get(provider.id)
        if vendor is None:
            continue
        named: dict[str, genai.ModelInfo] = {}
        for model in provider.models:
            for name in _names(model):
                named.setdefault(name, model)
        # A model's own id wins over another one's alias.
        named.update({model.id: model for model in provider.models})
        for name, model in sorted(named.items()):
            prices.extend(_drafts(vendor, name, model))
        models.extend(
            ModelFacts(vendor, model.id, model.name or "", context_tokens=model.context_window or 0)
            for model in provider.models
        )
    return PriceList(tuple(prices), tuple(models))


def _names(model: genai.ModelInfo) -> Iterator[str]:
    """The exact names a model goes by; patterns cannot be written as rows."""
    pending: list[object] = [model.match]
    while pending:
        clause = pending.pop()
        if isinstance(clause, genai.ClauseEquals):
            yield clause.equals
        elif isinstance(clause, genai.ClauseOr):
            pending.extend(clause.or_)


def _drafts(vendor: str, name: str, model: genai.ModelInfo) -> Iterator[PriceDraft]:
    dated = list(_dated(model.prices))
    for index, (start, price) in enumerate(dated):
        end = dated[index + 1][0] if index + 1 < len(dated) else None
        rates = _rates(price, prompt_tokens=0)
        if "embedding" in name:
            # An embedding has no output tokens, so its list states no price for them.
            rates.setdefault("output", 0)
        if "input" not in rates or "output" not in rates:
            continue
        web, files = price.web_searches_kcount, price.storage_searches_kcount
        yield PriceDraft(
            vendor=vendor,
            model=name,
            rates=rates,
            bands=tuple(_bands(price)),
            tiers=tuple(_tiers(model, price, rates)),
            per_web_search_nano_usd=0 if not isinstance(web, Decimal) else _nano(web / 1000),
            valid_from=_midnight(start),
            valid_to=_midnight(end),
            source=f"{SOURCE} {_VERSION}",
            unit_nano_usd={"file_search": _nano(files / 1000)} if isinstance(files, Decimal) else {},
        )


def _dated(prices: genai.ModelPrice | list[genai.ConditionalPrice]) -> Iterator[tuple[date | None, genai.ModelPrice]]:
    """Prices by the day they begin, ascending. Prices by the time of day are left out: the undated one counts."""
    if isinstance(prices, genai.ModelPrice):
        yield None, prices
        return
    starts: dict[date | None, genai.ModelPrice] = {}
    for row in prices:
        if row.constraint is None:
            starts[None] = row.prices
        elif isinstance(row.constraint, genai.StartDateConstraint):
            starts[row.constraint.start_date] = row.prices
    yield from sorted(starts.items(), key=lambda item: item[0] or date.min)


def _rates(price: genai.ModelPrice, *, prompt_tokens: int) -> dict[str, int]:
    rates: dict[str, int] = {}
    for theirs, ours in _RATE_BY_LIBRARY_NAME.items():
        value = getattr(price, theirs, None)
        if isinstance(value, genai.TieredPrices):
            value = _at(value, prompt_tokens)
        if isinstance(value, Decimal):
            rates[ours] = _nano(value)
    return rates


def _at(tiered: genai.TieredPrices, prompt_tokens: int) -> Decimal:
    found = tiered.base
    for tier in tiered.tiers:
        # The library's tiers begin above their start.
        if prompt_tokens > tier.start:
            found = tier.price
    return found


def _bands(price: genai.ModelPrice) -> Iterator[PriceBand]:
    starts: set[int] = set()
    for theirs in _RATE_BY_LIBRARY_NAME:
        value = getattr(price, theirs, None)
        if isinstance(value, genai.TieredPrices):
            starts.update(tier.start + 1 for tier in value.tiers)
    for start in sorted(starts):
        yield PriceBand(start, _rates(price, prompt_tokens=start))


def _tiers(model: genai.ModelInfo, price: genai.ModelPrice, rates: Mapping[str, int]) -> Iterator[PriceTier]:
    """What service tiers change; the newest variant of each counts, whenever it began."""
    newest: dict[str, tuple[date, genai.ModelPrice]] = {}
    for variant in model.price_variants or []:
        if len(variant.when) != 1:
            continue
        tier = _TIER_BY_CONDITION.get(next(iter(variant.when.items())))
        if tier is None or not isinstance(variant.constraint, (genai.StartDateConstraint, type(None))):
            continue
        start = date.min if variant.constraint is None else variant.constraint.start_date
        if start > date(2026, 12, 31):
            continue
        if tier not in newest or start > newest[tier][0]:
            newest[tier] = (start, variant.prices)
    has_bands = any(True for _ in _bands(price))
    for tier, (_, variant_price) in sorted(newest.items()):
        own = _rates(variant_price, prompt_tokens=0)
        if "input" not in own:
            continue
        per_mille, rest = divmod(own["input"] * 1000, rates["input"]) if rates["input"] else (1000, 0)
        # A factor keeps the bands of a long prompt; rates of its own would not. Vendors round some cached rates of a
        # tier, which the factor then misses by less than they are rounded.
        if has_bands and rest == 0 and any(True for _ in _bands(variant_price)):
            yield PriceTier(tier, per_mille=per_mille)
        elif "output" in own or "output" not in _rates(price, prompt_tokens=0):
            yield PriceTier(tier, rates={**_scaled(rates, per_mille), **own})


def _scaled(rates: Mapping[str, int], per_mille: int) -> dict[str, int]:
    return {name: rate * per_mille // 1000 for name, rate in rates.items()}


def _nano(usd: Decimal) -> int:
    # A few rates are thirds, written with more digits than money has here.
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_UP))


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, UTC)
