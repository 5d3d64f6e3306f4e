"""How much an attempt takes of a claim, and whether there is room for it (`reference.py`)."""

import math

from data_plane.counters.packing import all_claims, sliding_of
from data_plane.counters.reference_contents import Purse
from data_plane.policy.claims import BudgetClaim, Claims, RateClaim
from switchyard_contract.counters import MICRO


def fits(purse: Purse, budget: BudgetClaim, expected: int, bound: int, is_tool_loop: bool) -> bool:
    if budget.hard < 0:
        return True
    grace = budget.grace // MICRO if is_tool_loop else 0
    is_within_hard = purse.posted + purse.worst + bound <= budget.hard // MICRO + grace
    return is_within_hard and purse.posted + purse.expected + expected <= budget.soft // MICRO + grace


def units(rate: RateClaim, input_tokens: int, output_tokens: int) -> int:
    match rate.unit:
        case "requests":
            return 1
        case "tokens":
            return input_tokens + output_tokens
        case "input_tokens":
            return input_tokens
        case _:
            return output_tokens


def span_us(rate: RateClaim, n: int) -> int:
    # In floating point, as the script does: the products are larger than what a double holds exactly.
    limit, window_us, _ = sliding_of(rate)
    return math.ceil(float(n) * window_us / limit)


def is_within_periods(claims: Claims, now_ms: int) -> bool:
    return all(
        now_ms >= int(claim.period or "0") and (claim.period_end_ms <= 0 or now_ms < claim.period_end_ms)
        for claim in all_claims(claims)
    )
