"""Whether a condition holds for a JSON value: what PATCH needs to find the values it is about."""

from collections.abc import Mapping
from typing import Any, assert_never

from control_plane.identity.scim.filters import Compare, Condition, Every, Not, Path, Some, Within


def holds(condition: Condition, value: Any) -> bool:
    """Whether one value (a JSON object, or a plain value known as `value`) meets a condition. Text in any case."""
    match condition:
        case Compare(path, operator, wanted):
            found = [one for one in _at(path, value) if one not in (None, "", [])]
            if operator == "ne":
                return not any(_compare("eq", one, wanted) for one in found)
            if operator == "pr":
                return bool(found)
            return any(_compare(operator, one, wanted) for one in found)
        case Every(terms):
            return all(holds(term, value) for term in terms)
        case Some(terms):
            return any(holds(term, value) for term in terms)
        case Not(term):
            return not holds(term, value)
        case Within(path, term):
            return any(holds(term, one) for one in _at(path, value))
        case _ as unreachable:
            assert_never(unreachable)


def _at(path: Path, value: Any) -> list[Any]:
    found = _each(_named(value, path.attribute))
    return [inner for one in found for inner in _each(_named(one, path.sub))] if path.sub else found


def _named(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return value if name.lower() == "value" else None
    return next((inner for key, inner in value.items() if key.lower() == name.lower()), None)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _compare(operator: str, found: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return operator == "eq" and str(found).lower() == str(wanted).lower()
    if isinstance(wanted, str) or isinstance(found, str):
        left, right = str(found).lower(), str(wanted).lower()
        match operator:
            case "co":
                return right in left
            case "sw":
                return left.startswith(right)
            case "ew":
                return left.endswith(right)
            case _:
                return _ordered(operator, left, right)
    return _ordered(operator, found, wanted) if wanted is not None else False


def _ordered(operator: str, left: Any, right: Any) -> bool:
    match operator:
        case "eq":
            return bool(left == right)
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
        case "le":
            return bool(left <= right)
        case _:
            return False
