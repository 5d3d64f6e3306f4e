"""From price messages to an index of prices by model."""

from collections.abc import Iterable, Mapping

from data_plane.policy.snapshot import InvalidSnapshot, PriceIndex
from switchyard_contract.pricing import Band, Price, Rates, Tier
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import snapshot_pb2 as pb

_OPTIONAL_RATES = (
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "reasoning",
    "input_tool",
)


def read_prices(where: str, rows: Iterable[pb.PriceRow]) -> PriceIndex:
    """Index rows by model id; raises InvalidSnapshot when a rate is negative or bands do not ascend."""
    index: dict[str, list[Price]] = {}
    for row in rows:
        index.setdefault(row.model, []).append(read_price(f"{where}[{row.id}]", row))
    return {model: tuple(prices) for model, prices in index.items()}


def read_price(where: str, row: pb.PriceRow) -> Price:
    """Read one row."""
    thresholds = [band.from_prompt_tokens for band in row.bands]
    if thresholds != sorted(set(thresholds)):
        raise InvalidSnapshot(f"{where}.bands", "do not ascend")
    if row.per_web_search_nano_usd < 0:
        raise InvalidSnapshot(f"{where}.per_web_search_nano_usd", "is negative")
    for tier in row.tiers:
        if not tier.per_mille and not tier.HasField("rates"):
            raise InvalidSnapshot(f"{where}.tiers[{tier.tier}]", "has neither rates nor a multiplier")
    return Price(
        id=row.id,
        vendor=row.vendor,
        model=row.model,
        rates=_read_rates(f"{where}.rates", row.rates),
        bands=tuple(
            Band(band.from_prompt_tokens, _read_rates(f"{where}.bands[{band.from_prompt_tokens}]", band.rates))
            for band in row.bands
        ),
        tiers=tuple(
            Tier(
                tier.tier,
                tier.per_mille,
                _read_rates(f"{where}.tiers[{tier.tier}]", tier.rates) if tier.HasField("rates") else None,
            )
            for tier in row.tiers
        ),
        per_web_search=NanoUsd(row.per_web_search_nano_usd),
        # 0 says "no uplift" on the wire; as a multiplier that is 1000.
        us_geo_per_mille=row.us_geo_per_mille or 1000,
        valid_from_ms=row.valid_from_ms,
        valid_to_ms=row.valid_to_ms,
        source=row.source,
        is_override=row.is_override,
    )


def _read_rates(where: str, rates: pb.Rates) -> Rates:
    known: Mapping[str, int] = {name: getattr(rates, name) for name in _OPTIONAL_RATES if rates.HasField(name)}
    if rates.input < 0 or rates.output < 0 or any(rate < 0 for rate in known.values()):
        raise InvalidSnapshot(where, "holds a negative rate")
    return Rates(
        input=rates.input,
        output=rates.output,
        cache_read=known.get("cache_read"),
        cache_write_5m=known.get("cache_write_5m"),
        cache_write_1h=known.get("cache_write_1h"),
        cache_write_30m=known.get("cache_write_30m"),
        cache_write_12h=known.get("cache_write_12h"),
        reasoning=known.get("reasoning"),
        input_tool=known.get("input_tool"),
    )
