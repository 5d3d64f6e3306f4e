"""`GET /switchyard/v1/me`: who a key is, what it may use, and how its budgets and limits stand.

Which rules are about a key depends on tool, model and session; `?client=`, `?model=` and `?session=` narrow the answer.
Without a model every one that the key may use is asked about, and what is found is kept until a period or rule ends.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec

from data_plane.counters.standing import BudgetStanding, RateStanding, Standing
from data_plane.policy.access import ListedModel, fits, models_for
from data_plane.policy.claims import REQUEST, BudgetClaim, RateClaim, RateKind, percent_of, stage_at
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.routing import PATH_OF_PROTOCOL, resolve
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.policy.weighing import weigh
from data_plane.protocols.client import read_tool
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.standing import standing_of
from switchyard_contract.quantity import NanoUsd

MOST_MODELS = 200
"""So many are asked about at a time; what more a key may use is listed, and its rules are found by `?model=`."""
_REMEMBERED = 1024
_NANO = 1_000_000_000
_LONGEST_HINT = 200


class Counters(Protocol):
    """What is asked of the counters."""

    async def standing(
        self, organization_id: str, rates: Iterable[RateClaim], budgets: Iterable[BudgetClaim], session_id: str = ""
    ) -> Standing | None: ...


class _Asked(msgspec.Struct, frozen=True):
    """What narrows the answer."""

    key_id: str
    client: str
    model: str
    has_session: bool


class _Rules(msgspec.Struct):
    """The counters that a caller meets, each once. models: by the counter's name, for which of them."""

    policy: PolicySnapshot
    rates: tuple[RateClaim, ...]
    budgets: tuple[BudgetClaim, ...]
    models: dict[str, list[str]]
    weighed: int
    """For how many models rules were asked."""
    valid_until_ms: int


class CallerPage:
    """Writes the page; remembers for each key which counters are about it."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._known: dict[_Asked, _Rules] = {}

    async def write(self, policy: PolicySnapshot, caller: Caller, head: RequestHead, now_ms: int) -> bytes:
        """The JSON of the page; no secret of any kind is in it."""
        models = models_for(policy, caller)
        hints = parse_qs(head.query, max_num_fields=20) if head.query else {}
        session_id = _hint(hints, "session")
        asked = _Asked(
            caller.key_id,
            _hint(hints, "client") or read_tool(head).client.name,
            _hint(hints, "model"),
            bool(session_id),
        )
        rules = self._rules(policy, caller, head, models, asked, now_ms)
        standing = await self._counters.standing(caller.organization_id, rules.rates, rules.budgets, session_id)
        epoch, version = policy.policy_version(caller.organization_id)
        page: dict[str, Any] = {
            "organization": {"id": caller.organization_id, "name": caller.organization_name},
            "team": {"id": caller.team_id, "name": caller.team_name},
            caller.principal_kind: {"id": caller.principal_id, "name": caller.principal_name},
            "key": {"id": caller.key_id, "name": caller.key_name, "prefix": caller.key_prefix},
            "tags": dict(caller.tags),
            "models": [model.id for model in models],
            "contact": caller.contact,
            "policy_version": f"{epoch}.{version}",
            "counters": "ok" if standing is not None else "unavailable",
            **_rows(rules, standing),
        }
        return msgspec.json.encode(page)

    def _rules(
        self,
        policy: PolicySnapshot,
        caller: Caller,
        head: RequestHead,
        models: tuple[ListedModel, ...],
        asked: _Asked,
        now_ms: int,
    ) -> _Rules:
        known = self._known.get(asked)
        if known is not None and known.policy is policy and now_ms < known.valid_until_ms:
            return known
        names = [asked.model] if asked.model else [model.id for model in models[:MOST_MODELS]]
        if not names:
            # Accounts that take whatever fits a pattern list nothing; what a price is known for can be asked about.
            names = list(islice(_priced(policy, caller), MOST_MODELS))
        rules = find_rules(policy, caller, names, head, asked.client, has_session=asked.has_session, now_ms=now_ms)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[asked] = rules
        return rules


def find_rules(
    policy: PolicySnapshot,
    caller: Caller,
    models: Iterable[str],
    head: RequestHead,
    client: str,
    *,
    has_session: bool,
    now_ms: int,
) -> _Rules:
    """Ask the rules about each model, and put together what they count by; without shadows and limits of accounts."""
    rates: dict[str, RateClaim] = {}
    budgets: dict[str, BudgetClaim] = {}
    served: dict[str, list[str]] = {}
    valid_until_ms = now_ms + 60_000
    weighed = 0
    tags = standing_of(head).tags
    for model in models:
        found = _destination(policy, caller, model)
        if found is None:
            continue
        destination, protocol = found
        answer = weigh(
            policy,
            caller,
            destination,
            requested=model,
            protocol=protocol,
            operation="generate",
            client=client,
            request_tags=tags,
            has_session=has_session,
            at_ms=now_ms,
        )
        if isinstance(answer, Refusal):
            continue
        weighed += 1
        valid_until_ms = min(valid_until_ms, answer.claims.valid_until_ms or valid_until_ms)
        for rate in answer.claims.rates:
            # How often the same request came is counted by request: there is none here.
            if not rate.is_shadow and rate.source != "provider_limit" and REQUEST not in rate.counter:
                name = f"{rate.rule_id} {rate.counter}"
                rates[name] = rate
                served.setdefault(name, []).append(model)
        for budget in answer.claims.budgets:
            if not budget.is_shadow:
                name = f"{budget.budget_id} {budget.counter}"
                budgets[name] = budget
                served.setdefault(name, []).append(model)
    return _Rules(policy, tuple(rates.values()), tuple(budgets.values()), served, weighed, valid_until_ms)


def _priced(policy: PolicySnapshot, caller: Caller) -> Iterator[str]:
    organization = policy.organizations.get(caller.organization_id)
    if organization is None or organization.policy is None:
        return
    globs = tuple(glob for provider in organization.policy.providers.values() for glob in provider.models)
    for name in sorted({*policy.list_prices, *organization.policy.prices}):
        if fits(globs, name):
            yield name


def _destination(policy: PolicySnapshot, caller: Caller, model: str) -> tuple[Destination, str] | None:
    for protocol in PATH_OF_PROTOCOL:
        found = resolve(policy, caller, model, protocol)
        if not isinstance(found, Refusal):
            return found, protocol
    return None


def _hint(hints: dict[str, list[str]], name: str) -> str:
    return hints.get(name, [""])[0][:_LONGEST_HINT]


# Rows.


def _rows(rules: _Rules, standing: Standing | None) -> dict[str, list[dict[str, Any]]]:
    spent = standing.budgets if standing is not None else ()
    used = standing.rates if standing is not None else ()
    budgets = list(_budget_rows(rules, spent))
    rates = list(_rate_rows(rules, used))
    return {
        "budgets": [row for claim, row in budgets if not claim.is_cap],
        "rate_limits": [row for claim, row in rates if claim.source == "rate"],
        "session_caps": [
            *(row for claim, row in budgets if claim.is_cap),
            *(row for claim, row in rates if claim.source == "cap"),
        ],
    }


def _budget_rows(rules: _Rules, standing: tuple[BudgetStanding, ...]) -> Iterator[tuple[BudgetClaim, dict[str, Any]]]:
    known = {(each.claim.budget_id, each.claim.counter): each for each in standing}
    for claim in rules.budgets:
        row: dict[str, Any] = {
            "name": claim.budget_name,
            "counts": claim.counts,
            "period": claim.span,
            "timezone": claim.timezone,
            **_amount("limit", claim.limit),
            **_reset(claim.period_end_ms),
            "contact": claim.contact,
            **_models(rules, f"{claim.budget_id} {claim.counter}"),
        }
        found = known.get((claim.budget_id, claim.counter))
        if found is not None:
            row |= {
                **_amount("spent", found.posted),
                **_amount("reserved", found.reserved),
                **_amount("left", NanoUsd(claim.limit - found.posted)),
                "percent": percent_of(claim, found.posted),
                "stage": stage_at(claim, found.posted),
            }
        yield claim, row


def _rate_rows(rules: _Rules, standing: tuple[RateStanding, ...]) -> Iterator[tuple[RateClaim, dict[str, Any]]]:
    known = {(each.claim.rule_id, each.claim.counter): each.used for each in standing}
    for claim in rules.rates:
        row: dict[str, Any] = {
            "name": claim.rule_name,
            "counts": claim.counts,
            "unit": "concurrent_requests" if claim.kind is RateKind.CONCURRENT else claim.noun.replace(" ", "_"),
            "period": claim.span,
            "limit": claim.limit,
            "burst": claim.burst if claim.kind is RateKind.SLIDING else None,
            **_reset(claim.period_end_ms),
            "contact": claim.contact,
            **_models(rules, f"{claim.rule_id} {claim.counter}"),
        }
        used = known.get((claim.rule_id, claim.counter))
        if used is not None:
            row |= {"used": used, "left": max(0, claim.limit - used)}
        yield claim, row


def _amount(name: str, nano_usd: NanoUsd) -> dict[str, Any]:
    sign, amount = ("-", -nano_usd) if nano_usd < 0 else ("", nano_usd)
    return {f"{name}_usd": f"{sign}{amount // _NANO}.{amount % _NANO:09}", f"{name}_nano_usd": nano_usd}


def _reset(end_ms: int) -> dict[str, Any]:
    if not end_ms:
        return {"resets_at": None, "resets_at_ms": None}
    return {"resets_at": datetime.fromtimestamp(end_ms / 1000, UTC).isoformat(), "resets_at_ms": end_ms}


def _models(rules: _Rules, name: str) -> dict[str, list[str]]:
    """For which models, where it is not all of them."""
    served = rules.models[name]
    return {} if len(served) == rules.weighed else {"models": served}
