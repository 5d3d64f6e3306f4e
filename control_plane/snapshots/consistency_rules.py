"""What must hold of the rules in a policy shard before it is signed. Pure.

Most was refused when a rule was saved. What follows can arise later: somebody changed teams or roles, a provider went.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from control_plane.rules.crowding import crowd_text
from control_plane.rules.overlap import Contender, Everybody, KeyFacts, crowd_of
from control_plane.snapshots.consistency import Finding, twice
from switchyard_contract.counters import MAX_BUDGETS, MAX_RATES, PER, PER_METADATA
from switchyard_contract.v1 import snapshot_pb2

KNOWN_AHEAD = timedelta(days=35)


class _Rule(Protocol):
    id: str
    name: str
    mode: snapshot_pb2.RuleMode

    @property
    def when(self) -> snapshot_pb2.Condition: ...
    @property
    def when_not(self) -> Sequence[snapshot_pb2.Condition]: ...


class _Counted(_Rule, Protocol):
    group: str

    @property
    def per(self) -> Sequence[str]: ...


def check_rules(shard: snapshot_pb2.PolicyShard, key_owners: Mapping[str, KeyFacts], now: datetime) -> list[Finding]:
    """Every rule can be obeyed, and not more of them match one exchange than can be counted."""
    kinds: Mapping[str, Sequence[_Rule]] = {
        "access_rules": shard.access_rules,
        "rate_limits": shard.rate_limits,
        "budgets": shard.budgets,
        "session_caps": shard.session_caps,
    }
    findings: list[Finding] = []
    known = {f"team:{row.id}" for row in shard.teams} | {
        f"{'user' if row.kind == snapshot_pb2.PRINCIPAL_KIND_USER else 'service_account'}:{row.id}"
        for row in shard.principals
    }
    for path, rules in kinds.items():
        findings.extend(twice(path, (rule.id for rule in rules)))
        for rule in rules:
            findings.extend(_check_conditions(f"{path}/{rule.name}", (rule.when, *rule.when_not), known))
            if any(condition.ByteSize() == 0 for condition in rule.when_not):
                findings.append(Finding(f"{path}/{rule.name}", "excludes every exchange"))
    findings.extend(twice("metadata_keys", (row.key for row in shard.metadata_keys)))
    for budget in shard.budgets:
        findings.extend(_check_budget(f"budgets/{budget.name}", budget, now))
    for limit in shard.rate_limits:
        findings.extend(_check_rate_limit(f"rate_limits/{limit.name}", limit, now))
    everybody = _everybody(shard, key_owners)
    findings.extend(_check_crowd("budgets", shard.budgets, everybody, MAX_BUDGETS, "budgets"))
    findings.extend(_check_crowd("rate_limits", shard.rate_limits, everybody, MAX_RATES, "rate limits"))
    return findings


def _check_conditions(path: str, conditions: Iterable[snapshot_pb2.Condition], known: set[str]) -> Iterator[Finding]:
    for condition in conditions:
        for subject in condition.subjects:
            if subject.partition(":")[0] in ("team", "user", "service_account") and subject not in known:
                yield Finding(path, f"names {subject}, which is not there")
        if any(not match.values for match in condition.metadata):
            yield Finding(path, "names a key of metadata without a value")
        if any(before.end_ms >= span.start_ms for before, span in pairwise(condition.hours.spans)):
            yield Finding(path, "has hours that run into each other")


def _check_budget(path: str, budget: snapshot_pb2.Budget, now: datetime) -> Iterator[Finding]:
    if budget.limit_nano_usd <= 0:
        yield Finding(path, "has no limit above 0")
    percents = [stage.at_percent for stage in budget.stages]
    if percents != sorted(percents) or not all(percents):
        yield Finding(path, "has stages that do not ascend")
    for stage in budget.stages:
        if (stage.action == snapshot_pb2.STAGE_ACTION_DOWNGRADE) != bool(stage.to):
            yield Finding(path, "downgrades to nothing, or names models where it does not")
    if any(each.until_ms <= each.from_ms or each.amount_nano_usd <= 0 for each in budget.raises):
        yield Finding(path, "has a raise of nothing")
    yield from _check_per(path, budget.per)
    yield from _check_periods(path, budget.periods, now)


def _check_rate_limit(path: str, limit: snapshot_pb2.RateLimit, now: datetime) -> Iterator[Finding]:
    if limit.limit <= 0 or limit.unit == snapshot_pb2.RATE_UNIT_UNSPECIFIED:
        yield Finding(path, "has no limit above 0, or counts nothing")
    yield from _check_per(path, limit.per)
    if limit.unit != snapshot_pb2.RATE_UNIT_CONCURRENT_REQUESTS:
        yield from _check_periods(path, limit.periods, now)


def _check_per(path: str, per: Sequence[str]) -> Iterator[Finding]:
    if len(set(per)) != len(per):
        yield Finding(path, "counts by the same twice")
    for what in per:
        if what not in PER and not (what.startswith(PER_METADATA) and what != PER_METADATA):
            yield Finding(path, f"counts by {what}, which is nothing")


def _check_periods(path: str, periods: snapshot_pb2.Periods, now: datetime) -> Iterator[Finding]:
    if periods.fixed_ms or periods.unit == "lifetime":
        return
    starts = list(periods.starts_ms)
    now_ms = int(now.timestamp() * 1000)
    ahead_ms = now_ms + int(KNOWN_AHEAD.total_seconds() * 1000)
    if len(starts) < 2 or starts != sorted(set(starts)):
        yield Finding(path, "has periods that do not tile time")
    elif starts[0] > now_ms or starts[-1] < ahead_ms:
        yield Finding(path, f"has periods for less than {KNOWN_AHEAD.days} days from now on")


def _everybody(shard: snapshot_pb2.PolicyShard, key_owners: Mapping[str, KeyFacts]) -> Everybody:
    names = {provider.id: provider.name for provider in shard.providers}
    return Everybody(
        roles={row.id: row.role for row in shard.principals if row.role},
        keys=key_owners,
        virtual_names=[
            (route.name, f"{names.get(target.provider_id, '')}/{target.model}", target.model)
            for route in shard.virtual_models
            for target in route.targets
        ],
    )


def _check_crowd(path: str, rules: Sequence[_Counted], everybody: Everybody, most: int, what: str) -> Iterator[Finding]:
    contenders = [
        Contender(
            name=rule.name,
            group=rule.group,
            is_shadow=rule.mode == snapshot_pb2.RULE_MODE_SHADOW,
            when=rule.when,
            when_not=rule.when_not,
            per=rule.per,
        )
        for rule in rules
    ]
    if found := crowd_of(contenders, everybody, most):
        yield Finding(path, crowd_text(found, most, what))
