"""What running exchanges hold of budgets, read from the counter store. Shown, never decided from."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import redis
import structlog

from control_plane.keys.counter_store import open_counter_store
from switchyard_contract.counters import EXPECTED, MICRO, WORST, budget_key

log = structlog.get_logger()

TIMEOUT_S = 0.5
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class CounterName:
    """One counter of a budget in a period, as the store names it."""

    budget_id: UUID
    period_ms: int
    counter: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """Held by what runs, nano-USD: as it is expected to cost, and at its bound."""

    expected: int
    worst: int


def reserved_of(organization_id: UUID, counters: Sequence[CounterName]) -> dict[CounterName, Reserved] | None:
    """Read what is held of counters; None: the store is out of reach, so nobody knows."""
    asked = counters[:MOST_AT_ONCE]
    if not asked:
        return {}
    try:
        with open_counter_store(TIMEOUT_S) as store:
            pipeline = store.pipeline(transaction=False)
            for one in asked:
                key = budget_key(organization_id.hex, one.budget_id.hex, str(one.period_ms), one.counter)
                pipeline.hmget(key, [EXPECTED, WORST])
            answers = pipeline.execute()
    except redis.RedisError as failure:
        log.warning("reserved amounts not read", why=type(failure).__name__)
        return None
    return {one: Reserved(_nano(held[0]), _nano(held[1])) for one, held in zip(asked, answers, strict=True)}


def _nano(text: object) -> int:
    """Micro-USD as the store has them; nothing: no exchange of it ever ran."""
    return int(float(text)) * MICRO if isinstance(text, (bytes, str)) else 0
