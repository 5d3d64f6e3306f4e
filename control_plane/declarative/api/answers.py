"""How plans and refusals are written."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from control_plane.declarative.differences import Action, FieldChange, ObjectChange
from control_plane.declarative.effect import Effect
from control_plane.declarative.kinds.kind import Key
from control_plane.declarative.nodes import Problem, RefusedPolicy
from control_plane.declarative.plan import Plan
from control_plane.declarative.versions import etag_of_policy
from control_plane.rest.problems import PROBLEM_JSON, problem

MOST_SHIFTS = 200


class AffectedKeyOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    name = serializers.CharField()


class FieldChangeOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    before_text = serializers.CharField(help_text="The same for people.")
    after_text = serializers.CharField()


class ObjectChangeOut(AffectedKeyOut):
    action = serializers.ChoiceField([str(action) for action in Action])
    fields = FieldChangeOut(many=True)  # type: ignore[assignment]  # a field named so
    document = serializers.IntegerField(help_text="From 1; 0: it is in no document.")
    line = serializers.IntegerField()
    why = serializers.CharField(help_text="Why an object is kept that was to be taken away.")


class DeferredOut(AffectedKeyOut):
    why = serializers.CharField()
    document = serializers.IntegerField()
    line = serializers.IntegerField()


class GapOut(AffectedKeyOut):
    field = serializers.CharField()
    message = serializers.CharField()


class ModelShiftOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    keys = serializers.IntegerField()
    used_last_day = serializers.IntegerField(help_text="Of these keys, how many asked for it in the last 24 hours.")
    used_last_week = serializers.IntegerField()
    teams = serializers.ListField(child=serializers.CharField())
    people = serializers.ListField(child=serializers.CharField(), help_text="Owners of these keys; at most 20.")
    people_count = serializers.IntegerField()


class DestinationShiftOut(serializers.Serializer[Any]):
    model = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()
    used_last_day = serializers.IntegerField()
    used_last_week = serializers.IntegerField()


class KeyShiftOut(serializers.Serializer[Any]):
    keys = serializers.IntegerField()
    used_last_day = serializers.IntegerField()
    used_last_week = serializers.IntegerField()
    owners = serializers.ListField(child=serializers.CharField())
    owner_count = serializers.IntegerField()


class EffectOut(serializers.Serializer[Any]):
    sentences = serializers.ListField(child=serializers.CharField())
    lost = ModelShiftOut(many=True)
    gained = ModelShiftOut(many=True)
    moved = DestinationShiftOut(many=True)
    ended = KeyShiftOut(allow_null=True, help_text="Keys that stop working.")
    revived = KeyShiftOut(allow_null=True)
    without_credential = serializers.ListField(child=serializers.CharField())
    shards = serializers.ListField(child=serializers.CharField(), help_text="What pods get anew.")


class PlanOut(serializers.Serializer[Any]):
    has_changes = serializers.BooleanField()
    is_applied = serializers.BooleanField()
    summary = serializers.CharField()
    revision = serializers.IntegerField(help_text="The newest revision; after an apply, the one it made.")
    etag = serializers.CharField(help_text="Of the policy this was worked out for; send it as If-Match with an apply.")
    unchanged = serializers.IntegerField()
    changes = ObjectChangeOut(many=True)
    unmanaged = AffectedKeyOut(many=True, help_text="There, and in no file; they stay.")
    deferred = DeferredOut(many=True, help_text="Kept in the file, not applied: it arrives with a later version.")
    gaps = GapOut(many=True, help_text="What the file cannot say and nothing else says either.")
    effect = EffectOut()


class PolicyProblemOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()
    expected = serializers.CharField(required=False)
    suggestion = serializers.CharField(required=False)
    document = serializers.IntegerField(required=False)
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)
    kind = serializers.CharField(required=False)
    name = serializers.CharField(required=False)


class RefusedPolicyOut(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = PolicyProblemOut(many=True, required=False)  # type: ignore[assignment]  # a field named so


def plan_answer(plan: Plan, *, etag: str | None = None) -> Response:
    tag = etag or etag_of_policy(plan.version)
    return Response(plan_data(plan, tag), headers={"ETag": tag})


def plan_data(plan: Plan, etag: str) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "has_changes": plan.has_changes,
        "is_applied": plan.is_applied,
        "summary": plan.summary,
        "revision": plan.revision,
        "etag": etag,
        "unchanged": plan.unchanged,
        "changes": [change_data(change) for change in plan.changes],
        "unmanaged": [_key(key) for key in plan.unmanaged],
        "deferred": [
            {**_key(each.key), "why": each.why, "document": each.document, "line": each.line} for each in plan.deferred
        ],
        "gaps": [{**_key(gap.key), "field": gap.field, "message": gap.message} for gap in plan.gaps],
        "effect": effect_data(plan.effect),
    }


def change_data(change: ObjectChange) -> dict[str, Any]:
    return {
        **_key(change.key),
        "action": str(change.action),
        "fields": [_field(each) for each in change.fields],
        "document": change.document,
        "line": change.line,
        "why": change.why,
    }


def effect_data(effect: Effect) -> dict[str, Any]:
    return {
        "sentences": list(effect.sentences),
        "lost": [asdict(each) for each in effect.lost[:MOST_SHIFTS]],
        "gained": [asdict(each) for each in effect.gained[:MOST_SHIFTS]],
        "moved": [asdict(each) for each in effect.moved[:MOST_SHIFTS]],
        "ended": None if effect.ended is None else asdict(effect.ended),
        "revived": None if effect.revived is None else asdict(effect.revived),
        "without_credential": list(effect.without_credential),
        "shards": list(effect.shards),
    }


def refusal_answer(refused: RefusedPolicy) -> Response:
    """All that is wrong, as a problem document; 403 when it is only that the caller may not."""
    problems = refused.problems
    status = 403 if all(each.is_forbidden for each in problems) else 400
    detail = problems[0].sentence if len(problems) == 1 else f"{len(problems)} things are wrong with the policy."
    body = problem(status, detail, _errors(problems))
    return Response(body, status=status, content_type=PROBLEM_JSON)


def _errors(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {
            "field": each.field,
            "message": each.message,
            "expected": each.expected,
            "suggestion": each.suggestion,
            "document": each.document,
            "line": each.place.line,
            "column": each.place.column,
            "kind": each.kind,
            "name": each.name,
        }
        for each in problems
    ]


def _key(key: Key) -> dict[str, str]:
    return {"kind": key.kind, "name": key.name}


def _field(each: FieldChange) -> dict[str, Any]:
    return {
        "field": each.field,
        "before": each.before,
        "after": each.after,
        "before_text": each.before_text,
        "after_text": each.after_text,
    }
