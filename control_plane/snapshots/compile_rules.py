"""Rules to messages. Pure: the same rows at the same time give the same messages.

The time is that of the compilation: days, weeks and hours are told as instants from then on. Compiled again on the same
day the instants are the same, so nothing is published that says nothing new.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from control_plane.access.models import AccessRule
from control_plane.budgets.models import Bound, Budget, BudgetRaise, Counts, Outage
from control_plane.budgets.stages import Stage, loaded_stages, told_text
from control_plane.catalog.models import KnownModel
from control_plane.credentials.models import Provider
from control_plane.limits.models import RateLimit, SessionCap, Unit
from control_plane.rules.messages import Present, head_of
from control_plane.rules.models import MetadataKey, UnknownValue
from control_plane.rules.periods import PeriodRule, periods_of
from control_plane.usage.measuring import undated
from control_plane.usage.ratios import Facts
from switchyard_contract.v1 import snapshot_pb2

_UNITS = {
    "requests": snapshot_pb2.RATE_UNIT_REQUESTS,
    "tokens": snapshot_pb2.RATE_UNIT_TOKENS,
    "input_tokens": snapshot_pb2.RATE_UNIT_INPUT_TOKENS,
    "output_tokens": snapshot_pb2.RATE_UNIT_OUTPUT_TOKENS,
}
_BOUNDS = {Bound.STRICT: snapshot_pb2.BOUND_STRICT, Bound.CALIBRATED: snapshot_pb2.BOUND_CALIBRATED}
_OUTAGES = {
    Outage.DENY: snapshot_pb2.OUTAGE_POLICY_DENY,
    Outage.BOUNDED: snapshot_pb2.OUTAGE_POLICY_BOUNDED,
    Outage.ALLOW: snapshot_pb2.OUTAGE_POLICY_ALLOW,
}
_ACTIONS = {
    "alert": snapshot_pb2.STAGE_ACTION_ALERT,
    "downgrade": snapshot_pb2.STAGE_ACTION_DOWNGRADE,
    "block": snapshot_pb2.STAGE_ACTION_BLOCK,
}


@dataclass(frozen=True, slots=True)
class RuleRows:
    """The rules of an organization that are not off, and what they need to be told."""

    now: datetime
    access_rules: Sequence[AccessRule] = ()
    rate_limits: Sequence[RateLimit] = ()
    session_caps: Sequence[SessionCap] = ()
    budgets: Sequence[Budget] = ()
    raises: Sequence[BudgetRaise] = ()
    """That are in force or to come, of these budgets."""
    metadata_keys: Sequence[MetadataKey] = ()
    model_facts: Sequence[KnownModel] = ()
    """Of models that the organization's providers serve."""
    measured: Mapping[tuple[str, str], Facts] = field(default_factory=dict)
    """What was measured of models, by vendor and name without a date."""
    successors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """See `rules.messages.Present`."""


def compile_rules(rows: RuleRows, present_ids: frozenset[str]) -> snapshot_pb2.PolicyShard:
    """The part of a policy shard that rules fill. present_ids: of teams and principals that the shard names."""
    present = Present(present_ids, rows.successors)
    by_budget: dict[Any, list[BudgetRaise]] = {}
    for each in sorted(rows.raises, key=lambda row: row.id):
        by_budget.setdefault(each.budget_id, []).append(each)
    return snapshot_pb2.PolicyShard(
        access_rules=[_access_rule(row, rows.now, present) for row in _ordered(rows.access_rules)],
        rate_limits=[_rate_limit(row, rows.now, present) for row in _ordered(rows.rate_limits)],
        budgets=[_budget(row, by_budget.get(row.id, ()), rows.now, present) for row in _ordered(rows.budgets)],
        session_caps=[_session_cap(row, rows.now, present) for row in _ordered(rows.session_caps)],
        metadata_keys=[_metadata_key(row) for row in sorted(rows.metadata_keys, key=lambda row: row.name)],
        model_facts=[
            _model_facts(row, rows.measured)
            for row in sorted(rows.model_facts, key=lambda row: (row.vendor, row.model))
        ],
    )


def has_rules(policy: snapshot_pb2.PolicyShard) -> bool:
    """Whether a pod that knows no rules would let through what must not pass."""
    return bool(
        _narrows(policy.access_rules)
        or policy.rate_limits
        or policy.budgets
        or policy.session_caps
        or policy.metadata_keys
        or any(provider.HasField("limits") for provider in policy.providers)
    )


def _narrows(rules: Iterable[snapshot_pb2.AccessRule]) -> bool:
    """Whether access rules keep anything from anybody, or are watched as shadows.

    Without rules everything is allowed: the one that says just that, as on a first run, asks for no newer pods.
    """
    return any(
        rule.mode != snapshot_pb2.RULE_MODE_ENFORCE
        or rule.HasField("deny")
        or rule.when.ByteSize()
        or rule.when_not
        or not rule.HasField("allow")
        or rule.allow.ByteSize()
        for rule in rules
    )


def provider_limits(row: Provider) -> snapshot_pb2.ProviderLimits | None:
    """What protects an account; None: nothing does."""
    if not (row.max_concurrent_requests or row.max_requests_per_minute or row.max_tokens_per_minute):
        return None
    return snapshot_pb2.ProviderLimits(
        concurrent_requests=row.max_concurrent_requests,
        requests_per_minute=row.max_requests_per_minute,
        tokens_per_minute=row.max_tokens_per_minute,
    )


def _model_facts(row: KnownModel, measured: Mapping[tuple[str, str], Facts]) -> snapshot_pb2.ModelFacts:
    facts = measured.get((row.vendor, undated(row.model)), Facts())
    return snapshot_pb2.ModelFacts(
        vendor=row.vendor,
        model=row.model,
        context_tokens=row.context_tokens,
        max_output_tokens=row.max_output_tokens,
        expected_per_mille=facts.expected_per_mille,
        calibrated_per_mille=facts.calibrated_per_mille,
        bytes_per_token_milli=facts.bytes_per_token_milli,
    )


def _access_rule(row: AccessRule, now: datetime, present: Present) -> snapshot_pb2.AccessRule:
    return snapshot_pb2.AccessRule(**head_of(row, now, present), allow=_parts(row.allow), deny=_parts(row.deny))


def _parts(column: Mapping[str, Any] | None) -> snapshot_pb2.Parts | None:
    if column is None:
        return None
    return snapshot_pb2.Parts(
        models=column.get("models", ()),
        providers=column.get("providers", ()),
        regions=column.get("regions", ()),
        external=column.get("external"),
    )


def _rate_limit(row: RateLimit, now: datetime, present: Present) -> snapshot_pb2.RateLimit:
    told = snapshot_pb2.RateLimit(
        **head_of(row, now, present),
        group=row.group,
        per=row.per,
        limit=row.limit,
        burst=row.burst,
        contact=row.contact,
    )
    if row.unit == Unit.CONCURRENT_REQUESTS:
        told.unit = snapshot_pb2.RATE_UNIT_CONCURRENT_REQUESTS
        return told
    what, _, period = row.unit.partition("_per_")
    told.unit = _UNITS[what]
    told.periods.CopyFrom(periods_of(PeriodRule(period, row.timezone), now))
    return told


def _budget(row: Budget, raises: Sequence[BudgetRaise], now: datetime, present: Present) -> snapshot_pb2.Budget:
    return snapshot_pb2.Budget(
        **head_of(row, now, present),
        group=row.group,
        per=row.per,
        limit_nano_usd=row.limit_nano_usd,
        periods=periods_of(PeriodRule(row.period, row.timezone, row.anchor), now),
        stages=[_stage(stage) for stage in loaded_stages(row.stages)],
        bound=_BOUNDS[Bound(row.bound)],
        # What is meant where nothing is said stays unsaid: older pods read the same bytes.
        counts="" if row.counts == Counts.PAID else row.counts,
        on_counter_outage=_OUTAGES[Outage(row.on_counter_outage)],
        outage_allowance_nano_usd=row.limit_nano_usd * row.outage_allowance_percent // 100,
        grace_turn_nano_usd=row.grace_nano_usd,
        raises=[
            snapshot_pb2.Raise(
                id=each.id.hex,
                counter=each.counter,
                amount_nano_usd=each.amount_nano_usd,
                from_ms=_milliseconds(each.from_at),
                until_ms=_milliseconds(each.until_at),
            )
            for each in raises
        ],
        contact=row.contact,
    )


def _stage(stage: Stage) -> snapshot_pb2.Stage:
    return snapshot_pb2.Stage(
        at_percent=stage.at_percent,
        action=_ACTIONS[stage.action],
        to=stage.to,
        uncached_input_tokens_below=stage.uncached_input_tokens_below,
        cache_aware=stage.cache_aware and stage.action == "downgrade",
        told=[told_text(told) for told in stage.notify],
    )


def _session_cap(row: SessionCap, now: datetime, present: Present) -> snapshot_pb2.SessionCap:
    return snapshot_pb2.SessionCap(
        **head_of(row, now, present),
        group=row.group,
        max_cost_nano_usd=row.max_cost_nano_usd or 0,
        max_turns=row.max_turns or 0,
        max_request_retries=row.max_request_retries or 0,
        max_consecutive_failed_tool_results=row.max_consecutive_failed_tool_results or 0,
        max_repeats_of_same_tool_call=row.max_repeats_of_same_tool_call or 0,
        per_key_hour_factor=row.per_key_hour_factor,
        contact=row.contact,
    )


def _metadata_key(row: MetadataKey) -> snapshot_pb2.MetadataKey:
    return snapshot_pb2.MetadataKey(
        key=row.name,
        is_required=row.is_required,
        values=row.values,
        pattern=row.pattern,
        counts_unknown_as_other=row.unknown == UnknownValue.OTHER,
    )


def _ordered(rows: Sequence[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: row.id)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
