"""How rules are described in the schema. They are read and checked by the services, which forms and files share."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from control_plane.rest.fields import HexId
from control_plane.rules.conditions import DAYS, Condition, loaded, loaded_all, stored
from control_plane.rules.models import Mode, RuleFields
from control_plane.rules.reach import Sight
from control_plane.rules.reading_conditions import missing_subjects, when_spec
from control_plane.rules.services import RuleKind
from control_plane.rules.subjects import FORMS, Directory
from switchyard_contract.counters import PER
from switchyard_contract.routes import ROUTES

_TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}, "minItems": 1}
_PARTS: dict[str, Any] = {
    "subjects": {**_TEXTS, "description": f"Alternatives: {FORMS}."},
    "models": {**_TEXTS, "description": "Names and globs; the requested name and the model behind it are looked at."},
    "metadata": {
        "type": "object",
        "additionalProperties": _TEXTS,
        "minProperties": 1,
        "description": "Key: values or globs. Each key has to fit.",
    },
    "clients": {**_TEXTS, "description": "Tools, such as claude-code; globs."},
    "protocols": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(ROUTES)}},
    "hours": {
        "type": "object",
        "required": ["timezone", "windows"],
        "description": "Also as text: `Mon-Fri 09:00-18:00 Europe/Berlin`.",
        "properties": {
            "timezone": {"type": "string", "description": "IANA."},
            "windows": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["days", "from", "until"],
                    "properties": {
                        "days": {"type": "array", "items": {"type": "string", "enum": list(DAYS)}},
                        "from": {"type": "string", "description": "09:00"},
                        "until": {
                            "type": "string",
                            "description": "18:00; 24:00 is the end of the day; before `from`: on the next day.",
                        },
                    },
                },
            },
        },
    },
}
CONDITION = {
    "type": "object",
    "description": "Every part that is given has to fit; no part: every exchange.",
    "properties": {
        **_PARTS,
        "not": {
            "description": "One object: each of its parts excludes. A list of conditions: one excludes where all "
            "of its parts fit.",
            "oneOf": [
                {"type": "object", "properties": _PARTS},
                {"type": "array", "items": {"type": "object", "properties": _PARTS}},
            ],
        },
    },
}
PER_TEXT = f"One counter per combination: {', '.join(PER)}, metadata.<key>."


@extend_schema_field(CONDITION)
class WhenField(serializers.JSONField):
    """Which exchanges a rule is about."""


class RuleHeadOut(serializers.Serializer[RuleFields]):
    """What all rules have. The view's kind says the rest."""

    id = HexId()
    name = serializers.CharField()
    description = serializers.CharField()
    mode = serializers.ChoiceField(Mode.choices)
    when = WhenField()
    missing_subjects = serializers.ListField(
        child=serializers.CharField(), help_text="Named by the rule, and no longer there: they fit nobody."
    )
    contact = serializers.CharField(help_text="Whom a refused person may ask; empty: the organization's contact.")
    sentence = serializers.CharField(help_text="What the rule means, in words.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def to_representation(self, row: RuleFields) -> dict[str, Any]:
        kind: RuleKind[Any] = self.context["kind"]
        directory: Directory = self.context["directory"]
        sight: Sight = self.context["sight"]
        conditions = narrowed(row, sight)
        shown = _narrowed_row(kind, row, conditions) if not sight.has_all else row
        time = serializers.DateTimeField().to_representation
        return {
            "id": row.id.hex,
            "name": row.name,
            **kind.spec(shown, directory),
            "when": when_spec(conditions[0], conditions[1:], directory),
            "missing_subjects": missing_subjects(conditions, directory),
            "sentence": kind.sentence(shown, directory),
            **self.more(row),
            "created_at": time(row.created_at),
            "updated_at": time(row.updated_at),
        }

    def more(self, row: Any) -> Mapping[str, Any]:
        """Fields besides those of the spec."""
        return {}


class RuleHeadChange(serializers.Serializer[Any]):
    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    mode = serializers.ChoiceField(Mode.choices, required=False)
    when = WhenField(required=False)
    contact = serializers.CharField(max_length=254, required=False, allow_blank=True)


def narrowed(row: RuleFields, sight: Sight) -> list[Condition]:
    """`when` and what it excludes, as far as somebody sees whom they name."""
    found = [loaded(row.when), *loaded_all(row.when_not)]
    if sight.has_all:
        return found
    shown = [sight.narrowed(each) for each in found]
    # An exception about others alone says nothing any more, and would read as excluding everybody.
    return [shown[0], *(new for new, old in zip(shown[1:], found[1:], strict=True) if new.subjects or not old.subjects)]


def _narrowed_row(kind: RuleKind[Any], row: RuleFields, conditions: list[Condition]) -> RuleFields:
    """The same rule, unsaved, with what this person sees of its conditions."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    values |= {"when": stored(conditions[0]), "when_not": [stored(each) for each in conditions[1:]]}
    shown: RuleFields = kind.model(**values)
    shown.organization = row.organization
    return shown
