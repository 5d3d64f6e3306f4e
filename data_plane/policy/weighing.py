"""All rules together, about one caller with one tool and one model: worked out once and kept until something changes.

`weigh` is asked once per way and again after `Claims.valid_until_ms`; what differs from one exchange to the next is
asked with `quote` (estimate.py), `judge_signs` (caps.py) and `offer` (downgrade.py). A no of `weigh` is one that needs
no counters.
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from data_plane.policy.access_rules import Sight, decide, judge, names_of
from data_plane.policy.access_words import refuse_model
from data_plane.policy.applying import Applying, find_applying
from data_plane.policy.budgets import block_line, budget_claim, downgrade_stage, next_raise_ms
from data_plane.policy.caps import CAPPED, SignCap, amount_of_cap, cap_costs, cap_rates, sign_cap
from data_plane.policy.claims import FIRST, SECOND, BudgetClaim, Claims, RateClaim, counter_for
from data_plane.policy.conditions import NEVER_MS, Rule, Scene, next_edge_ms, scene_of
from data_plane.policy.counting import Candidate, Counter, NoCounter, counter_in
from data_plane.policy.decision import Caller, Destination, Refusal
from data_plane.policy.downgrade import Dropped, Move, Second, facts_of, find_second
from data_plane.policy.estimate import tariff_of
from data_plane.policy.limits import counts_requests, provider_claims, rate_claim, rate_names
from data_plane.policy.metadata import tags_for_rules
from data_plane.policy.naming import clip, known_names
from data_plane.policy.routing import price_span
from data_plane.policy.rules import Budget, RateLimit, Rules, SessionCap
from data_plane.policy.seen import Sightings
from data_plane.policy.snapshot import OrganizationPolicy, PolicySnapshot
from switchyard_contract.counters import values_of
from switchyard_contract.price_choice import REFUSE
from switchyard_contract.reason import Reason

FREE_OPERATIONS = frozenset({"count_tokens"})
"""What providers do not charge for."""
_SUBSCRIPTION = "the caller's own subscription pays"


class Weighed(msgspec.Struct, frozen=True):
    """What rules come to for a way. Valid until `claims.valid_until_ms`, under the policy it was worked out from."""

    claims: Claims
    tags: Mapping[str, str]
    """What rules counted by: the caller's own tags before the request's."""
    first: Candidate
    second: Candidate | None
    """Where a downgrade would go, if an enforced budget has such a stage and its list a name that can be used."""
    move: Move | None
    """On what terms; given with `second`."""
    dropped: tuple[Dropped, ...]
    """Names of downgrades' lists that cannot be used, and why."""
    sign_caps: tuple[SignCap, ...]
    raised_sessions: frozenset[str]
    """Sessions whose own counter was raised: each is weighed by itself, naming it."""


def weigh(
    policy: PolicySnapshot,
    caller: Caller,
    destination: Destination,
    *,
    requested: str,
    protocol: str,
    operation: str,
    client: str,
    request_tags: Mapping[str, str],
    has_session: bool,
    at_ms: int,
    session_id: str = "",
) -> Weighed | Refusal:
    """Ask all rules about an exchange of this caller, with this tool, for this model.

    destination: where `requested` leads. request_tags: as its headers say. session_id: given only for one of
    `raised_sessions`; the answer is then about that session alone. Refuses with request_invalid (metadata),
    model_not_allowed or unpriced_model; the refusal says which rules were seen.
    """
    organization = policy.organizations.get(caller.organization_id)
    own = organization.policy if organization is not None else None
    if own is None:
        return Refusal(Reason.POLICY_PENDING, retry_after_s=2)
    tags = tags_for_rules(own.rules.metadata_keys, caller, request_tags)
    if isinstance(tags, Refusal):
        return tags
    scene = scene_of(caller, tags, protocol=protocol, client=client, at_ms=at_ms, has_session=has_session)
    seen = Sightings()
    refusal = _judge_access(policy, own.rules, scene, requested, destination, seen)
    if refusal is not None:
        return refusal
    scales = _Scales(policy, own, scene, protocol, operation, at_ms, session_id, seen)
    return scales.weigh(requested, destination)


def _judge_access(
    policy: PolicySnapshot, rules: Rules, scene: Scene, requested: str, destination: Destination, seen: Sightings
) -> Refusal | None:
    if not rules.access:
        return None
    sight = Sight(requested, destination.provider_name, destination.model, destination.region, destination.is_external)
    verdicts = judge(rules.access, scene, sight)
    seen.access(verdicts)
    is_allowed, denying = decide(verdicts)
    if is_allowed:
        return None
    return replace(refuse_model(policy, scene, sight, verdicts, denying), rules_seen=seen.write())


class _Scales:
    """One weighing, while it lasts."""

    def __init__(
        self,
        policy: PolicySnapshot,
        own: OrganizationPolicy,
        scene: Scene,
        protocol: str,
        operation: str,
        at_ms: int,
        session_id: str,
        seen: Sightings,
    ) -> None:
        self._policy, self._own, self._scene, self._protocol = policy, own, scene, protocol
        self._operation, self._at_ms, self._session_id, self._seen = operation, at_ms, session_id, seen
        self._until_ms = NEVER_MS
        self._costs_nothing = ""

    def weigh(self, requested: str, destination: Destination) -> Weighed | Refusal:
        rules = self._own.rules
        first = self._candidate(FIRST, requested, requested, destination)
        # What nobody's money is spent on is the business of no cap, and of those budgets alone that count it.
        self._costs_nothing = _costs_nothing(first, self._operation)
        applying, missed = self._budgets((first,))
        budgets_of_first = [each.rule for each in applying]
        refusal = self._refuse_unpriced(first, budgets_of_first)
        if refusal is not None:
            return refusal
        enforced = [budget for budget in budgets_of_first if not budget.is_shadow and downgrade_stage(budget)]
        found = Second(None, None, (), NEVER_MS)
        if enforced:
            found = find_second(self._policy, rules, self._scene, self._protocol, destination, enforced, self._at_ms)
        self._ends_by(found.until_ms)
        second = None
        if found.destination is not None and found.move is not None:
            second = self._candidate(SECOND, requested, found.move.asked, found.destination)
        candidates: tuple[Candidate, ...] = (first,)
        if second is not None:
            candidates = (first, second)
            applying, missed = self._budgets(candidates)
        caps = self._caps(candidates)
        rates = (*self._rate_claims(candidates), *self._account_claims(candidates), *self._cap_rates(caps))
        budgets = (*self._budget_claims(applying, found.move), *self._cap_costs(caps))
        for budget, why in missed:
            self._seen.missed("budget", budget, why)
        contact = self._scene.caller.contact
        sign_caps = []
        for each in caps:
            judged = sign_cap(each.rule, contact)
            if judged is not None:
                sign_caps.append(judged)
                self._seen.judged("cap", each.rule, "its tool calls are read from each request")
        rates = tuple(each if each.contact else msgspec.structs.replace(each, contact=contact) for each in rates)
        budgets = tuple(each if each.contact else msgspec.structs.replace(each, contact=contact) for each in budgets)
        for rate in rates:
            self._seen.rate(rate)
            self._ends_by(rate.period_end_ms)
        for cost in budgets:
            self._seen.budget(cost)
            self._ends_by(cost.period_end_ms)
        everything: tuple[Rule, ...] = (*rules.access, *rules.rates, *rules.budgets, *rules.caps)
        self._ends_by(next_edge_ms(everything, self._at_ms))
        caller = self._scene.caller
        claims = Claims(
            organization_id=caller.organization_id,
            key_id=caller.key_id,
            generation=rules.counter_generation,
            rates=rates,
            budgets=budgets,
            rules_seen=self._seen.write(),
            valid_until_ms=self._until_ms,
            model=clip(requested),
        )
        return Weighed(
            claims=claims,
            tags=self._scene.tags,
            first=first,
            second=second,
            move=found.move,
            dropped=found.dropped,
            sign_caps=tuple(sign_caps),
            raised_sessions=_raised_sessions(budgets_of_first, self._at_ms),
        )

    def _ends_by(self, instant_ms: int) -> None:
        """What is worked out holds until then at the longest; 0: it does not end there."""
        if instant_ms:
            self._until_ms = min(self._until_ms, instant_ms)

    def _candidate(self, bit: int, requested: str, asked: str, destination: Destination) -> Candidate:
        names = names_of(asked, destination.provider_name, destination.model)
        span = price_span(self._policy, destination.organization_id, destination.vendor, destination.model, self._at_ms)
        self._ends_by(span.until_ms)
        tariff = None
        if span.price is not None:
            record = self._own.models.get(f"{destination.provider_name}/{destination.model}")
            tariff = tariff_of(
                span.price,
                facts_of(self._own.rules, destination),
                context_tokens=record.context_tokens if record is not None else 0,
                max_output_tokens=record.max_output_tokens if record is not None else 0,
            )
        # "claude-x", "anthropic-main/claude-x" and "claude-x-20260101" are one wish and share a counter.
        plain = requested if requested in self._own.virtual_models else known_names(requested)[-1]
        return Candidate(
            bit=bit,
            asked=asked,
            destination=destination,
            names=names,
            request_names=names if requested in names else (requested, *names),
            request_model=plain,
            tariff=tariff,
        )

    def _refuse_unpriced(self, first: Candidate, budgets: list[Budget]) -> Refusal | None:
        """A budget that cannot see what is spent holds nothing, so money is not spent behind its back."""
        if first.tariff is not None:
            return None
        blocking = next((each for each in budgets if not each.is_shadow and block_line(each, each.limit) >= 0), None)
        contact = self._scene.caller.contact
        if blocking is not None:
            why, contact = f"the budget “{blocking.name}” counts money", blocking.contact or contact
        elif self._own.unknown_models == REFUSE and not self._costs_nothing:
            why = "models without a price are not served here"
        else:
            return None
        return Refusal(
            Reason.UNPRICED_MODEL,
            f"No price is known for “{clip(first.destination.model)}” at {first.destination.provider_name}, and {why}. "
            "Somebody who keeps prices can enter one, 0 included." + (f" Ask {contact}." if contact else ""),
            rules_seen=self._seen.write(),
        )

    def _rates(self, candidates: tuple[Candidate, ...]) -> list[Applying[RateLimit]]:
        return find_applying(
            self._own.rules.rates,
            self._scene,
            candidates,
            names_of=rate_names,
            counter_of=lambda rule, candidate: counter_in(
                rule.per, self._scene, candidate, is_of_requests=counts_requests(rule)
            ),
            amount_of=lambda rule: rule.limit,
            missed=lambda rule, why: self._seen.missed("rate", rule, why),
        )

    def _budgets(self, candidates: tuple[Candidate, ...]) -> tuple[list[Applying[Budget]], list[tuple[Budget, str]]]:
        """Those that apply, and those that do not with the reason."""
        if self._operation in FREE_OPERATIONS:
            return [], [(budget, self._costs_nothing) for budget in self._own.rules.budgets]
        missed: list[tuple[Budget, str]] = []
        applying = find_applying(
            self._own.rules.budgets,
            self._scene,
            candidates,
            names_of=lambda rule, candidate: candidate.names,
            counter_of=lambda rule, candidate: (
                _not_counted(rule, candidate) or counter_in(rule.per, self._scene, candidate)
            ),
            amount_of=lambda rule: rule.limit,
            missed=lambda rule, why: missed.append((rule, why)),
        )
        return applying, missed

    def _caps(self, candidates: tuple[Candidate, ...]) -> list[Applying[SessionCap]]:
        if self._operation not in CAPPED:
            return []
        return find_applying(
            self._own.rules.caps,
            self._scene,
            candidates,
            names_of=lambda rule, candidate: candidate.request_names,
            counter_of=lambda rule, candidate: Counter("", False, ""),
            amount_of=amount_of_cap,
            missed=lambda rule, why: self._seen.missed("cap", rule, why),
        )

    def _rate_claims(self, candidates: tuple[Candidate, ...]) -> list[RateClaim]:
        return [
            rate_claim(each.rule, counter, bits, self._at_ms)
            for each in self._rates(candidates)
            for counter, bits in each.counters
        ]

    def _account_claims(self, candidates: tuple[Candidate, ...]) -> list[RateClaim]:
        bits: dict[str, int] = {}
        for candidate in candidates:
            provider_id = candidate.destination.provider_id
            bits[provider_id] = bits.get(provider_id, 0) | candidate.bit
        providers = self._own.providers
        return [
            claim
            for provider_id, joint in bits.items()
            for claim in provider_claims(provider_id, providers[provider_id].name, providers[provider_id].limits, joint)
        ]

    def _cap_rates(self, caps: list[Applying[SessionCap]]) -> list[RateClaim]:
        return [
            claim
            for each in caps
            for _, bits in each.counters
            for claim in cap_rates(each.rule, self._scene, bits, self._at_ms)
        ]

    def _cap_costs(self, caps: list[Applying[SessionCap]]) -> list[BudgetClaim]:
        if self._costs_nothing:
            return []
        return [
            claim
            for each in caps
            for _, bits in each.counters
            for claim in cap_costs(each.rule, self._scene, bits, self._at_ms)
        ]

    def _budget_claims(self, applying: list[Applying[Budget]], move: Move | None) -> list[BudgetClaim]:
        claims = []
        for each in applying:
            budget = each.rule
            self._ends_by(next_raise_ms(budget, self._at_ms))
            # A shadow's stage moves nothing, but is decided all the same.
            wants = budget.is_shadow or (move is not None and budget.id in move.budget_ids)
            for counter, bits in each.counters:
                whole = counter_for(counter.text, self._session_id) if counter.is_open and self._session_id else None
                claims.append(
                    budget_claim(
                        budget,
                        counter,
                        bits,
                        self._at_ms,
                        may_downgrade=wants and bool(bits & FIRST),
                        raised=whole,
                    )
                )
        return claims


def _costs_nothing(first: Candidate, operation: str) -> str:
    """Why no money is spent, whatever the answer; "": it is."""
    if operation in FREE_OPERATIONS:
        return "free of charge"
    return _SUBSCRIPTION if first.destination.passthrough_caller else ""


def _not_counted(budget: Budget, candidate: Candidate) -> NoCounter | None:
    """Why a budget does not count what is spent there; None: it does."""
    if candidate.destination.passthrough_caller:
        return NoCounter(_SUBSCRIPTION) if budget.counts == "paid" else None
    return NoCounter("it counts what callers' own subscriptions would cost") if budget.counts == "shadow" else None


def _raised_sessions(budgets: list[Budget], at_ms: int) -> frozenset[str]:
    """Sessions whose counters have a raise of their own, now or later."""
    sessions = set()
    for budget in budgets:
        if "session" not in budget.per:
            continue
        place = budget.per.index("session")
        for each in budget.raises:
            values = values_of(each.counter)
            if each.until_ms > at_ms and len(values) == len(budget.per):
                sessions.add(values[place])
    return frozenset(sessions)
