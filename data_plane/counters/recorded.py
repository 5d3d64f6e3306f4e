"""Settlements from the spool: what a pod that was killed had let in, and may not have settled any more.

Its event says which counters of budgets the cost is posted to. What else was held for it (the cost of a session's cap)
is given back with it; slots are leases and lapse by themselves. Saying it twice changes nothing, as long as the store
remembers what is settled; later, the books' floors say it.
"""

from data_plane.counters.packing import FROM_ALLOWANCE, POST_UNHELD, PackedClaims, micro_near
from data_plane.counters.settling import Settlement
from data_plane.policy.claims import FIRST, BudgetClaim, Claims
from switchyard_contract.counters import FOR_EVER
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1.usage_pb2 import Charge, UsageEvent

SURE_MS = 10 * 60_000
"""The store remembers for 15 minutes what is settled; a margin for clocks that differ."""
_KEPT_MS = 24 * 3_600_000


def settlement_of(event: UsageEvent, now_ms: int, *, was_cut: bool) -> Settlement | None:
    """What is to be told for a recorded attempt; None: it counted nowhere.

    was_cut: its process ended before it did, so it was never settled.
    """
    if not event.counters_answer or not event.attempt:
        return None
    budgets = tuple(_claim(charge, now_ms) for charge in event.charges)
    claims = Claims(event.organization_id, event.key_id, 0, (), budgets, b"", 0)
    member = f"{event.exchange_id}:{event.attempt}"
    tokens = event.tokens
    read = (
        tokens.input_fresh
        + tokens.input_tool
        + tokens.cache_read
        + tokens.cache_write_5m
        + tokens.cache_write_1h
        + tokens.cache_write_30m
        + tokens.cache_write_12h
        + tokens.cache_write_other
    )
    written = tokens.output + tokens.reasoning
    ended_ms = event.started_at_ms + event.duration_us // 1000
    flags = POST_UNHELD if was_cut or now_ms - ended_ms < SURE_MS else 0
    if event.degraded == "bounded":
        flags |= FROM_ALLOWANCE
    counted = (1 << len(budgets)) - 1
    told = (member, micro_near(NanoUsd(event.cost_nano_usd)), read, written, read, written, counted, flags)
    return Settlement(PackedClaims(claims).aim(""), told)


def _claim(charge: Charge, now_ms: int) -> BudgetClaim:
    """As much of a claim as a settlement needs."""
    return BudgetClaim(
        budget_id=charge.budget_id,
        budget_name="",
        counter=charge.counter,
        period=charge.period,
        # Only of use where the counter is gone by now, and then the day after is soon enough.
        period_end_ms=0 if charge.period == FOR_EVER else now_ms + _KEPT_MS,
        limit=NanoUsd(0),
        soft=NanoUsd(-1),
        hard=NanoUsd(-1),
        downgrade_at=NanoUsd(-1),
        grace=NanoUsd(0),
        is_strict=True,
        outage="allow",
        allowance=NanoUsd(0),
        candidates=FIRST,
        is_shadow=charge.is_shadow,
    )
