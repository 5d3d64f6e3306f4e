"""Short constructors for what a decision says on an event."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from switchyard_contract.v1 import usage_pb2

BUDGET = UUID("b1" * 16)
OTHER_BUDGET = UUID("b2" * 16)
DAY_MS = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000)


def a_charge(
    budget: UUID = BUDGET, counter: str = "", *, period_ms: int = DAY_MS, is_shadow: bool = False
) -> usage_pb2.Charge:
    return usage_pb2.Charge(budget_id=budget.hex, counter=counter, period=str(period_ms), is_shadow=is_shadow)


def a_rule_seen(budget: UUID = BUDGET, **changes: Any) -> usage_pb2.RuleSeen:
    """A budget that matched."""
    values: dict[str, Any] = {
        "kind": "budget",
        "id": budget.hex,
        "name": "engineer-daily",
        "matched": True,
        "period": str(DAY_MS),
        "limit": 10_000_000_000,
        "resets_at_ms": DAY_MS + 86_400_000,
        "candidates": 1,
    }
    return usage_pb2.RuleSeen(**{**values, **changes})
