"""Rules as a control plane would compile them, short enough to be read in a test."""

import time
import uuid
from collections.abc import Sequence

from switchyard_contract.v1 import snapshot_pb2
from tests.gateway.prices import DOLLAR

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
ENFORCE, SHADOW = snapshot_pb2.RULE_MODE_ENFORCE, snapshot_pb2.RULE_MODE_SHADOW
STRICT, CALIBRATED = snapshot_pb2.BOUND_STRICT, snapshot_pb2.BOUND_CALIBRATED
DENY, BOUNDED, ALLOW = (
    snapshot_pb2.OUTAGE_POLICY_DENY,
    snapshot_pb2.OUTAGE_POLICY_BOUNDED,
    snapshot_pb2.OUTAGE_POLICY_ALLOW,
)
BLOCK = snapshot_pb2.Stage(at_percent=100, action=snapshot_pb2.STAGE_ACTION_BLOCK)
ALERT = snapshot_pb2.Stage(at_percent=80, action=snapshot_pb2.STAGE_ACTION_ALERT, told=("team lead",))


def when(
    *subjects: str, models: Sequence[str] = (), clients: Sequence[str] = (), **metadata: str
) -> snapshot_pb2.Condition:
    return snapshot_pb2.Condition(
        subjects=subjects,
        models=models,
        clients=clients,
        metadata=[snapshot_pb2.MetadataMatch(key=key, values=[value]) for key, value in metadata.items()],
    )


def days(count: int = 40, *, first_ms: int = 0) -> snapshot_pb2.Periods:
    """Whole days of UTC, from today on or from a given instant."""
    now_ms = time.time_ns() // 1_000_000
    start_ms = first_ms or now_ms - now_ms % DAY_MS
    starts_ms = [start_ms + number * DAY_MS for number in range(count)]
    return snapshot_pb2.Periods(starts_ms=starts_ms, timezone="UTC", unit="day")


def every(fixed_ms: int, unit: str) -> snapshot_pb2.Periods:
    return snapshot_pb2.Periods(fixed_ms=fixed_ms, timezone="UTC", unit=unit)


def downgrade(*to: str, at: int = 95, cache_aware: bool = True, uncached_below: int = 0) -> snapshot_pb2.Stage:
    return snapshot_pb2.Stage(
        at_percent=at,
        action=snapshot_pb2.STAGE_ACTION_DOWNGRADE,
        to=to,
        cache_aware=cache_aware,
        uncached_input_tokens_below=uncached_below,
    )


def budget(
    name: str,
    dollars: float,
    *,
    bound: snapshot_pb2.Bound = STRICT,
    condition: snapshot_pb2.Condition | None = None,
    per: Sequence[str] = (),
    stages: Sequence[snapshot_pb2.Stage] = (ALERT, BLOCK),
    mode: snapshot_pb2.RuleMode = ENFORCE,
    outage: snapshot_pb2.OutagePolicy = BOUNDED,
    allowance: float = 0.0,
    grace: float = 0.0,
    periods: snapshot_pb2.Periods | None = None,
) -> snapshot_pb2.Budget:
    return snapshot_pb2.Budget(
        id=uuid.uuid5(uuid.NAMESPACE_OID, name).hex,
        name=name,
        mode=mode,
        when=condition,
        per=per,
        limit_nano_usd=round(dollars * DOLLAR),
        periods=periods or days(),
        stages=stages,
        bound=bound,
        on_counter_outage=outage,
        outage_allowance_nano_usd=round(allowance * DOLLAR),
        grace_turn_nano_usd=round(grace * DOLLAR),
        contact="finance@example.com",
    )


def rate(
    name: str,
    limit: int,
    *,
    unit: snapshot_pb2.RateUnit = snapshot_pb2.RATE_UNIT_REQUESTS,
    burst: int = 0,
    condition: snapshot_pb2.Condition | None = None,
    per: Sequence[str] = (),
    mode: snapshot_pb2.RuleMode = ENFORCE,
    periods: snapshot_pb2.Periods | None = None,
) -> snapshot_pb2.RateLimit:
    return snapshot_pb2.RateLimit(
        id=uuid.uuid5(uuid.NAMESPACE_OID, name).hex,
        name=name,
        mode=mode,
        when=condition,
        per=per,
        unit=unit,
        limit=limit,
        burst=burst,
        periods=periods or every(MINUTE_MS, "minute"),
        contact="platform@example.com",
    )
