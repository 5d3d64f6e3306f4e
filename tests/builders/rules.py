"""Short constructors for the messages of rules. Enforced, about everybody, and named after their kind, unless told."""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from switchyard_contract.quantity import NANO_PER_USD
from switchyard_contract.v1 import snapshot_pb2 as pb

ENFORCE, SHADOW = pb.RULE_MODE_ENFORCE, pb.RULE_MODE_SHADOW
STRICT, CALIBRATED = pb.BOUND_STRICT, pb.BOUND_CALIBRATED
DENY, BOUNDED, ALLOW = pb.OUTAGE_POLICY_DENY, pb.OUTAGE_POLICY_BOUNDED, pb.OUTAGE_POLICY_ALLOW
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def usd(dollars: float) -> int:
    """Dollars as nano-USD; for round amounts."""
    return round(dollars * NANO_PER_USD)


def when(
    *subjects: str, models: Sequence[str] = (), metadata: Mapping[str, Sequence[str]] | None = None, **more: Any
) -> pb.Condition:
    """A condition; more: clients, protocols, hours."""
    matches = [pb.MetadataMatch(key=key, values=values) for key, values in (metadata or {}).items()]
    return pb.Condition(subjects=subjects, models=models, metadata=matches, **more)


def hours(*spans: tuple[int, int], text: str = "") -> pb.Hours:
    return pb.Hours(spans=[pb.Span(start_ms=start_ms, end_ms=end_ms) for start_ms, end_ms in spans], text=text)


def every(unit: str, starts_ms: Sequence[int] = (), timezone: str = "UTC", fixed_ms: int | None = None) -> pb.Periods:
    """Periods: minutes and hours by their length, longer ones by the instants given, "lifetime" by nothing."""
    if fixed_ms is None:
        fixed_ms = {"minute": MINUTE_MS, "hour": HOUR_MS}.get(unit, 0)
    return pb.Periods(unit=unit, fixed_ms=fixed_ms, starts_ms=starts_ms, timezone=timezone)


def days(count: int = 40, *, first_ms: int = 0) -> pb.Periods:
    """Whole days of UTC, from today on or from a given instant."""
    now_ms = time.time_ns() // 1_000_000
    start_ms = first_ms or now_ms - now_ms % DAY_MS
    return every("day", [start_ms + number * DAY_MS for number in range(count)])


def an_access_rule(name: str = "access", **fields: Any) -> pb.AccessRule:
    return pb.AccessRule(**{"id": f"id-{name}", "name": name, "mode": ENFORCE, **fields})


def a_rate_limit(name: str = "rate", **fields: Any) -> pb.RateLimit:
    """60 requests a minute."""
    given = {"unit": pb.RATE_UNIT_REQUESTS, "limit": 60, "periods": every("minute")}
    return pb.RateLimit(**{"id": f"id-{name}", "name": name, "mode": ENFORCE, **given, **fields})


def a_budget(name: str = "budget", dollars: float = 10, **fields: Any) -> pb.Budget:
    """So many dollars for ever, blocked at 100 %."""
    given = {
        "limit_nano_usd": usd(dollars),
        "periods": every("lifetime"),
        "stages": [block()],
        "bound": pb.BOUND_CALIBRATED,
        "on_counter_outage": pb.OUTAGE_POLICY_BOUNDED,
    }
    return pb.Budget(**{"id": f"id-{name}", "name": name, "mode": ENFORCE, **given, **fields})


def a_daily_budget(name: str, dollars: float, *, allowance: float = 0, grace: float = 0, **fields: Any) -> pb.Budget:
    """As the control plane would compile one of so many dollars a day: strict, with an alert, and with an id like its.

    allowance: of an outage, in dollars; grace: of a tool loop.
    """
    given = {
        "id": _uuid_of(name),
        "periods": days(),
        "stages": [ALERT, BLOCK],
        "bound": STRICT,
        "outage_allowance_nano_usd": usd(allowance),
        "grace_turn_nano_usd": usd(grace),
        "contact": "finance@example.com",
    }
    return a_budget(name, dollars, **{**given, **fields})


def a_pace(name: str, limit: int, **fields: Any) -> pb.RateLimit:
    """So many requests a minute, with an id like the control plane's."""
    given = {"id": _uuid_of(name), "limit": limit, "contact": "platform@example.com"}
    return a_rate_limit(name, **{**given, **fields})


def _uuid_of(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, name).hex


def alert(at: int = 80, *told: str) -> pb.Stage:
    return pb.Stage(at_percent=at, action=pb.STAGE_ACTION_ALERT, told=told)


def downgrade(*to: str, at: int = 95, **fields: Any) -> pb.Stage:
    return pb.Stage(at_percent=at, action=pb.STAGE_ACTION_DOWNGRADE, to=to, **fields)


def block(at: int = 100) -> pb.Stage:
    return pb.Stage(at_percent=at, action=pb.STAGE_ACTION_BLOCK)


ALERT, BLOCK = alert(80, "team lead"), block()


def a_session_cap(name: str = "cap", **fields: Any) -> pb.SessionCap:
    return pb.SessionCap(**{"id": f"id-{name}", "name": name, "mode": ENFORCE, **fields})


def a_price(model: str, dollars_in: float, dollars_out: float, **fields: Any) -> pb.PriceRow:
    """Dollars per million tokens; reading from the cache costs a tenth, writing a quarter more."""
    rates = pb.Rates(
        input=usd(dollars_in),
        output=usd(dollars_out),
        cache_read=usd(dollars_in) // 10,
        cache_write_5m=usd(dollars_in) * 5 // 4,
    )
    return pb.PriceRow(**{"id": f"price-{model}", "model": model, "rates": rates, **fields})
