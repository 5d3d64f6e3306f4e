"""PATCH (RFC 7644 §3.5.2) of a person's document, in the forms that Entra and Okta send too.

Entra: operations with a capital letter, truth values as text, no path and whole paths as names of the value's parts,
a filter in a path that nothing matches yet (the value is made). Okta: one path-less replace with an object.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.identity.scim.documents import Document, is_nothing, read_document, value_of
from control_plane.identity.scim.errors import Unreadable
from control_plane.identity.scim.filters import Condition, equalities, read_filter
from control_plane.identity.scim.matching import holds
from control_plane.identity.scim.schemas import (
    ENTERPRISE,
    GROUP,
    READ_ONLY,
    USER,
    Attribute,
    enterprise_attributes,
    user_attributes,
)

MAX_OPERATIONS = 1000
_STEP = re.compile(r"(?P<name>[A-Za-z$][\w$-]*)(?:\[(?P<filter>.*)\])?(?:\.(?P<sub>[A-Za-z$][\w$-]*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Operation:
    """kind: add, replace or remove. path: empty when the value names what it changes."""

    kind: str
    path: str
    value: Any


@dataclass(frozen=True, slots=True)
class Target:
    """Where an operation acts. name empty: the whole extension. All names in lower case."""

    is_extension: bool
    name: str
    condition: Condition | None = None
    sub: str = ""


def read_operations(body: object) -> list[Operation]:
    """Read the body of a PATCH. Raises Unreadable."""
    if not isinstance(body, Mapping):
        raise Unreadable("A JSON object with Operations is expected.", "invalidSyntax")
    found = next((value for key, value in body.items() if str(key).lower() == "operations"), None)
    if not isinstance(found, list) or not found or len(found) > MAX_OPERATIONS:
        raise Unreadable(f"Operations is a list of one to {MAX_OPERATIONS} operations.", "invalidSyntax")
    return [_operation(each) for each in found]


def _operation(given: object) -> Operation:
    if not isinstance(given, Mapping):
        raise Unreadable("An operation is an object with op, path and value.", "invalidSyntax")
    parts = {str(key).lower(): value for key, value in given.items()}
    kind, path = parts.get("op"), parts.get("path")
    if not isinstance(kind, str) or kind.lower() not in ("add", "replace", "remove"):
        raise Unreadable("op is add, replace or remove.", "invalidSyntax")
    if path is not None and not isinstance(path, str):
        raise Unreadable("path is a text.", "invalidPath")
    operation = Operation(kind.lower(), (path or "").strip(), parts.get("value"))
    if operation.kind == "remove" and not operation.path:
        raise Unreadable("A remove says what it removes: it needs a path.", "noTarget")
    if operation.kind != "remove" and "value" not in parts:
        raise Unreadable(f"{operation.kind.capitalize()} needs a value.")
    return operation


def read_target(path: str) -> Target:
    """Read a path. Raises Unreadable (invalidPath)."""
    rest, is_extension = path, False
    for urn in (ENTERPRISE, USER, GROUP):
        if path.lower() == urn.lower():
            return Target(urn == ENTERPRISE, "")
        if path.lower().startswith(f"{urn.lower()}:"):
            rest, is_extension = path[len(urn) + 1 :], urn == ENTERPRISE
    step = _STEP.fullmatch(rest)
    if step is None:
        raise Unreadable(f"The path {path[:200]!r} could not be read.", "invalidPath")
    condition = read_filter(step["filter"]) if step["filter"] else None
    return Target(is_extension, step["name"].lower(), condition, (step["sub"] or "").lower())


def person_patched(document: Mapping[str, Any], operations: list[Operation]) -> Document:
    """Apply operations in their order; gives a new document in the one form. Raises Unreadable."""
    changed = read_document(document)
    for operation in operations:
        for path, value in _spread(operation):
            _apply(changed, operation.kind, path, value, is_named=bool(operation.path))
    return read_document(changed)


def _spread(operation: Operation) -> list[tuple[str, Any]]:
    """Without a path each name in the value is one; a value under the extension's name is spread as well."""
    if operation.path:
        return [(operation.path, operation.value)]
    if not isinstance(operation.value, Mapping):
        raise Unreadable("An operation without a path has an object for its value.", "noTarget")
    return [(str(path), value) for path, value in operation.value.items()]


def _apply(document: Document, kind: str, path: str, value: Any, *, is_named: bool) -> None:
    target = read_target(path)
    if target.name in READ_ONLY and not target.is_extension:
        if is_named:
            raise Unreadable(f"{path} is not for providers to change.", "mutability")
        return
    if not target.name:
        _apply_whole(document, kind, target, value)
        return
    known = enterprise_attributes() if target.is_extension else user_attributes()
    attribute = known.get(target.name)
    if attribute is None:
        return
    home = document.setdefault(ENTERPRISE, {}) if target.is_extension else document
    present = home.get(attribute.name)
    if attribute.is_multi_valued:
        home[attribute.name] = _values(attribute, present or [], kind, target, value)
    elif target.condition is not None:
        raise Unreadable(f"{attribute.name} has one value; there is nothing to filter.", "invalidPath")
    else:
        home[attribute.name] = _single(attribute, present, kind, target, value)


def _apply_whole(document: Document, kind: str, target: Target, value: Any) -> None:
    """An operation on a whole schema: its parts are named in the value."""
    if kind == "remove":
        if target.is_extension:
            document.pop(ENTERPRISE, None)
        return
    if not isinstance(value, Mapping):
        raise Unreadable("The value for a whole schema is an object.")
    for name, inner in value.items():
        prefix = f"{ENTERPRISE}:" if target.is_extension else ""
        _apply(document, kind, f"{prefix}{name}", inner, is_named=False)


def _single(attribute: Attribute, present: Any, kind: str, target: Target, value: Any) -> Any:
    if not target.sub:
        if kind == "remove":
            return None
        read = value_of(attribute, value)
        # Parts that are not named stay (RFC 7644 §3.5.2.3, complex attributes).
        return {**(present or {}), **read} if attribute.is_complex and isinstance(read, dict) and read else read
    sub = attribute.subs.get(target.sub)
    if sub is None:
        return present
    return {**(present or {}), sub.name: None if kind == "remove" else value_of(sub, value)}


def _values(attribute: Attribute, present: list[Any], kind: str, target: Target, value: Any) -> list[Any]:
    if target.condition is None and not target.sub:
        return _whole_values(attribute, present, kind, value)
    condition = target.condition
    picked: Callable[[Any], bool] = (lambda one: True) if condition is None else (lambda one: holds(condition, one))
    if kind == "remove":
        if not target.sub:
            return [one for one in present if not picked(one)]
        return [{**one, _sub(attribute, target): None} if picked(one) else one for one in present]
    change = {_sub(attribute, target): value} if target.sub else value
    if not isinstance(change, Mapping):
        raise Unreadable(f"A value of {attribute.name} is an object.")
    if any(picked(one) for one in present):
        return [{**one, **change} if picked(one) else one for one in present]
    return [*present, {**_made_for(condition), **change}]


def _made_for(condition: Condition | None) -> dict[str, Any]:
    """The value that a filter speaks of, where there is none yet."""
    fixed = {} if condition is None else equalities(condition)
    if fixed is None:
        raise Unreadable("Nothing matches the filter in the path.", "noTarget")
    return fixed


def _whole_values(attribute: Attribute, present: list[Any], kind: str, value: Any) -> list[Any]:
    given = [] if value is None else value_of(attribute, value)
    if kind == "replace":
        return list(given)
    if kind == "remove":
        gone = [_identity(one) for one in given]
        return [one for one in present if _identity(one) not in gone] if given else []
    if any(one.get("primary") for one in given):
        present = [{**one, "primary": False} for one in present]
    added = [_identity(one) for one in given]
    return [*(one for one in present if _identity(one) not in added), *given]


def _identity(one: Mapping[str, Any]) -> Any:
    """What makes two values of an attribute the same one."""
    if is_nothing(one.get("value")):
        return tuple(sorted((key, str(part)) for key, part in one.items() if key != "primary"))
    return str(one["value"]).lower(), str(one.get("type", "")).lower()


def _sub(attribute: Attribute, target: Target) -> str:
    sub = attribute.subs.get(target.sub)
    if sub is None:
        raise Unreadable(f"{attribute.name} has no part {target.sub}.", "invalidPath")
    return sub.name
