"""From price messages to an index of prices by model."""

from collections.abc import Iterable, Mapping

from data_plane.policy.snapshot import InvalidSnapshot, PriceIndex
from switchyard_contract.price_choice import Discount
from switchyard_contract.pricing import Band, Price, Rates, Tier
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import snapshot_pb2 as pb

MOST_PER_MILLE = 10_000
"""Ten times the list: a contract may also add."""
_OPTIONAL_RATES = (
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "reasoning",
    "input_tool",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
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
    if any(fee < 0 for fee in row.unit_nano_usd.values()):
        raise InvalidSnapshot(f"{where}.unit_nano_usd", "holds a negative fee")
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
        unit_nano_usd=dict(row.unit_nano_usd),
    )


def read_discounts(where: str, rows: Iterable[pb.Discount]) -> tuple[Discount, ...]:
    """Read what contracts take off the list; raises InvalidSnapshot for one that would add to it without end."""
    discounts = []
    for row in rows:
        if not row.id or row.per_mille > MOST_PER_MILLE:
            raise InvalidSnapshot(f"{where}[{row.id}]", "has no id or no sensible share")
        discounts.append(
            Discount(row.id, row.vendor, row.model_glob, row.per_mille, row.valid_from_ms, row.valid_to_ms)
        )
    return tuple(discounts)


def _read_rates(where: str, rates: pb.Rates) -> Rates:
    known: Mapping[str, int] = {name: getattr(rates, name) for name in _OPTIONAL_RATES if rates.HasField(name)}
    if rates.input < 0 or rates.output < 0 or any(rate < 0 for rate in known.values()):
        raise InvalidSnapshot(where, "holds a negative rate")
    return Rates(input=rates.input, output=rates.output, **known)
