"""Objects to YAML in one canonical form: the same objects give the same bytes. Pure.

Fields that hold their default are left out, so that a file says what somebody decided. Names and order are fixed; text
that could be read as something else is quoted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import Key, PolicyObject
from control_plane.declarative.shapes import is_said

API_VERSION = "switchyard/v1"
WRITE_ONLY_FIELDS = ("credential", "secret")
WRITE_ONLY_COMMENT = "  # write-only: no file holds the value; null keeps what is there"

# No sign that YAML gives a meaning at any place, no word that any version of it takes for something else than text.
_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9_./@*+-]*")
_MEANT_OTHERWISE = re.compile(r"(?i)(true|false|yes|no|on|off|y|n|null|nan|inf)")
_SHORT = 100


def write_policy(objects: Iterable[PolicyObject], *, schema_url: str = "") -> str:
    """All objects as one file, kinds in the order in which they are made, then by name."""
    head = f"# yaml-language-server: $schema={schema_url}\n" if schema_url else ""
    return head + "---\n".join(write_object(each) for each in sort_objects(objects))


def sort_objects(objects: Iterable[PolicyObject]) -> list[PolicyObject]:
    order = {name: position for position, name in enumerate(kinds())}
    return sorted(objects, key=lambda each: (order.get(each.key.kind, len(order)), each.key.name))


def write_object(each: PolicyObject) -> str:
    """One document."""
    kind = kinds()[each.key.kind]
    lines = [*head_lines(each.key)]
    written = {field.name: each.spec[field.name] for field in kind.spec.fields if is_said(field, each.spec)}
    if not written:
        lines.append("spec: {}")
    else:
        lines.append("spec:")
        for name, value in written.items():
            lines += _field(name, value, "  ")
    return "\n".join(lines) + "\n"


def head_lines(key: Key) -> tuple[str, str, str]:
    """The lines that a document begins with."""
    return f"apiVersion: {API_VERSION}", kind_line(key.kind), f"metadata: {{name: {scalar_text(key.name)}}}"


def kind_line(kind: str) -> str:
    """The line of a document that names its kind."""
    return f"kind: {kind}"


def scalar_text(value: Any) -> str:
    """One value as YAML, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and _MEANT_OTHERWISE.fullmatch(text) is None:
        return text
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_escaped(char) for char in text) + '"'


def flow_text(value: Any) -> str:
    """A value on one line."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{scalar_text(name)}: {flow_text(inner)}" for name, inner in value.items()) + "}"
        case str():
            return scalar_text(value)
        case Sequence():
            return "[" + ", ".join(flow_text(inner) for inner in value) + "]"
        case _:
            return scalar_text(value)


def _field(name: str, value: Any, indent: str) -> list[str]:
    flow = flow_text(value)
    comment = WRITE_ONLY_COMMENT if name in WRITE_ONLY_FIELDS and value == {"value": None} else ""
    is_list_of_fields = isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value)
    if not is_list_of_fields and (not isinstance(value, (list, Mapping)) or len(flow) <= _SHORT or not value):
        return [f"{indent}{name}: {flow}{comment}"]
    if isinstance(value, Mapping):
        return [
            f"{indent}{name}:",
            *(f"{indent}  {scalar_text(key)}: {flow_text(inner)}" for key, inner in value.items()),
        ]
    return [f"{indent}{name}:", *(f"{indent}  - {flow_text(inner)}" for inner in value)]


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    if char == "\n":
        return "\\n"
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
