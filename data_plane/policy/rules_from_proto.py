"""From rule messages to rules. Raises InvalidSnapshot, naming the field, for whatever cannot be obeyed as it is said.

The control plane refuses the same faults when a rule is saved; a pod checks again, because a rule that is read
otherwise than it was meant is worse than a policy that is refused as a whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import re2

from data_plane.policy.claims import Outage, RateUnit
from data_plane.policy.conditions_from_proto import (
    MAX_NAMES,
    Known,
    check_exact,
    check_money,
    read_condition,
    read_conditions,
    read_globs,
    read_per,
    read_periods,
)
from data_plane.policy.periods import Periods
from data_plane.policy.rules import (
    AccessRule,
    Budget,
    Counts,
    MetadataKey,
    ModelFacts,
    Parts,
    Pattern,
    ProviderLimits,
    Raise,
    RateLimit,
    Rules,
    SessionCap,
    Stage,
    StageAction,
)
from data_plane.policy.snapshot import InvalidSnapshot
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.v1 import snapshot_pb2 as pb

SLIDING_UNITS = frozenset({"minute", "hour"})
BUDGET_STATUSES = frozenset({"", "auto", "429"})
MAX_RULES = 2_000
"""Of each kind in an organization."""
MAX_PERCENT = 1_000
_PATTERN = re2.Options()
_PATTERN.log_errors = False

_RATE_UNITS: Mapping[int, RateUnit] = {
    pb.RATE_UNIT_REQUESTS: "requests",
    pb.RATE_UNIT_TOKENS: "tokens",
    pb.RATE_UNIT_INPUT_TOKENS: "input_tokens",
    pb.RATE_UNIT_OUTPUT_TOKENS: "output_tokens",
    pb.RATE_UNIT_CONCURRENT_REQUESTS: "requests",
}
_OUTAGES: Mapping[int, Outage] = {
    pb.OUTAGE_POLICY_UNSPECIFIED: "bounded",
    pb.OUTAGE_POLICY_DENY: "deny",
    pb.OUTAGE_POLICY_BOUNDED: "bounded",
    pb.OUTAGE_POLICY_ALLOW: "allow",
}
_COUNTS: Mapping[str, Counts] = {"": "paid", "paid": "paid", "shadow": "shadow", "both": "both"}
_ACTIONS: Mapping[int, StageAction] = {
    pb.STAGE_ACTION_ALERT: "alert",
    pb.STAGE_ACTION_DOWNGRADE: "downgrade",
    pb.STAGE_ACTION_BLOCK: "block",
}


class _Head(Protocol):
    """What all rules begin with."""

    id: str
    name: str
    mode: pb.RuleMode

    @property
    def when(self) -> pb.Condition: ...
    @property
    def when_not(self) -> Sequence[pb.Condition]: ...


_M = TypeVar("_M", bound=_Head)
_R = TypeVar("_R")


def read_rules(where: str, shard: pb.PolicyShard, known: Known) -> Rules:
    """Read all rules of a shard. where: the shard's name, for people."""
    if shard.budget_status not in BUDGET_STATUSES:
        raise InvalidSnapshot(f"{where}.budget_status", f"is {shard.budget_status!r}")
    return Rules(
        access=_read_all(f"{where}.access_rules", shard.access_rules, known, _read_access_rule),
        rates=_read_all(f"{where}.rate_limits", shard.rate_limits, known, _read_rate_limit),
        budgets=_read_all(f"{where}.budgets", shard.budgets, known, _read_budget),
        caps=_read_all(f"{where}.session_caps", shard.session_caps, known, _read_session_cap),
        metadata_keys=_read_metadata_keys(f"{where}.metadata_keys", shard.metadata_keys),
        model_facts=_read_model_facts(f"{where}.model_facts", shard.model_facts),
        counter_generation=shard.counter_generation,
        always_429=shard.budget_status == "429",
    )


def read_provider_limits(where: str, limits: pb.ProviderLimits) -> ProviderLimits:
    """Read what an account takes."""
    for name in ("concurrent_requests", "requests_per_minute", "tokens_per_minute"):
        check_exact(f"{where}.{name}", getattr(limits, name))
    return ProviderLimits(limits.concurrent_requests, limits.requests_per_minute, limits.tokens_per_minute)


def _read_all(where: str, messages: Sequence[_M], known: Known, read: Callable[[str, _M, Known], _R]) -> tuple[_R, ...]:
    if len(messages) > MAX_RULES:
        raise InvalidSnapshot(where, f"holds {len(messages)} rules; {MAX_RULES} are allowed")
    rules: list[tuple[tuple[str, str], _R]] = []
    ids: set[str] = set()
    for message in messages:
        here = f"{where}[{message.name or message.id}]"
        if not message.id or message.id in ids:
            raise InvalidSnapshot(f"{here}.id", "is empty or there twice")
        ids.add(message.id)
        if not message.name:
            raise InvalidSnapshot(f"{here}.name", "is empty")
        if message.mode not in (pb.RULE_MODE_ENFORCE, pb.RULE_MODE_SHADOW):
            raise InvalidSnapshot(f"{here}.mode", "is neither enforce nor shadow")
        rules.append(((message.name, message.id), read(here, message, known)))
    return tuple(rule for _, rule in sorted(rules, key=lambda each: each[0]))


def _is_shadow(message: _Head) -> bool:
    return message.mode == pb.RULE_MODE_SHADOW


def _read_access_rule(where: str, rule: pb.AccessRule, known: Known) -> AccessRule:
    deny = _read_parts(f"{where}.deny", rule.deny)
    allow = _read_parts(f"{where}.allow", rule.allow)
    return AccessRule(
        id=rule.id,
        name=rule.name,
        is_shadow=_is_shadow(rule),
        when=read_condition(f"{where}.when", rule.when, known),
        when_not=read_conditions(f"{where}.when_not", rule.when_not, known),
        # A rule that only says what it denies must not grant everything else by the way.
        allow=None if deny != Parts() and not rule.HasField("allow") else allow,
        deny=deny,
    )


def _read_parts(where: str, parts: pb.Parts) -> Parts:
    return Parts(
        models=read_globs(f"{where}.models", parts.models),
        providers=read_globs(f"{where}.providers", parts.providers),
        regions=read_globs(f"{where}.regions", parts.regions),
        external=parts.external if parts.HasField("external") else None,
    )


def _read_rate_limit(where: str, rule: pb.RateLimit, known: Known) -> RateLimit:
    unit = _RATE_UNITS.get(rule.unit)
    if unit is None:
        raise InvalidSnapshot(f"{where}.unit", "is no unit of a rate")
    if rule.limit == 0:
        raise InvalidSnapshot(f"{where}.limit", "is 0")
    check_exact(f"{where}.limit", rule.limit)
    check_exact(f"{where}.burst", rule.burst)
    is_concurrency = rule.unit == pb.RATE_UNIT_CONCURRENT_REQUESTS
    periods = Periods() if is_concurrency else read_periods(f"{where}.periods", rule.periods)
    if periods.unit in SLIDING_UNITS and not periods.fixed_ms:
        raise InvalidSnapshot(f"{where}.periods.fixed_ms", "is 0, and a sliding rate needs a window")
    return RateLimit(
        id=rule.id,
        name=rule.name,
        is_shadow=_is_shadow(rule),
        when=read_condition(f"{where}.when", rule.when, known),
        when_not=read_conditions(f"{where}.when_not", rule.when_not, known),
        group=rule.group,
        per=read_per(f"{where}.per", rule.per),
        unit=unit,
        is_concurrency=is_concurrency,
        limit=rule.limit,
        burst=rule.burst or rule.limit,
        periods=periods,
        contact=rule.contact,
    )


def _read_budget(where: str, rule: pb.Budget, known: Known) -> Budget:
    for name in ("limit_nano_usd", "outage_allowance_nano_usd", "grace_turn_nano_usd"):
        check_money(f"{where}.{name}", getattr(rule, name))
    outage = _OUTAGES.get(rule.on_counter_outage)
    if outage is None:
        raise InvalidSnapshot(f"{where}.on_counter_outage", "is neither deny, bounded nor allow")
    if rule.bound not in (pb.BOUND_UNSPECIFIED, pb.BOUND_STRICT, pb.BOUND_CALIBRATED):
        raise InvalidSnapshot(f"{where}.bound", "is neither strict nor calibrated")
    counts = _COUNTS.get(rule.counts)
    if counts is None:
        raise InvalidSnapshot(f"{where}.counts", "is neither paid, shadow nor both")
    return Budget(
        id=rule.id,
        name=rule.name,
        is_shadow=_is_shadow(rule),
        when=read_condition(f"{where}.when", rule.when, known),
        when_not=read_conditions(f"{where}.when_not", rule.when_not, known),
        group=rule.group,
        per=read_per(f"{where}.per", rule.per),
        limit=NanoUsd(rule.limit_nano_usd),
        periods=read_periods(f"{where}.periods", rule.periods),
        stages=_read_stages(f"{where}.stages", rule.stages),
        is_strict=rule.bound == pb.BOUND_STRICT,
        outage=outage,
        outage_allowance=NanoUsd(rule.outage_allowance_nano_usd),
        grace=NanoUsd(rule.grace_turn_nano_usd),
        raises=tuple(_read_raise(f"{where}.raises[{place}]", each) for place, each in enumerate(rule.raises)),
        contact=rule.contact,
        counts=counts,
    )


def _read_stages(where: str, stages: Iterable[pb.Stage]) -> tuple[Stage, ...]:
    read: list[Stage] = []
    for place, stage in enumerate(stages):
        here = f"{where}[{place}]"
        action = _ACTIONS.get(stage.action)
        if action is None:
            raise InvalidSnapshot(f"{here}.action", "is neither alert, downgrade nor block")
        if not 0 < stage.at_percent <= MAX_PERCENT:
            raise InvalidSnapshot(f"{here}.at_percent", f"is {stage.at_percent}")
        if read and stage.at_percent < read[-1].at_percent:
            raise InvalidSnapshot(f"{here}.at_percent", f"is {stage.at_percent}, below the stage before it")
        if action == "downgrade" and not stage.to:
            raise InvalidSnapshot(f"{here}.to", "is empty")
        if len(set(stage.to)) != len(stage.to) or not all(stage.to) or len(stage.to) > MAX_NAMES:
            raise InvalidSnapshot(f"{here}.to", "holds an empty name, one twice, or too many")
        read.append(
            Stage(
                at_percent=stage.at_percent,
                action=action,
                to=tuple(stage.to),
                uncached_input_tokens_below=stage.uncached_input_tokens_below,
                cache_aware=stage.cache_aware,
                told=tuple(stage.told),
            )
        )
    return tuple(read)


def _read_raise(where: str, message: pb.Raise) -> Raise:
    check_money(f"{where}.amount_nano_usd", message.amount_nano_usd)
    if message.until_ms <= message.from_ms:
        raise InvalidSnapshot(f"{where}.until_ms", "is not after its beginning")
    amount = NanoUsd(message.amount_nano_usd)
    return Raise(message.id, message.counter, amount, message.from_ms, message.until_ms)


def _read_session_cap(where: str, rule: pb.SessionCap, known: Known) -> SessionCap:
    check_money(f"{where}.max_cost_nano_usd", rule.max_cost_nano_usd)
    check_money(f"{where}.max_cost_nano_usd", rule.max_cost_nano_usd * max(rule.per_key_hour_factor, 1))
    for name in (
        "max_turns",
        "max_request_retries",
        "max_consecutive_failed_tool_results",
        "max_repeats_of_same_tool_call",
    ):
        check_exact(f"{where}.{name}", getattr(rule, name) * max(rule.per_key_hour_factor, 1))
    return SessionCap(
        id=rule.id,
        name=rule.name,
        is_shadow=_is_shadow(rule),
        when=read_condition(f"{where}.when", rule.when, known),
        when_not=read_conditions(f"{where}.when_not", rule.when_not, known),
        group=rule.group,
        max_cost=NanoUsd(rule.max_cost_nano_usd),
        max_turns=rule.max_turns,
        max_retries=rule.max_request_retries,
        max_failed_tool_results=rule.max_consecutive_failed_tool_results,
        max_same_tool_call=rule.max_repeats_of_same_tool_call,
        per_key_hour_factor=rule.per_key_hour_factor,
        contact=rule.contact,
    )


def _read_metadata_keys(where: str, messages: Sequence[pb.MetadataKey]) -> tuple[MetadataKey, ...]:
    keys: dict[str, MetadataKey] = {}
    for message in messages:
        here = f"{where}[{message.key}]"
        if not message.key or message.key in keys:
            raise InvalidSnapshot(f"{here}.key", "is empty or there twice")
        if len(message.values) > MAX_NAMES:
            raise InvalidSnapshot(f"{here}.values", f"holds {len(message.values)} values; {MAX_NAMES} are allowed")
        keys[message.key] = MetadataKey(
            key=message.key,
            is_required=message.is_required,
            values=frozenset(message.values),
            pattern=_read_pattern(f"{here}.pattern", message.pattern) if message.pattern else None,
            pattern_text=message.pattern,
            counts_unknown_as_other=message.counts_unknown_as_other,
        )
    return tuple(keys[key] for key in sorted(keys))


def _read_pattern(where: str, text: str) -> Pattern:
    try:
        pattern: Pattern = re2.compile(text, _PATTERN)
    except re2.error as failure:
        why = failure.args[0] if failure.args else "cannot be read"
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise InvalidSnapshot(where, f"is no RE2 expression: {said}") from failure
    return pattern


def _read_model_facts(where: str, messages: Iterable[pb.ModelFacts]) -> Mapping[tuple[str, str], ModelFacts]:
    facts: dict[tuple[str, str], ModelFacts] = {}
    for message in messages:
        here = f"{where}[{message.vendor}/{message.model}]"
        if not message.model or (message.vendor, message.model) in facts:
            raise InvalidSnapshot(f"{here}.model", "is empty or there twice")
        if message.bytes_per_token_milli and message.bytes_per_token_milli < 1000:
            raise InvalidSnapshot(f"{here}.bytes_per_token_milli", "says that a byte makes more than a token")
        if message.retired_at_ms < 0:
            raise InvalidSnapshot(f"{here}.retired_at_ms", "is negative")
        for name in ("expected_per_mille", "calibrated_per_mille"):
            if getattr(message, name) > 1000:
                raise InvalidSnapshot(f"{here}.{name}", "is more than the worst case")
        facts[message.vendor, message.model] = ModelFacts(
            context_tokens=message.context_tokens,
            max_output_tokens=message.max_output_tokens,
            retired_at_ms=message.retired_at_ms,
            bytes_per_token_milli=message.bytes_per_token_milli or 1000,
            expected_per_mille=message.expected_per_mille,
            calibrated_per_mille=message.calibrated_per_mille,
        )
    return facts
