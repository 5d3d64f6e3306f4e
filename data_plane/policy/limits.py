"""Which rates apply to an exchange, and by which counters: rules, and what provider accounts take."""

from collections.abc import Iterable

from data_plane.policy.claims import FIRST, RateClaim, RateKind, RateUnit
from data_plane.policy.conditions import Scene
from data_plane.policy.counting import Candidate, Counter, counter_in
from data_plane.policy.periods import NO_END_MS, Period, period_at
from data_plane.policy.rules import ProviderLimits, RateLimit
from switchyard_contract.reason import Reason
from switchyard_contract.usage import TokenCounts

MINUTE_MS = 60_000
SESSION_IDLE_MS = 7 * 24 * 3_600_000
"""A session that nobody has gone on with for so long is over; its counters need not be kept."""


def counts_requests(rule: RateLimit) -> bool:
    """Whether a rule counts requests, which belong to the name asked for, and not tokens, which belong to a model."""
    return rule.unit == "requests"


def rate_names(rule: RateLimit, candidate: Candidate) -> tuple[str, ...]:
    """What the globs of a rule look at."""
    return candidate.request_names if counts_requests(rule) else candidate.names


def rate_claim(rule: RateLimit, counter: Counter, candidates: int, at_ms: int) -> RateClaim:
    """Claim one counter of a rate limit."""
    kind, window_us, period = RateKind.PERIOD, 0, Period("", NO_END_MS)
    if rule.is_concurrency:
        kind = RateKind.CONCURRENT
    elif rule.periods.unit in ("minute", "hour"):
        kind, window_us = RateKind.SLIDING, rule.periods.fixed_ms * 1000
    else:
        period = period_at(rule.periods, at_ms)
    return RateClaim(
        rule_id=rule.id,
        rule_name=rule.name,
        counter=counter.text,
        kind=kind,
        unit=rule.unit,
        limit=rule.limit,
        burst=rule.burst,
        window_us=window_us,
        period=period.id,
        period_end_ms=period.end_ms,
        candidates=candidates,
        is_shadow=rule.is_shadow,
        contact=rule.contact,
        counts_session=counter.is_open,
        reason=Reason.CONCURRENCY_LIMITED if rule.is_concurrency else Reason.RATE_LIMITED,
        noun=rule.unit,
        span="" if rule.is_concurrency else rule.periods.unit,
        timezone=rule.periods.timezone,
        counts=counter.whose,
        idle_ms=SESSION_IDLE_MS if counter.is_open and period.end_ms == NO_END_MS else 0,
    )


def rate_counter(rule: RateLimit, scene: Scene, candidate: Candidate) -> Counter | str:
    """The counter of a rate limit for an exchange, or why it has none."""
    found = counter_in(rule.per, scene, candidate, is_of_requests=counts_requests(rule))
    return found if isinstance(found, Counter) else found.why


def provider_claims(
    provider_id: str, provider_name: str, limits: ProviderLimits, candidates: int = FIRST
) -> Iterable[RateClaim]:
    """Claim what an account takes from all callers together."""
    if limits.concurrent_requests:
        yield _provider_claim(
            provider_id, provider_name, "concurrent_requests", limits.concurrent_requests, "requests", candidates
        )
    if limits.requests_per_minute:
        yield _provider_claim(
            provider_id, provider_name, "requests_per_minute", limits.requests_per_minute, "requests", candidates
        )
    if limits.tokens_per_minute:
        yield _provider_claim(
            provider_id, provider_name, "tokens_per_minute", limits.tokens_per_minute, "tokens", candidates
        )


def _provider_claim(
    provider_id: str, provider_name: str, counter: str, limit: int, unit: RateUnit, candidates: int
) -> RateClaim:
    is_concurrency = counter == "concurrent_requests"
    return RateClaim(
        rule_id=provider_id,
        rule_name=provider_name,
        counter=counter,
        kind=RateKind.CONCURRENT if is_concurrency else RateKind.SLIDING,
        unit=unit,
        limit=limit,
        burst=limit,
        window_us=0 if is_concurrency else MINUTE_MS * 1000,
        period="",
        period_end_ms=NO_END_MS,
        candidates=candidates,
        is_shadow=False,
        reason=Reason.CONCURRENCY_LIMITED if is_concurrency else Reason.RATE_LIMITED,
        source="provider_limit",
        noun=unit,
        span="" if is_concurrency else "minute",
    )


def tokens_counted(unit: RateUnit, tokens: TokenCounts) -> int:
    """What an answer comes to in a rate's unit: everything the model read, from a cache or not, and wrote."""
    match unit:
        case "requests":
            return 1
        case "input_tokens":
            return tokens.prompt
        case "output_tokens":
            return tokens.output + tokens.reasoning
        case "tokens":
            return tokens.total
