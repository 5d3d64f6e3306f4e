"""Named integers, so that dollars, tokens and milliseconds cannot be mixed up."""

from decimal import Decimal
from typing import NewType

NanoUsd = NewType("NanoUsd", int)
"""Money: billionths of a US dollar. Never a float, anywhere."""

Tokens = NewType("Tokens", int)
Milliseconds = NewType("Milliseconds", int)

NANO_PER_USD = 1_000_000_000


def usd_text(amount: NanoUsd) -> str:
    """Write money with full precision: 15_734_500 nano-USD is "0.015734500"."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), NANO_PER_USD)
    return f"{sign}{whole}.{rest:09d}"


def nano_usd(text: str | Decimal) -> NanoUsd:
    """Read dollars ("12.50") as nano-USD.

    Raises ValueError when the text is no finite number or is finer than a nano-dollar.
    """
    try:
        scaled = Decimal(text) * NANO_PER_USD
        exact = int(scaled)
    except (ArithmeticError, ValueError) as failure:
        raise ValueError(f"not an amount in US dollars: {str(text)[:40]!r}") from failure
    if scaled != exact:
        raise ValueError(f"finer than a billionth of a dollar: {str(text)[:40]!r}")
    return NanoUsd(exact)
