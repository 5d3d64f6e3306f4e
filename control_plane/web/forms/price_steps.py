"""Long-context bands and service tiers of a price, one a line: `200000 input=6 output=22.5`, `batch ×0.5`."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from control_plane.catalog.price_row import MAX_RATE_NANO_USD, RATE_NAMES, PriceBand, PriceTier
from control_plane.web.forms.rule_text import LinesField
from switchyard_contract.quantity import NanoUsd, nano_usd, usd_text

MOST_STEPS = 20
MOST_TOKENS = 2**31 - 1
MOST_TIMES = 100
_BAND = "Right: 200000 input=6 output=22.5"
_TIER = "Right: batch ×0.5, or priority input=6 output=30"


class BandsField(LinesField):
    """From how many tokens of prompt on which rates hold; cleans to bands."""

    def clean(self, value: Any) -> Any:
        found = [_band(line) for line in _few(super().clean(value))]
        starts = [band.from_prompt_tokens for band in found]
        if starts != sorted(set(starts)):
            raise forms.ValidationError("Each line begins at more tokens than the one above it.")
        return tuple(found)


class TiersField(LinesField):
    """What a service tier costs instead, or times what; cleans to tiers."""

    def clean(self, value: Any) -> Any:
        found = [_tier(line) for line in _few(super().clean(value))]
        if len({tier.tier for tier in found}) < len(found):
            raise forms.ValidationError("Each tier once.")
        return tuple(found)


def bands_text(bands: Sequence[PriceBand]) -> str:
    """Bands as they are typed."""
    return "\n".join(f"{band.from_prompt_tokens} {_rates_text(band.rates)}".strip() for band in bands)


def tiers_text(tiers: Sequence[PriceTier]) -> str:
    """Tiers as they are typed."""
    return "\n".join(_tier_text(tier) for tier in tiers)


def typed_usd(nano: int) -> str:
    """An amount as somebody would type it: no zeros beyond cents."""
    whole, _, rest = usd_text(NanoUsd(nano)).partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def _few(lines: list[str]) -> list[str]:
    if len(lines) > MOST_STEPS:
        raise forms.ValidationError(f"{len(lines)} lines; {MOST_STEPS} are held.")
    return lines


def _band(line: str) -> PriceBand:
    first, *rest = line.split()
    digits = first.replace(",", "").replace("_", "")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:12]) <= MOST_TOKENS) or len(digits) > 12:
        raise forms.ValidationError(f"“{line}” does not begin with a number of tokens. {_BAND}")
    rates = _rates(line, rest, _BAND)
    if not rates:
        raise forms.ValidationError(f"“{line}” has no rates. {_BAND}")
    return PriceBand(int(digits), rates)


def _tier(line: str) -> PriceTier:
    name, *rest = line.split()
    if "=" in name or len(name) > 40:
        raise forms.ValidationError(f"“{line}” does not begin with the name of a tier. {_TIER}")
    factors = [word for word in rest if "=" not in word]
    rates = _rates(line, [word for word in rest if "=" in word], _TIER)
    if len(factors) > 1 or not (factors or rates):
        raise forms.ValidationError(f"“{line}” needs one factor or rates of its own. {_TIER}")
    return PriceTier(name, _per_mille(line, factors[0]) if factors else 1000, rates or None)


def _per_mille(line: str, word: str) -> int:
    text = word.removeprefix("×").removeprefix("x").removeprefix("*")
    try:
        factor = Decimal(text) * 1000 if text.isascii() and "_" not in text else Decimal("NaN")
    except InvalidOperation:
        factor = Decimal("NaN")
    if not factor.is_finite() or not 0 <= factor <= MOST_TIMES * 1000 or factor != int(factor):
        raise forms.ValidationError(f"“{word}” in “{line}” is no factor from 0 to {MOST_TIMES}. {_TIER}")
    return int(factor)


def _rates(line: str, words: Sequence[str], right: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in RATE_NAMES:
            raise forms.ValidationError(f"“{name}” in “{line}” is no rate. Known: {', '.join(RATE_NAMES)}. {right}")
        if name in found:
            raise forms.ValidationError(f"“{name}” stands twice in “{line}”.")
        found[name] = _amount(line, word, text.removeprefix("$"), right)
    return found


def _amount(line: str, word: str, text: str, right: str) -> int:
    try:
        amount = int(nano_usd(text)) if text.isascii() and "_" not in text else -1
    except ValueError:
        amount = -1
    if not 0 <= amount <= MAX_RATE_NANO_USD:
        raise forms.ValidationError(f"“{word}” in “{line}” is no amount in US dollars. {right}")
    return amount


def _rates_text(rates: Mapping[str, int]) -> str:
    return " ".join(f"{name}={typed_usd(rates[name])}" for name in RATE_NAMES if name in rates)


def _tier_text(tier: PriceTier) -> str:
    factor = f"×{(Decimal(tier.per_mille) / 1000).normalize():f}" if tier.per_mille != 1000 or not tier.rates else ""
    return " ".join(part for part in (tier.tier, factor, _rates_text(tier.rates or {})) if part)
