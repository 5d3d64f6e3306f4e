"""REST: `exchanges/{id}/explain`, every rule that was looked at and what it said."""

from typing import Any

from rest_framework import serializers

from control_plane.rest.fields import money
from control_plane.usage import entries
from control_plane.usage.api.cost_parts import CostOut, cost_out
from control_plane.usage.selectors.costs import cost_explained
from control_plane.usage.selectors.explanation import ChargeExplained, Explanation, RuleExplained
from control_plane.usage.verdicts import Verdict
from switchyard_contract.counters import MICRO


class RateNumbersOut(serializers.Serializer[Any]):
    counted = serializers.BooleanField()
    used = serializers.IntegerField(help_text="Of the limit, before this exchange.")
    retry_after_ms = serializers.IntegerField(help_text="0: it fitted; -1: it never will.")


class BudgetNumbersOut(serializers.Serializer[Any]):
    posted_nano_usd = serializers.IntegerField()
    posted_usd = serializers.CharField(help_text="Spent before this exchange.")
    expected_usd = serializers.CharField(help_text="Held by what ran then, as expected.")
    worst_usd = serializers.CharField(help_text="Held by what ran then, at its bound.")
    limit_usd = serializers.CharField()


class RuleExplainedOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="access, rate, budget, cap, provider_limit, metadata.")
    id = serializers.CharField()
    name = serializers.CharField()
    mode = serializers.ChoiceField(["enforce", "shadow"])
    matched = serializers.BooleanField()
    verdict = serializers.ChoiceField(
        [each.value for each in Verdict], help_text="A shadow's: what it would have said."
    )
    said = serializers.CharField(help_text="Decided without counters, or why it did not match.")
    decided = serializers.BooleanField(help_text="The exchange was refused by this rule.")
    counter = serializers.CharField()
    counter_text = serializers.CharField(help_text="Whose counter; empty: everybody's together.")
    limit = serializers.IntegerField(allow_null=True, help_text="Requests, tokens or nano-USD.")
    resets_at = serializers.DateTimeField(allow_null=True)
    candidates = serializers.ListField(child=serializers.CharField(), help_text="asked, downgrade.")
    rate = RateNumbersOut(allow_null=True)
    budget = BudgetNumbersOut(allow_null=True)


class ChargeOut(serializers.Serializer[Any]):
    budget = serializers.CharField(help_text="Its name today; empty: it is gone.")
    budget_id = serializers.CharField()
    counter = serializers.CharField()
    counter_text = serializers.CharField()
    period_starts_at = serializers.DateTimeField(allow_null=True, help_text="null: for ever.")
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()


class DowngradeOut(serializers.Serializer[Any]):
    budget_id = serializers.CharField()
    from_model = serializers.CharField()
    to_model = serializers.CharField()
    is_taken = serializers.BooleanField()
    stay_usd = serializers.CharField(help_text="What the turn was expected to cost where its cache is.")
    move_usd = serializers.CharField(help_text="And where it is not.")
    why = serializers.CharField()


class DroppedOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    why = serializers.CharField()


class AmountsOut(serializers.Serializer[Any]):
    expected_usd = serializers.CharField()
    calibrated_usd = serializers.CharField()
    worst_usd = serializers.CharField()


class SessionFactsOut(serializers.Serializer[Any]):
    turn = serializers.IntegerField()
    is_tool_loop = serializers.BooleanField()
    has_signed_thinking = serializers.BooleanField()
    failed_tool_results = serializers.IntegerField()
    same_tool_call = serializers.IntegerField()


class AttemptCostOut(CostOut):
    attempt = serializers.IntegerField()


class ExplanationOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    outcome = serializers.ChoiceField(entries.OUTCOMES)
    reason = serializers.CharField()
    told = serializers.CharField(
        help_text="What the caller was told in place of an answer, or of its rest: the gateway's own words, word for "
        "word. Empty: it was answered, or its person's name was taken out of the books."
    )
    requested_model = serializers.CharField()
    model = serializers.CharField()
    policy_version = serializers.CharField(help_text="<epoch>.<version>")
    is_told = serializers.BooleanField(help_text="false: the pod said nothing of its decision; it may be an older one.")
    decided_at = serializers.DateTimeField(allow_null=True, help_text="By the counter store's clock.")
    degraded = serializers.CharField(help_text="Which rule of an outage decided; empty: the counters did.")
    candidate = serializers.CharField(help_text="asked, downgrade; empty: the counters were not asked.")
    amounts = AmountsOut(allow_null=True, help_text="What was to be held for the exchange.")
    rules = RuleExplainedOut(many=True)
    would_have_refused = serializers.ListField(child=serializers.CharField(), help_text="Names of shadow rules.")
    downgrade = DowngradeOut(allow_null=True)
    dropped = DroppedOut(many=True, help_text="Candidates that were not taken, and why.")
    charges = ChargeOut(many=True, help_text="The counters that its cost was posted to.")
    session = SessionFactsOut(allow_null=True)
    costs = AttemptCostOut(many=True, help_text="How the cost of each priced attempt comes about.")


def explanation_out(explained: Explanation) -> dict[str, Any]:
    last, event, answer = explained.exchange.last, explained.event, explained.answer
    return {
        "id": explained.exchange.id,
        "outcome": last.outcome,
        "reason": last.reason,
        "told": explained.told,
        "requested_model": last.requested_model,
        "model": last.model,
        "policy_version": f"{last.policy_epoch}.{last.policy_version}",
        "is_told": explained.is_told,
        "decided_at": None if explained.decided_at is None else explained.decided_at.isoformat(),
        "degraded": event.degraded,
        "candidate": "" if answer is None else {1: "asked", 2: "downgrade"}.get(answer.candidate, ""),
        "amounts": None
        if answer is None
        else {
            "expected_usd": money(answer.expected * MICRO),
            "calibrated_usd": money(answer.calibrated * MICRO),
            "worst_usd": money(answer.worst * MICRO),
        },
        "rules": [_rule_out(rule) for rule in explained.rules],
        "would_have_refused": list(dict.fromkeys(rule.name for rule in explained.would_have_refused)),
        "downgrade": {
            "budget_id": event.downgrade.budget_id,
            "from_model": event.downgrade.from_model,
            "to_model": event.downgrade.to_model,
            "is_taken": event.downgrade.is_taken,
            "stay_usd": money(event.downgrade.stay_nano_usd),
            "move_usd": money(event.downgrade.move_nano_usd),
            "why": event.downgrade.why,
        }
        if event.HasField("downgrade")
        else None,
        "dropped": [{"model": each.model, "why": each.why} for each in event.dropped],
        "charges": [_charge_out(charge) for charge in explained.charges],
        "session": {
            "turn": event.session_facts.turn,
            "is_tool_loop": event.session_facts.is_tool_loop,
            "has_signed_thinking": event.session_facts.has_signed_thinking,
            "failed_tool_results": event.session_facts.failed_tool_results,
            "same_tool_call": event.session_facts.same_tool_call,
        }
        if event.HasField("session_facts")
        else None,
        "costs": [
            {"attempt": row.attempt, **cost_out(cost)}
            for row in explained.exchange.attempts
            if (cost := cost_explained(row)) is not None
        ],
    }


def _rule_out(rule: RuleExplained) -> dict[str, Any]:
    posted, limit = rule.posted_nano_usd, rule.limit
    return {
        "kind": rule.kind,
        "id": rule.id,
        "name": rule.name,
        "mode": "shadow" if rule.is_shadow else "enforce",
        "matched": rule.verdict is not Verdict.NOT_MATCHED,
        "verdict": rule.verdict.value,
        "said": rule.said,
        "decided": rule.decided,
        "counter": rule.counter,
        "counter_text": rule.counter_text,
        "limit": limit,
        "resets_at": None if rule.resets_at is None else rule.resets_at.isoformat(),
        "candidates": list(rule.candidates),
        "rate": None
        if rule.rate is None
        else {"counted": rule.rate.counted, "used": rule.rate.used, "retry_after_ms": rule.rate.retry_after_ms},
        "budget": None
        if posted is None
        else {
            "posted_nano_usd": posted,
            "posted_usd": money(posted),
            "expected_usd": money(rule.expected_nano_usd or 0),
            "worst_usd": money(rule.worst_nano_usd or 0),
            "limit_usd": money(limit or 0),
        },
    }


def _charge_out(charge: ChargeExplained) -> dict[str, Any]:
    return {
        "budget": charge.budget_name,
        "budget_id": charge.budget_id.hex,
        "counter": charge.counter,
        "counter_text": charge.counter_text,
        "period_starts_at": None if charge.period_at is None else charge.period_at.isoformat(),
        "cost_nano_usd": charge.nano_usd,
        "cost_usd": money(charge.nano_usd),
    }
