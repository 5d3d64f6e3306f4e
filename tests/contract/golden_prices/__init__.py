"""Real usage objects of all vendors, and what they cost to the nano-dollar, worked out by hand: a file for each."""

from collections.abc import Sequence

from tests.contract.golden_prices.anthropic import ANTHROPIC_ROWS
from tests.contract.golden_prices.gemini import GEMINI_ROWS
from tests.contract.golden_prices.golden import NOW, Golden
from tests.contract.golden_prices.openai import OPENAI_ROWS

__all__ = ["GEMINI_ROWS", "NOW", "ROWS", "Golden"]

ROWS: Sequence[Golden] = (*ANTHROPIC_ROWS, *OPENAI_ROWS, *GEMINI_ROWS)
