"""Short constructors for what a decision says on an event."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from switchyard_contract.counters import BudgetNumbers, CountersAnswer, RateNumbers, Verdict, write_answer
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


def a_rate(**changes: Any) -> RateNumbers:
    return RateNumbers(**{"counted": True, "refused": False, "used": 3, "retry_after_ms": 0, **changes})


def a_budget_number(**changes: Any) -> BudgetNumbers:
    """$4.20 posted, $0.10 expected to come and $1 at worst."""
    values = {"counted": True, "refused": False, "posted": 4_200_000, "expected": 100_000, "worst": 1_000_000}
    return BudgetNumbers(**{**values, "issued": 0, **changes})


def an_answer(rates: Sequence[RateNumbers] = (), budgets: Sequence[BudgetNumbers] = (), **changes: Any) -> bytes:
    """What the script answered, as it came."""
    values: dict[str, Any] = {
        "verdict": Verdict.ADMITTED,
        "candidate": 1,
        "index": -1,
        "retry_after_ms": 0,
        "now_ms": DAY_MS + 1000,
        "generation": 1,
        "sequence": 7,
        "expected": 20_000,
        "calibrated": 50_000,
        "worst": 500_000,
        "rates": tuple(rates),
        "budgets": tuple(budgets),
    }
    return msgspec.msgpack.encode(write_answer(CountersAnswer(**{**values, **changes})))
