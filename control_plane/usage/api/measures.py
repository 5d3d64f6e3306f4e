"""REST: sums and latencies as every resource writes them."""

from typing import Any, Final

from rest_framework import serializers

from control_plane.rest.fields import money
from control_plane.usage import histogram
from control_plane.usage.rollups import Measures
from switchyard_contract.usage import KINDS as TOKEN_KINDS

LATENCIES: Final = {
    "first_token": "first_token_counts",
    "inter_token": "inter_token_counts",
    "duration": "duration_counts",
    "gateway": "gateway_counts",
}
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class QuantilesOut(serializers.Serializer[Any]):
    """Read from buckets that double: off by a few per cent where many were observed, by less than a factor of two."""

    observations = serializers.IntegerField(help_text="p90 is told from 10 on, p99 from 100 on.")
    p50_ms = serializers.FloatField(allow_null=True)
    p90_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class LatenciesOut(serializers.Serializer[Any]):
    """null where too little was observed, or where it is not known for such a question (see `latency_is_known`)."""

    first_token = QuantilesOut()
    inter_token = QuantilesOut(help_text="Time per output token after the first one.")
    duration = QuantilesOut()
    gateway = QuantilesOut()


class TokensOut(serializers.Serializer[Any]):
    """Disjoint counters: output is without reasoning."""

    input_fresh = serializers.IntegerField()
    input_tool = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    cache_write_5m = serializers.IntegerField()
    cache_write_1h = serializers.IntegerField()
    cache_write_30m = serializers.IntegerField()
    cache_write_12h = serializers.IntegerField()
    cache_write_other = serializers.IntegerField()
    output = serializers.IntegerField()
    reasoning = serializers.IntegerField()


class MeasuresOut(serializers.Serializer[Any]):
    requests = serializers.IntegerField(help_text="Exchanges, refused ones included.")
    attempts = serializers.IntegerField(help_text="Tries at a provider.")
    errors = serializers.IntegerField()  # type: ignore[assignment]  # a field, in place of the property
    refusals = serializers.IntegerField()
    estimates = serializers.IntegerField(help_text="Attempts whose usage is an estimate.")
    unpriced = serializers.IntegerField(help_text="Attempts whose tokens have no price.")
    dearest = serializers.IntegerField(help_text="Attempts without a price of their own, at the dearest known one.")
    tokens = TokensOut()
    web_searches = serializers.IntegerField()
    cache_read_share = serializers.FloatField(allow_null=True, help_text="Of all that models read.")
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    subscription_cost_nano_usd = serializers.IntegerField(help_text="The part that callers' own accounts paid.")
    subscription_cost_usd = serializers.CharField()
    saved_cache_nano_usd = serializers.IntegerField(help_text="What the same tokens had cost more without a cache.")
    saved_cache_usd = serializers.CharField()
    saved_downgrade_nano_usd = serializers.IntegerField(
        help_text="What turns that were moved to a cheaper model were expected to cost more where they were."
    )
    saved_downgrade_usd = serializers.CharField()
    latency = LatenciesOut()


def measures_out(measures: Measures) -> dict[str, Any]:
    tokens = {kind: getattr(measures, kind) for kind in TOKEN_KINDS}
    prompt = sum(tokens.values()) - measures.output - measures.reasoning
    return {
        "requests": measures.requests,
        "attempts": measures.attempts,
        "errors": measures.errors,
        "refusals": measures.refusals,
        "estimates": measures.estimates,
        "unpriced": measures.unpriced,
        "dearest": measures.dearest,
        "tokens": tokens,
        "web_searches": measures.web_searches,
        "cache_read_share": round(measures.cache_read / prompt, 6) if prompt else None,
        "cost_nano_usd": measures.cost_nano_usd,
        "cost_usd": money(measures.cost_nano_usd),
        "subscription_cost_nano_usd": measures.subscription_cost_nano_usd,
        "subscription_cost_usd": money(measures.subscription_cost_nano_usd),
        "saved_cache_nano_usd": measures.saved_cache_nano_usd,
        "saved_cache_usd": money(measures.saved_cache_nano_usd),
        "saved_downgrade_nano_usd": measures.saved_downgrade_nano_usd,
        "saved_downgrade_usd": money(measures.saved_downgrade_nano_usd),
        "latency": {name: quantiles(getattr(measures, counts)) for name, counts in LATENCIES.items()},
    }


def quantiles(counts: list[int]) -> dict[str, float | None]:
    found: dict[str, float | None] = {"observations": sum(counts)}
    for name, share in QUANTILES.items():
        duration_us = histogram.quantile_us(counts, share)
        found[f"{name}_ms"] = None if duration_us is None else round(duration_us / 1000, 3)
    return found
