"""The simplest value that fits a JSON schema; the same one each time."""

from typing import Any

from deploy.simulated_provider.ask import Json, object_of, objects

_DEPTH_LIMIT = 12
_TEXTS_BY_FORMAT = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def fit_value(schema: Json, root: Json | None = None, depth: int = 0) -> Any:
    """Build a value that fits the schema: every property present, lists as short as allowed, first of each choice.

    Understands local `$ref`s, OpenAPI's upper-case type names and nullable unions; beyond 12 levels gives null.
    """
    root = schema if root is None else root
    if depth > _DEPTH_LIMIT:
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return fit_value(_resolve(reference, root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[0]
    for union in ("anyOf", "oneOf", "any_of"):
        branches = schema.get(union)
        if isinstance(branches, list) and branches:
            return fit_value(object_of(branches[0]), root, depth + 1)
    merged = schema.get("allOf")
    if isinstance(merged, list) and merged:
        whole: Json = {}
        for branch in objects(merged):
            value = fit_value(branch, root, depth + 1)
            if not isinstance(value, dict):
                return value
            whole |= value
        return whole
    return _fit_type(schema, root, depth)


def _fit_type(schema: Json, root: Json, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    name = kind.lower() if isinstance(kind, str) else ("object" if "properties" in schema else "string")
    match name:
        case "object":
            properties = schema.get("properties")
            names = properties if isinstance(properties, dict) else {}
            return {key: fit_value(inner, root, depth + 1) for key, inner in names.items() if isinstance(inner, dict)}
        case "array":
            items = schema.get("items")
            length = min(max(1, int(_bound(schema, "minItems") or 1)), 1000)
            return [fit_value(items if isinstance(items, dict) else {}, root, depth + 1)] * length
        case "integer" | "number":
            return _fit_number(schema, whole=name == "integer")
        case "boolean":
            return True
        case "null":
            return None
        case _:
            text = _TEXTS_BY_FORMAT.get(str(schema.get("format")), "simulated")
            shortest, longest = _bound(schema, "minLength"), _bound(schema, "maxLength")
            text = text.ljust(min(int(shortest or 0), 100_000), "x")
            return text[: max(0, int(longest))] if longest is not None else text


def _fit_number(schema: Json, *, whole: bool) -> int | float:
    lowest, above, most = (_bound(schema, name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    value: int | float = 1 if lowest is None else lowest
    if above is not None and value <= above:
        value = above + 1
    if most is not None and value > most:
        value = most
    # Clients write -2**53 where they mean "any integer"; a small number reads better and fits as well.
    if value < -1_000_000:
        value = 1
    return int(value) if whole else value


def _bound(schema: Json, name: str) -> int | float | None:
    """Read a bound; OpenAPI writes some of them as text, and what is no number bounds nothing."""
    value = schema.get(name)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _resolve(reference: str, root: Json) -> Json:
    place: Any = root
    for step in filter(None, reference.removeprefix("#").split("/")):
        place = place.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(place, dict) else {}
    return place if isinstance(place, dict) else {}
