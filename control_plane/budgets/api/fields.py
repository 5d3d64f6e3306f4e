"""How budgets, raises and requests are written."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from control_plane.budgets.bound_finding import BoundFinder
from control_plane.budgets.models import (
    Bound,
    Budget,
    BudgetRaise,
    BudgetRequest,
    Counts,
    Grace,
    Outage,
    Period,
    RequestState,
)
from control_plane.budgets.stages import ACTIONS, HIGHEST_PERCENT, TOLD
from control_plane.rest.fields import HexId
from control_plane.rules.api.fields import PER_TEXT, RuleHeadChange, RuleHeadOut
from control_plane.rules.reading import usd
from switchyard_contract.quantity import NanoUsd

GROUP_TEXT = "Of the rules of a group only the most specific one that matches applies."
STAGE = {
    "type": "object",
    "required": ["do"],
    "properties": {
        "at": {"type": "integer", "minimum": 1, "maximum": HIGHEST_PERCENT, "description": "Percent of the limit."},
        "do": {"type": "string", "enum": list(ACTIONS)},
        "notify": {
            "type": "array",
            "items": {"type": "string"},
            "description": f"Who is told: {', '.join(TOLD)}, or channel:<name>.",
        },
        "to": {
            "type": "array",
            "items": {"type": "string"},
            "description": "downgrade: names to ask for instead; the first that can be used wins.",
        },
        "when": {"type": "object", "properties": {"uncached_input_tokens_below": {"type": "integer", "minimum": 1}}},
        "cache_aware": {
            "type": "boolean",
            "description": "downgrade: only where the cheaper model is cheaper for this turn, its cold cache counted.",
        },
    },
}


@extend_schema_field({"type": "array", "items": STAGE})
class StagesField(serializers.JSONField):
    """What happens as the budget fills, ascending."""


class BoundOut(serializers.Serializer[Any]):
    """By how much the budget may be overspent."""

    hard_usd = serializers.CharField(allow_null=True, help_text="Where requests are refused; null: it only warns.")
    at_most_usd = serializers.CharField(allow_null=True, help_text="What one counter can come to in a period.")
    concurrency = serializers.IntegerField(
        help_text="Exchanges at once that the number assumes: what was seen, at least 10."
    )
    concurrency_seen = serializers.IntegerField(
        allow_null=True,
        help_text="The most that ran at once in the last 14 days, of whoever one counter can count at most; null: "
        "nothing was measured yet, or it does not matter.",
    )
    assumption = serializers.CharField(help_text="What the number rests on.")


class BudgetOut(RuleHeadOut):
    group = serializers.CharField(help_text=GROUP_TEXT)
    team = serializers.CharField(allow_null=True, help_text="The team whose lead may change it.")
    limit_usd = serializers.CharField()
    limit_nano_usd = serializers.IntegerField()
    period = serializers.ChoiceField(Period.choices)
    timezone = serializers.CharField()
    anchor = serializers.IntegerField(allow_null=True, help_text="The day on which a week (1: Monday) or month begins.")
    per = serializers.ListField(child=serializers.CharField(), help_text=PER_TEXT)
    stages = StagesField()
    counts = serializers.ChoiceField(Counts.choices, help_text="Whose money it is about.")
    bound = serializers.ChoiceField(Bound.choices)
    bound_in_dollars = BoundOut()
    on_counter_outage = serializers.ChoiceField(Outage.choices)
    outage_allowance_percent = serializers.IntegerField()
    outage_allowance_usd = serializers.CharField(help_text="Of one counter and period, for all pods together.")
    grace = serializers.ChoiceField(Grace.choices)
    grace_usd = serializers.CharField(allow_null=True)

    def more(self, row: Budget) -> Mapping[str, Any]:
        finder: BoundFinder = self.context["bounds"]
        bound = finder.bound_of(row)
        allowance = NanoUsd(row.limit_nano_usd * row.outage_allowance_percent // 100)
        return {
            "limit_nano_usd": row.limit_nano_usd,
            "outage_allowance_usd": usd(allowance),
            "bound_in_dollars": {
                "hard_usd": None if bound.hard is None else usd(bound.hard),
                "at_most_usd": None if bound.at_most is None else usd(bound.at_most),
                "concurrency": bound.concurrency,
                "concurrency_seen": bound.seen.count if bound.seen else None,
                "assumption": bound.assumption,
            },
        }


class BudgetChange(RuleHeadChange):
    name = serializers.CharField(max_length=100, required=False)
    group = serializers.CharField(max_length=100, required=False, allow_blank=True, help_text=GROUP_TEXT)
    team = serializers.CharField(max_length=100, required=False, allow_null=True)
    limit_usd = serializers.CharField(max_length=30, required=False)
    period = serializers.ChoiceField(Period.choices, required=False)
    timezone = serializers.CharField(max_length=64, required=False)
    anchor = serializers.IntegerField(min_value=1, max_value=31, required=False, allow_null=True)
    per = serializers.ListField(child=serializers.CharField(max_length=200), required=False, help_text=PER_TEXT)
    stages = StagesField(required=False, help_text="Left out: alert the team lead at 80, block at 100.")
    counts = serializers.ChoiceField(Counts.choices, required=False)
    bound = serializers.ChoiceField(Bound.choices, required=False)
    on_counter_outage = serializers.ChoiceField(Outage.choices, required=False)
    outage_allowance_percent = serializers.IntegerField(min_value=0, max_value=100, required=False)
    grace = serializers.ChoiceField(Grace.choices, required=False)
    grace_usd = serializers.CharField(max_length=30, required=False, allow_null=True)


class BudgetIn(BudgetChange):
    name = serializers.CharField(max_length=100)
    limit_usd = serializers.CharField(max_length=30)
    period = serializers.ChoiceField(Period.choices)


COUNTER_TEXT = "Values in the order of the budget's `per`, percent-encoded, with / between them; empty: all counters."


class RaiseOut(serializers.Serializer[BudgetRaise]):
    id = HexId()
    counter = serializers.CharField(help_text=COUNTER_TEXT)
    amount_usd = serializers.SerializerMethodField()
    amount_nano_usd = serializers.IntegerField()
    from_at = serializers.DateTimeField()
    until_at = serializers.DateTimeField()
    reason = serializers.CharField()
    made_by = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_amount_usd(self, row: BudgetRaise) -> str:
        return usd(NanoUsd(row.amount_nano_usd))


class RaiseIn(serializers.Serializer[Any]):
    amount_usd = serializers.CharField(max_length=30)
    counter = serializers.CharField(max_length=1000, required=False, allow_blank=True, help_text=COUNTER_TEXT)
    from_at = serializers.DateTimeField(required=False, help_text="Left out: now.")
    until_at = serializers.DateTimeField(required=False, help_text="Left out: the end of the period.")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, help_text="What it is for.")


class BudgetRequestOut(serializers.Serializer[BudgetRequest]):
    id = HexId()
    budget = serializers.SerializerMethodField()
    counter = serializers.CharField(help_text=COUNTER_TEXT)
    requester = serializers.SerializerMethodField()
    amount_usd = serializers.SerializerMethodField()
    amount_nano_usd = serializers.IntegerField()
    purpose = serializers.CharField(source="reason", help_text="What it is for.")
    decision_id = serializers.CharField(help_text="The refusal it came from.")
    state = serializers.ChoiceField(RequestState.choices)
    decided_by = serializers.SerializerMethodField()
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField(help_text="What the person who decided said.")
    granted = RaiseOut(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_budget(self, row: BudgetRequest) -> str:
        return row.budget.name

    def get_requester(self, row: BudgetRequest) -> str:
        return row.requester.email

    def get_amount_usd(self, row: BudgetRequest) -> str:
        return usd(NanoUsd(row.amount_nano_usd))

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_decided_by(self, row: BudgetRequest) -> str | None:
        return None if row.decided_by is None else row.decided_by.email


class BudgetRequestIn(serializers.Serializer[Any]):
    budget = serializers.CharField(max_length=100, help_text="Its name or id.")
    counter = serializers.CharField(max_length=1000, required=False, allow_blank=True, help_text=COUNTER_TEXT)
    amount_usd = serializers.CharField(max_length=30)
    purpose = serializers.CharField(min_length=3, max_length=500, help_text="What it is for: whoever decides reads it.")
    decision_id = serializers.CharField(max_length=40, required=False, allow_blank=True)


class ApproveIn(serializers.Serializer[Any]):
    amount_usd = serializers.CharField(max_length=30, required=False, help_text="Left out: what was asked for.")
    until_at = serializers.DateTimeField(required=False, help_text="Left out: the end of the period.")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)


class DeclineIn(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)
