"""Prices and their arithmetic in words."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from django import template

from control_plane.web import numbers
from switchyard_contract.pricing import Rates
from switchyard_contract.quantity import NANO_PER_USD

register = template.Library()

KINDS = {
    "input_fresh": "Input, fresh",
    "input_tool": "Input, from the provider's tools",
    "cache_read": "Read from cache",
    "cache_write_5m": "Written to cache, 5 minutes",
    "cache_write_1h": "Written to cache, 1 hour",
    "cache_write_30m": "Written to cache, 30 minutes",
    "cache_write_12h": "Written to cache, 12 hours",
    "cache_write_other": "Written to cache",
    "output": "Output",
    "reasoning": "Reasoning",
    "input": "Input",
    "input_audio": "Sound, in",
    "cache_read_audio": "Sound, read from cache",
    "output_audio": "Sound, out",
    "input_image": "Pictures, in",
    "output_image": "Pictures, out",
    "web_search": "Web searches",
    "web_fetch": "Web pages fetched",
    "file_search": "Searches in files",
    "code_execution": "Code runs",
    "image_generation": "Pictures drawn",
    "grounding": "Pages looked up",
    "computer_use": "Uses of a computer",
    "other_tool": "Uses of other tools",
}


@register.filter
def billed_kind(kind: str) -> str:
    """What is counted, as people say it."""
    return KINDS.get(kind, kind.replace("_", " "))


@register.filter
def money_fine(nano_usd: Decimal | int) -> str:
    """Dollars with as many digits as there are: a part of a sum is not rounded."""
    dollars = Decimal(nano_usd) / NANO_PER_USD
    text = f"{dollars.normalize():f}"
    whole, _, fraction = text.partition(".")
    return f"${int(whole):,}.{fraction:0<9}" if not whole.startswith("-") else f"−${whole[1:]}.{fraction:0<9}"


@register.filter
def per_mille(value: int) -> str:
    """A factor: 500 is 0.5."""
    return f"{(Decimal(value) / 1000).normalize():f}"


@register.filter
def off(value: int) -> str:
    """What a discount takes away: 850 is 15 %."""
    taken = (Decimal(1000 - value) / 10).quantize(Decimal("0.1"), ROUND_HALF_UP).normalize()
    return f"{taken:f} % off" if taken >= 0 else f"{-taken:f} % more"


@register.filter
def times_per_mille(rate: int, value: int) -> int:
    """A rate under a tier's factor."""
    return rate * value // 1000


@register.filter
def rate_named(rates: Rates, name: str) -> int | None:
    """A rate by its name."""
    known: int | None = getattr(rates, name)
    return known


@register.filter
def rate_or_none(rate: object) -> str:
    """A rate, where there is a row and it has one."""
    return numbers.rate(rate) if isinstance(rate, int) else "–"


@register.filter
def signed_money(nano_usd: int) -> str:
    """A difference: +$4.10, −$4.10."""
    return f"{_sign(nano_usd)}{numbers.money(abs(nano_usd))}"


@register.filter
def signed_money_exact(nano_usd: int) -> str:
    return f"{_sign(nano_usd)}{numbers.money_exact(abs(nano_usd))}"


def _sign(nano_usd: int) -> str:
    return "" if not nano_usd else "+" if nano_usd > 0 else "−"


@register.filter
def since(moment: datetime | None) -> str:
    """When a price begins."""
    return "always" if moment is None else f"{moment:%Y-%m-%d}" + ("" if _is_midnight(moment) else f" {moment:%H:%M}")


@register.filter
def until(moment: datetime | None) -> str:
    """When a price ends."""
    return "open" if moment is None else since(moment)


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)
