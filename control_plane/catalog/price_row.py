"""A price as it is read from a list, before it is a row. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256

RATE_NAMES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "cache_write_12h",
    "output",
    "reasoning",
    "input_tool",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
)
"""Field names of the contract's Rates."""

MAX_VERSION_LENGTH = 120
MAX_RATE_NANO_USD = 10**15
"""A million dollars per million tokens: beyond is a slip of the unit."""

RateTable = Mapping[str, int]
"""Rate name to nano-USD per million tokens."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    from_prompt_tokens: int
    rates: RateTable


@dataclass(frozen=True, slots=True)
class PriceTier:
    tier: str
    per_mille: int = 1000
    rates: RateTable | None = None


@dataclass(frozen=True, slots=True)
class PriceDraft:
    """A price of a model for a time. vendor empty: any vendor; valid_from None: always; valid_to None: open."""

    vendor: str
    model: str
    rates: RateTable
    bands: tuple[PriceBand, ...] = ()
    tiers: tuple[PriceTier, ...] = ()
    per_web_search_nano_usd: int = 0
    us_geo_per_mille: int = 0
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str = field(default="", compare=False)
    unit_nano_usd: Mapping[str, int] = field(default_factory=dict)
    """Fee for a piece by its kind: PIECE_UNITS of the contract."""
    checked_on: date | None = field(default=None, compare=False)

    def bands_json(self) -> list[dict[str, object]]:
        return [{"from_prompt_tokens": band.from_prompt_tokens, "rates": dict(band.rates)} for band in self.bands]

    def tiers_json(self) -> list[dict[str, object]]:
        return [
            {"tier": tier.tier, "per_mille": tier.per_mille}
            | ({} if tier.rates is None else {"rates": dict(tier.rates)})
            for tier in self.tiers
        ]

    def version(self, owner: str = "") -> str:
        """Name the row by what it says, so that the same numbers have the same name on every installation.

        owner: the organization whose own price it is; empty for the list.
        """
        said: list[object] = [
            owner,
            self.vendor,
            self.model,
            dict(self.rates),
            self.bands_json(),
            self.tiers_json(),
            self.per_web_search_nano_usd,
            self.us_geo_per_mille,
            _instant(self.valid_from),
            _instant(self.valid_to),
        ]
        if self.unit_nano_usd:
            # Only then, so that rows from before there were such fees keep their names.
            said.append(dict(self.unit_nano_usd))
        content = json.dumps(said, sort_keys=True)
        mark = sha256(content.encode()).hexdigest()[:12]
        since = "always" if self.valid_from is None else self.valid_from.date().isoformat()
        name = f"{owner and 'own:'}{self.vendor or 'any'}/{self.model}@{since}#{mark}"
        return name if len(name) <= MAX_VERSION_LENGTH else f"{owner and 'own:'}{self.vendor or 'any'}/#{mark}"


@dataclass(frozen=True, slots=True)
class DiscountDraft:
    """What a contract takes off list prices for a time. vendor empty: any; valid_from None: always."""

    per_mille: int
    vendor: str = ""
    model_glob: str = "*"
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source: str = field(default="", compare=False)

    def version(self, owner: str) -> str:
        """Name it by what it says and whose it is."""
        said = [owner, self.vendor, self.model_glob, self.per_mille, _instant(self.valid_from), _instant(self.valid_to)]
        return f"discount:{self.per_mille}#{sha256(json.dumps(said).encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a list says of a model besides its price. 0: unknown."""

    vendor: str
    model: str
    display_name: str = ""
    context_tokens: int = 0
    max_output_tokens: int = 0
    is_offered: bool = False


@dataclass(frozen=True, slots=True)
class PriceList:
    """Everything one source says."""

    prices: tuple[PriceDraft, ...]
    models: tuple[ModelFacts, ...]


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
