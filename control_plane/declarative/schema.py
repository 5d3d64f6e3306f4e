"""The JSON Schema of a policy file, for editors: one per kind, and all together. Pure.

What the schema says is what the shapes read; what only an organization can tell (references) is told by a plan.
"""

from typing import Any

from control_plane.declarative.kinds.catalog import LATER, kinds
from control_plane.declarative.kinds.kind import Kind
from control_plane.declarative.shapes import Record
from control_plane.declarative.writing import API_VERSION

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """Any document of a policy file; its kind decides."""
    return {
        "$schema": DRAFT,
        "title": "A Switchyard policy document",
        "type": "object",
        "required": ["kind", "metadata"],
        "properties": {"kind": {"enum": [*kinds(), *LATER]}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for name in kinds()
        ],
        "$defs": {name: _document(kind) for name, kind in kinds().items()},
    }


def kind_schema(name: str) -> dict[str, Any] | None:
    """A document of one kind; None: there is no such kind."""
    kind = kinds().get(name)
    return None if kind is None else {"$schema": DRAFT, **_document(kind)}


def _document(kind: Kind) -> dict[str, Any]:
    spec = kind.spec.schema()
    spec["properties"] |= _described(kind.spec)
    _open_later(kind.spec, spec)
    return {
        "title": kind.name,
        "description": kind.title,
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind.name},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {"name": kind.name_shape.schema()},
            },
            "spec": spec,
        },
    }


def _open_later(record: Record, schema: dict[str, Any]) -> None:
    """Fields of inner records that arrive later are no mistake either."""
    for each in record.fields:
        inner = getattr(each.shape, "item", None)
        if isinstance(inner, Record):
            items = schema["properties"][each.name]["items"]
            items["properties"] |= _described(inner)


def _described(record: Record) -> dict[str, Any]:
    return {name: {"description": f"Arrives later: {what}."} for name, what in record.later.items()}
