"""Caps of sessions: what they cost and how often they come is counted; what their requests show is judged at once.

A session is the client's word, so a cap is a brake and no wall: each also holds for a key in an hour, several times as
large, and what cannot be counted while the counters are away is let through.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.policy.claims import REQUEST, SESSION, BudgetClaim, RateClaim, RateKind, StageLine
from data_plane.policy.conditions import Scene
from data_plane.policy.decision import Refusal, RuleNumbers
from data_plane.policy.limits import SESSION_IDLE_MS
from data_plane.policy.periods import HOUR_MS, NO_END_MS, UTC_HOURS, Period, period_at
from data_plane.policy.rules import SessionCap
from data_plane.policy.seen import event_part
from switchyard_contract.counters import FOR_EVER
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.reason import Reason
from switchyard_contract.v1 import usage_pb2 as usage

RETRY_IDLE_MS = HOUR_MS
"""The same request after so long is no retry."""
_EVER = Period(FOR_EVER, NO_END_MS)
DIGEST_BYTES = 8
CAPPED = frozenset({"generate", "compact"})
"""Operations that are turns of a session."""


class SignCap(msgspec.Struct, frozen=True):
    """What of a cap is judged by a request alone."""

    rule_id: str
    rule_name: str
    is_shadow: bool
    max_failed_tool_results: int
    max_same_tool_call: int
    contact: str


class SignVerdict(msgspec.Struct, frozen=True):
    """What a request's signs come to."""

    refusal: Refusal | None
    rules_seen: bytes
    """What is added to the usage event: the caps that were reached, shadows included."""


NOTHING_SHOWN = SignVerdict(None, b"")


def cap_rates(cap: SessionCap, scene: Scene, candidates: int, at_ms: int) -> Iterator[RateClaim]:
    """Claim a session's turns and the repeats of this request; and the same for the key in this hour."""
    key_id, hour = scene.caller.key_id, period_at(UTC_HOURS, at_ms)
    factor = cap.per_key_hour_factor
    if cap.max_turns:
        if scene.has_session:
            counter = f"turns/{key_id}/{SESSION}"
            yield _rate(cap, counter, cap.max_turns, _EVER, candidates, "turns", SESSION_IDLE_MS)
        if factor:
            yield _rate(cap, f"turns/{key_id}", cap.max_turns * factor, hour, candidates, "turns", 0)
    if cap.max_retries:
        # The first time is no retry.
        times = cap.max_retries + 1
        if scene.has_session:
            counter = f"retries/{key_id}/{SESSION}/{REQUEST}"
            yield _rate(cap, counter, times, _EVER, candidates, "retries", RETRY_IDLE_MS)
        if factor:
            yield _rate(cap, f"retries/{key_id}/{REQUEST}", times * factor, hour, candidates, "retries", 0)


def cap_costs(cap: SessionCap, scene: Scene, candidates: int, at_ms: int) -> Iterator[BudgetClaim]:
    """Claim a session's cost, and that of the key in this hour."""
    key_id = scene.caller.key_id
    if cap.max_cost and scene.has_session:
        yield _cost(cap, f"session/{key_id}/{SESSION}", cap.max_cost, _EVER, candidates)
    if cap.max_cost and cap.per_key_hour_factor:
        limit = NanoUsd(cap.max_cost * cap.per_key_hour_factor)
        yield _cost(cap, f"key/{key_id}", limit, period_at(UTC_HOURS, at_ms), candidates)


def sign_cap(cap: SessionCap, contact: str) -> SignCap | None:
    """The part of a cap that a request alone is judged by, if it has one.

    contact: whom to ask where the cap does not say.
    """
    if not cap.max_failed_tool_results and not cap.max_same_tool_call:
        return None
    return SignCap(
        cap.id,
        cap.name,
        cap.is_shadow,
        cap.max_failed_tool_results,
        cap.max_same_tool_call,
        cap.contact or contact,
    )


def judge_signs(caps: Sequence[SignCap], signs: SessionSigns) -> SignVerdict:
    """Say whether a session has gone astray, as its newest request shows it. As many as a cap says are let through."""
    if not caps or not (signs.failed_tool_results or signs.same_tool_call):
        return NOTHING_SHOWN
    refusal: Refusal | None = None
    seen: list[usage.RuleSeen] = []
    for cap, unit, used, limit in _reached(caps, signs):
        seen.append(
            usage.RuleSeen(
                kind="cap",
                id=cap.rule_id,
                name=cap.rule_name,
                is_shadow=cap.is_shadow,
                matched=True,
                limit=limit,
                verdict=f"{'would be ' if cap.is_shadow else ''}denied: {used} {unit.replace('_', ' ')} in a row",
            )
        )
        if refusal is None and not cap.is_shadow:
            numbers = RuleNumbers(
                kind="session_cap",
                rule_name=cap.rule_name,
                unit=unit,
                used=used,
                limit=limit,
                period="session",
                contact=cap.contact,
                rule_id=cap.rule_id,
            )
            refusal = Refusal(Reason.SESSION_CAP, numbers=numbers)
    return SignVerdict(refusal, event_part(seen)) if seen else NOTHING_SHOWN


def digest_for(signs: SessionSigns, exchange_id: str) -> bytes:
    """What repeats of a request are counted under. One that was not digested repeats none: the end of an exchange's id
    is chance.
    """
    return signs.request_digest or exchange_id[-DIGEST_BYTES:].encode()


def amount_of_cap(cap: SessionCap) -> int:
    """How much a cap lets through, to find the higher of two; without a cap on cost there is no end to it."""
    return cap.max_cost or 2**62


def _reached(caps: Iterable[SignCap], signs: SessionSigns) -> Iterator[tuple[SignCap, str, int, int]]:
    for cap in caps:
        if 0 < cap.max_failed_tool_results < signs.failed_tool_results:
            yield cap, "failed_tool_results", signs.failed_tool_results, cap.max_failed_tool_results
        if 0 < cap.max_same_tool_call < signs.same_tool_call:
            yield cap, "tool_calls", signs.same_tool_call, cap.max_same_tool_call


def _rate(
    cap: SessionCap, counter: str, limit: int, period: Period, candidates: int, noun: str, idle_ms: int
) -> RateClaim:
    return RateClaim(
        rule_id=cap.id,
        rule_name=cap.name,
        counter=counter,
        kind=RateKind.PERIOD,
        unit="requests",
        limit=limit,
        burst=limit,
        window_us=0,
        period=period.id,
        period_end_ms=period.end_ms,
        candidates=candidates,
        is_shadow=cap.is_shadow,
        contact=cap.contact,
        counts_session=SESSION in counter or REQUEST in counter,
        reason=Reason.RETRY_CAP if noun == "retries" else Reason.SESSION_CAP,
        source="cap",
        noun=noun,
        span="session" if period is _EVER else "hour",
        counts="" if period is _EVER else "this key",
        idle_ms=idle_ms,
    )


def _cost(cap: SessionCap, counter: str, limit: NanoUsd, period: Period, candidates: int) -> BudgetClaim:
    return BudgetClaim(
        budget_id=cap.id,
        budget_name=cap.name,
        counter=counter,
        period=period.id,
        period_end_ms=period.end_ms,
        limit=limit,
        soft=limit,
        hard=limit,
        downgrade_at=NanoUsd(-1),
        grace=NanoUsd(0),
        is_strict=False,
        outage="allow",
        allowance=NanoUsd(0),
        candidates=candidates,
        is_shadow=cap.is_shadow,
        contact=cap.contact,
        counts_session=SESSION in counter,
        reason=Reason.SESSION_CAP,
        is_cap=True,
        span="session" if period is _EVER else "hour",
        counts="" if period is _EVER else "this key",
        stages=(StageLine(limit, "block"),),
        idle_ms=SESSION_IDLE_MS if period is _EVER else 0,
    )
