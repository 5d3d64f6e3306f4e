"""Real usage objects of all vendors, and what they cost to the nano-dollar, worked out by hand.

A rate of $1 per million tokens is 1,000 nano-dollars a token; that is how the sums beside each row are written. Rates
are those of the shipped price book. Each row is one of the traps of how vendors tell usage.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Golden:
    """One answer: what was asked for, what the vendor told, what it costs."""

    name: str
    vendor: str
    protocol: str
    model: str
    """As asked for, and as the answer names it unless `usage` is a whole answer."""
    usage: Json
    nano_usd: int
    at: datetime = NOW
    answered: str = ""
    """The model that the answer names, where it is another one."""
    answer: Json = field(default_factory=dict)
    """What stands beside the usage in the answer."""
    first_usage: Json | None = None
    """What a stream tells at its beginning; None: the same, with one token of output."""
    note: str = ""
    saved: int | None = None
    """What a cache saved; None: not looked at."""
