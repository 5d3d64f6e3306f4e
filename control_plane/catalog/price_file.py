"""Read our own price lists, `price_lists/<vendor>.toml`. Pure but for reading the files.

A list is refused as a whole, with every problem at once: `InvalidPriceList`.
"""

import datetime
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

from control_plane.catalog.price_row import (
    MAX_RATE_NANO_USD,
    RATE_NAMES,
    ModelFacts,
    PriceBand,
    PriceDraft,
    PriceList,
    PriceTier,
)
from switchyard_contract.quantity import nano_usd
from switchyard_contract.usage import PIECE_UNITS

FOLDER = Path(__file__).with_name("price_lists")

_LIST_FIELDS = {"source", "checked", "vendor", "price"}
_PRICE_FIELDS = {
    "model",
    "also",
    "display_name",
    "context_tokens",
    "max_output_tokens",
    "offer",
    "valid_from",
    "valid_to",
    "web_search",
    "us_geo",
    "bands",
    "tiers",
    "units",
    *RATE_NAMES,
}


class InvalidPriceList(ValueError):
    """A list breaks the schema; `problems` names each place."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_price_lists(folder: Path = FOLDER) -> PriceList:
    """Read every list of the folder; raises InvalidPriceList."""
    prices: list[PriceDraft] = []
    models: dict[tuple[str, str], ModelFacts] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            found = read_price_list(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as failure:
            problems.append(f"{path.name}: {failure}")
        except InvalidPriceList as failure:
            problems.extend(f"{path.name}: {problem}" for problem in failure.problems)
        else:
            prices.extend(found.prices)
            models.update({(facts.vendor, facts.model): facts for facts in found.models})
    if problems:
        raise InvalidPriceList(tuple(problems))
    return PriceList(tuple(prices), tuple(models.values()))


def read_price_list(vendor: str, raw: Mapping[str, Any]) -> PriceList:
    """Read one list; the vendor is the file's name unless the list names another ("" for any)."""
    checked = raw.get("checked")
    reader = _Reader(
        str(raw.get("vendor", vendor)),
        str(raw.get("source", "")),
        checked if isinstance(checked, datetime.date) else None,
    )
    for name in sorted(set(raw) - _LIST_FIELDS):
        reader.problems.append(f"unknown field {name!r}")
    if not raw.get("source") or not isinstance(raw.get("checked"), datetime.date):
        reader.problems.append("source and checked (a date) must be stated")
    for index, row in enumerate(raw.get("price", [])):
        reader.read_price(f"price {index + 1} ({row.get('model', 'no model')})", row)
    reader.check_periods()
    if reader.problems:
        raise InvalidPriceList(tuple(reader.problems))
    return PriceList(tuple(reader.prices), tuple(reader.models.values()))


class _Reader:
    """Collects rows and problems of one list."""

    def __init__(self, vendor: str, source: str, checked: datetime.date | None) -> None:
        self.vendor, self.source, self.checked = vendor, source, checked
        self.prices: list[PriceDraft] = []
        self.models: dict[str, ModelFacts] = {}
        self.problems: list[str] = []

    def read_price(self, where: str, row: Mapping[str, Any]) -> None:
        for name in sorted(set(row) - _PRICE_FIELDS):
            self.problems.append(f"{where}: unknown field {name!r}")
        names = [row.get("model"), *row.get("also", [])]
        if any(not isinstance(name, str) or not name for name in names):
            self.problems.append(f"{where}: model and also must be names")
            return
        rates = self._rates(where, row)
        if not {"input", "output"} <= set(rates):
            self.problems.append(f"{where}: input and output must be stated")
        bands = tuple(self._band(f"{where}, band", band) for band in row.get("bands", []))
        if [band.from_prompt_tokens for band in bands] != sorted({band.from_prompt_tokens for band in bands}):
            self.problems.append(f"{where}: bands must ascend")
        tiers = tuple(self._tier(f"{where}, tier", tier) for tier in row.get("tiers", []))
        if len({tier.tier for tier in tiers}) != len(tiers):
            self.problems.append(f"{where}: a tier is named twice")
        valid_from, valid_to = self._day(where, row, "valid_from"), self._day(where, row, "valid_to")
        if valid_from and valid_to and valid_from >= valid_to:
            self.problems.append(f"{where}: valid_to must be after valid_from")
        for name in names:
            self.prices.append(
                PriceDraft(
                    vendor=self.vendor,
                    model=name,
                    rates=rates,
                    bands=bands,
                    tiers=tiers,
                    per_web_search_nano_usd=self._money(where, "web_search", row.get("web_search", "0")),
                    us_geo_per_mille=self._per_mille(where, row.get("us_geo", "0")),
                    valid_from=valid_from,
                    valid_to=valid_to,
                    source=f"{self.source} ({self.vendor or 'any'}.toml)",
                    unit_nano_usd=self._units(where, row.get("units", {})),
                    checked_on=self.checked,
                )
            )
        self.models[names[0]] = ModelFacts(
            vendor=self.vendor,
            model=names[0],
            display_name=str(row.get("display_name", "")),
            context_tokens=self._count(where, row, "context_tokens"),
            max_output_tokens=self._count(where, row, "max_output_tokens"),
            is_offered=row.get("offer") is True,
        )

    def check_periods(self) -> None:
        """Two rows of a model may not hold at the same instant: which of them counted would be chance."""
        by_model: dict[str, list[PriceDraft]] = {}
        for price in self.prices:
            by_model.setdefault(price.model, []).append(price)
        for model, rows in by_model.items():
            rows.sort(key=lambda price: price.valid_from.timestamp() if price.valid_from else float("-inf"))
            for earlier, later in pairwise(rows):
                if earlier.valid_to is None or later.valid_from is None or later.valid_from < earlier.valid_to:
                    self.problems.append(f"{model}: two prices hold at the same time")

    def _rates(self, where: str, row: Mapping[str, Any]) -> dict[str, int]:
        return {name: self._money(where, name, row[name]) for name in RATE_NAMES if name in row}

    def _units(self, where: str, table: object) -> dict[str, int]:
        if not isinstance(table, dict) or not set(table) <= set(PIECE_UNITS):
            self.problems.append(f"{where}: units may name {', '.join(PIECE_UNITS)}")
            return {}
        return {kind: self._money(where, kind, fee) for kind, fee in sorted(table.items())}

    def _band(self, where: str, row: Mapping[str, Any]) -> PriceBand:
        for name in sorted(set(row) - {"from_prompt_tokens", *RATE_NAMES}):
            self.problems.append(f"{where}: unknown field {name!r}")
        start = row.get("from_prompt_tokens")
        if not isinstance(start, int) or start < 1:
            self.problems.append(f"{where}: from_prompt_tokens must be a whole number above 0")
            start = 1
        rates = self._rates(where, row)
        if not {"input", "output"} <= set(rates):
            self.problems.append(f"{where}: input and output must be stated")
        return PriceBand(start, rates)

    def _tier(self, where: str, row: Mapping[str, Any]) -> PriceTier:
        for name in sorted(set(row) - {"tier", "multiplier", *RATE_NAMES}):
            self.problems.append(f"{where}: unknown field {name!r}")
        tier = row.get("tier")
        if not isinstance(tier, str) or not tier:
            self.problems.append(f"{where}: tier must be a name")
            tier = "?"
        rates = self._rates(where, row)
        if bool(rates) == ("multiplier" in row):
            self.problems.append(f"{where} {tier}: either a multiplier or rates of its own")
        if rates:
            return PriceTier(tier, rates=rates)
        return PriceTier(tier, per_mille=self._per_mille(where, row.get("multiplier", "1")))

    def _money(self, where: str, name: str, text: object) -> int:
        try:
            if not isinstance(text, str):
                raise ValueError("write it as text")
            amount = nano_usd(text)
            if not 0 <= amount <= MAX_RATE_NANO_USD:
                raise ValueError("below zero or beyond reason")
        except ValueError as failure:
            self.problems.append(f"{where}: {name}: {failure}")
            return 0
        return amount

    def _per_mille(self, where: str, text: object) -> int:
        try:
            scaled = Decimal(str(text)) * 1000
            if not isinstance(text, str) or scaled != int(scaled) or scaled < 0:
                raise ValueError
        except (InvalidOperation, ValueError, OverflowError):
            self.problems.append(f"{where}: {text!r} is no factor with at most three decimals, as text")
            return 0
        return int(scaled)

    def _count(self, where: str, row: Mapping[str, Any], name: str) -> int:
        value = row.get(name, 0)
        if not isinstance(value, int) or value < 0:
            self.problems.append(f"{where}: {name} must be a whole number")
            return 0
        return value

    def _day(self, where: str, row: Mapping[str, Any], name: str) -> datetime.datetime | None:
        day = row.get(name)
        if day is None:
            return None
        if not isinstance(day, datetime.date) or isinstance(day, datetime.datetime):
            self.problems.append(f"{where}: {name} must be a date")
            return None
        return datetime.datetime.combine(day, datetime.time.min, datetime.UTC)
