"""What a row of the ledger was billed for, taken apart: the answering model's own share, and each pass of another.

Both the explanation of a cost and its repricing start from here, so that they cannot differ.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.usage.entries import LedgerRow
from switchyard_contract.pricing import Billed, Units
from switchyard_contract.usage import KINDS, TokenCounts


@dataclass(frozen=True, slots=True)
class BilledPass:
    """Tokens that were billed together, at one price."""

    model: str
    tokens: TokenCounts
    billed: Billed
    cost_nano_usd: int
    price_version: str


def passes_of(row: LedgerRow) -> tuple[BilledPass, ...]:
    """The answering model's own share first, then passes of other models, in the order they were told.

    Raises ValueError for a reversal, whose counters are negative.
    """
    extras: dict[str, Any] = json.loads(row.extras or "{}")
    parts = [_part(row, said) for said in extras.get("parts", [])]
    left = list(row.tokens)
    for part in parts:
        left = [max(whole - own, 0) for whole, own in zip(left, part.tokens, strict=True)]
    own = BilledPass(
        model=row.model,
        tokens=TokenCounts(**dict(zip(KINDS, left, strict=True))),
        billed=Billed(row.web_searches, row.service_tier, row.inference_geo, _units(extras.get("units", {}))),
        cost_nano_usd=row.cost_nano_usd - sum(part.cost_nano_usd for part in parts),
        price_version=row.price_version,
    )
    return (own, *parts)


def with_costs(row: LedgerRow, parts: tuple[BilledPass, ...]) -> str:
    """The row's extras with other costs of its parts."""
    extras: dict[str, Any] = json.loads(row.extras or "{}")
    if not parts:
        return row.extras
    said = [
        {**old, "cost_nano_usd": part.cost_nano_usd, "price_version": part.price_version}
        for old, part in zip(extras.get("parts", []), parts, strict=True)
    ]
    return json.dumps({**extras, "parts": said}, ensure_ascii=False)


def _part(row: LedgerRow, said: Mapping[str, Any]) -> BilledPass:
    return BilledPass(
        model=said["model"],
        tokens=TokenCounts(**said.get("tokens", {})),
        billed=Billed(0, row.service_tier, row.inference_geo, _units(said.get("units", {}))),
        cost_nano_usd=said["cost_nano_usd"],
        price_version=said["price_version"],
    )


def _units(said: Mapping[str, int]) -> Units:
    return tuple(sorted(said.items()))
