from typing import Any

import pytest

from deploy.simulated_provider.schema_values import fit_value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"title": {"type": "string"}}}, {"title": "simulated"}),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "3"}, [1, 1, 1]),
        ({"type": "number", "minimum": "low", "maximum": None}, 1),
        ({"anyOf": [None]}, "simulated"),
        ({"type": "integer", "minimum": -9007199254740991, "exclusiveMinimum": 0}, 1),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"type": ["null", "string"]}, "simulated"),
        ({"type": "STRING", "maxLength": 3}, "sim"),
        ({"type": "integer", "exclusiveMinimum": 10, "maximum": 11}, 11),
        ({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05Z"),
        ({"$ref": "#/$defs/leaf", "$defs": {"leaf": {"type": "number"}}}, 1),
        (
            {"allOf": [{"properties": {"a": {"type": "null"}}}, {"properties": {"b": {"type": "boolean"}}}]},
            {"a": None, "b": True},
        ),
    ],
)
def test_the_value_fits_the_schema(schema: dict[str, Any], value: Any) -> None:
    assert fit_value(schema) == value


def test_a_schema_that_contains_itself_ends() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert fit_value(schema)["next"]["next"] is not None
