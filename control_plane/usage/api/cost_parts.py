"""REST: the arithmetic of a cost, line by line."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from control_plane.rest.fields import money
from control_plane.usage.selectors.costs import CostExplanation, CostLine, PassExplained


class CostLineOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    tokens = serializers.IntegerField()
    rate_nano_usd_per_million = serializers.IntegerField()
    exact_nano_usd = serializers.CharField(help_text="Tokens times rate, not rounded: the sum is rounded once.")


class FeeOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    count = serializers.IntegerField()
    each_nano_usd = serializers.IntegerField()
    amount_nano_usd = serializers.IntegerField()


class DiscountTakenOut(serializers.Serializer[Any]):
    version = serializers.CharField()
    per_mille = serializers.IntegerField(help_text="Of the list price that is paid.")
    source = serializers.CharField()  # type: ignore[assignment]  # a field named so


class PassOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    price_version = serializers.CharField()
    price_source = serializers.CharField()
    price_checked_on = serializers.DateField(allow_null=True)
    discount = DiscountTakenOut(allow_null=True)
    lines = CostLineOut(many=True)
    above = CostLineOut(many=True, help_text="Sound and pictures: the rate above that of the line that holds them.")
    band_from_prompt_tokens = serializers.IntegerField(help_text="0: no long-context band.")
    tier = serializers.CharField(help_text="The service tier that changed something.")
    tier_per_mille = serializers.IntegerField()
    geo_per_mille = serializers.IntegerField()
    tokens_exact_nano_usd = serializers.CharField(help_text="The sum of all lines.")
    multiplied_exact_nano_usd = serializers.CharField(help_text="Times tier and geography.")
    rounded_nano_usd = serializers.IntegerField(help_text="Rounded once, half up.")
    fees = FeeOut(many=True)
    computed_nano_usd = serializers.IntegerField()
    booked_nano_usd = serializers.IntegerField()


class CostOut(PassOut):
    note = serializers.CharField(help_text="dearest: no price was known, the dearest one was taken.")
    is_shadow = serializers.BooleanField(help_text="The caller's own account paid; this is the list price.")
    web_searches_nano_usd = serializers.IntegerField()
    own_nano_usd = serializers.IntegerField(help_text="The answering model's own share.")
    parts = PassOut(many=True, help_text="Passes of other models inside of the answer.")
    agrees = serializers.BooleanField(help_text="The sum done again is the amount that was booked.")


def cost_out(explained: CostExplanation) -> dict[str, Any]:
    return {
        **_pass_out(explained.own),
        "note": explained.note,
        "is_shadow": explained.is_shadow,
        "web_searches_nano_usd": explained.web_searches_nano_usd,
        "own_nano_usd": explained.own.computed_nano_usd,
        "parts": [_pass_out(part) for part in explained.parts],
        "computed_nano_usd": explained.computed_nano_usd,
        "computed_usd": money(explained.computed_nano_usd),
        "booked_nano_usd": explained.booked_nano_usd,
        "agrees": explained.agrees,
    }


def _pass_out(one: PassExplained) -> dict[str, Any]:
    checked_on = one.row.checked_on if one.row is not None else None
    return {
        "model": one.model,
        "price_version": one.price.id,
        "price_source": one.price.source,
        "price_checked_on": None if checked_on is None else checked_on.isoformat(),
        "discount": None
        if one.discount is None
        else {
            "version": one.discount.version,
            "per_mille": one.discount.per_mille,
            "source": one.discount.source,
        },
        "lines": [_line_out(line) for line in one.lines],
        "above": [_line_out(line) for line in one.above],
        "band_from_prompt_tokens": one.cost.band_from_prompt_tokens,
        "tier": one.cost.tier,
        "tier_per_mille": one.cost.per_mille,
        "geo_per_mille": one.cost.geo_per_mille,
        "tokens_exact_nano_usd": _exact(one.tokens_exact_nano_usd),
        "multiplied_exact_nano_usd": _exact(one.multiplied_exact_nano_usd),
        "rounded_nano_usd": one.rounded_nano_usd,
        "fees": [
            {
                "kind": fee.kind,
                "count": fee.count,
                "each_nano_usd": fee.each_nano_usd,
                "amount_nano_usd": fee.amount_nano_usd,
            }
            for fee in one.fees
        ],
        "computed_nano_usd": one.computed_nano_usd,
        "booked_nano_usd": one.booked_nano_usd,
    }


def _line_out(line: CostLine) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "tokens": line.tokens,
        "rate_nano_usd_per_million": line.rate_nano_usd_per_million,
        "exact_nano_usd": _exact(line.exact_nano_usd),
    }


def _exact(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
