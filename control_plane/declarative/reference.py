"""The reference of kinds and the schema for editors, printed from the very shapes that read a file. Pure."""

import json
from collections.abc import Iterator, Sequence

from control_plane.declarative.kinds.catalog import LATER, kinds
from control_plane.declarative.kinds.kind import Kind
from control_plane.declarative.rule_shapes import WHEN, TextOr
from control_plane.declarative.schema import policy_schema
from control_plane.declarative.shapes import REQUIRED, Field, ListOf, Record, Shape
from control_plane.declarative.writing import API_VERSION, flow_text

HEAD = f"""\
# Kinds of a policy file

Printed from the schemas by `python -m control_plane.manage policy_reference`; a test keeps it fresh. For editors:
`GET /api/v1/schema/policy.json`, or [policy.schema.json](policy.schema.json) beside this page. How to work with files:
[policy as code](../how-to/policy-as-code.md).

A file holds documents with `---` between. Each has `apiVersion: {API_VERSION}` (may be left out), `kind`,
`metadata: {{name: …}}` and `spec`. A field that is left out has its default. Unknown fields are refused.
"""
HEADINGS = "| field | what it holds | default | meaning |\n| --- | --- | --- | --- |"


def reference_page() -> str:
    """docs/reference/kinds.md."""
    sections = (line for kind in kinds().values() for line in _section(kind))
    return "\n".join([HEAD, *sections, *_conditions(), *_later()]) + "\n"


def schema_file() -> str:
    """docs/reference/policy.schema.json."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(kind: Kind) -> Iterator[str]:
    yield f"## {kind.name}\n"
    yield f"{kind.title} To change one: the right `{kind.manage_right}`.\n"
    yield f"`metadata.name`: {kind.name_shape.form}.\n"
    yield HEADINGS
    yield from _rows(kind.spec.fields)
    later = dict(kind.spec.later)
    for each in kind.spec.fields:
        item = getattr(each.shape, "item", None)
        if isinstance(item, Record):
            later |= {f"{each.name}[].{name}": what for name, what in item.later.items()}
    if later:
        told = ", ".join(f"`{name}` ({what})" for name, what in later.items())
        yield f"\nArrives with later versions; a document that uses one is kept in the file and not applied: {told}."
    yield f"\n```yaml\n{kind.example}```\n"


def _rows(fields: Sequence[Field], prefix: str = "") -> Iterator[str]:
    yield from (_row(each, prefix=prefix) for each in fields)
    for each in fields:
        name, inner = f"{prefix}{each.name}", _record_in(each.shape)
        # Conditions are told once, for all rules.
        if inner is not None and each.shape is not WHEN:
            dots = "[]." if isinstance(each.shape, ListOf) else "."
            yield from _rows(inner.fields, f"{name}{dots}")


def _record_in(shape: Shape) -> Record | None:
    """The fields that a field has, where it has any."""
    match shape:
        case Record():
            return shape
        case ListOf():
            return _record_in(shape.item)
        case TextOr():
            return _record_in(shape.other)
        case _:
            return None


def _conditions() -> Iterator[str]:
    yield "## Conditions\n"
    yield "What stands in `when` of a rule. Every part that is given has to fit, alternatives inside a part; no part:"
    yield "every request. `*` is any text, `?` one character. `not` holds the same parts.\n"
    yield HEADINGS
    yield from _rows(tuple(each for each in WHEN.fields))
    yield """
```yaml
when:
  subjects: ["team:platform", "role:member"]
  models: ["*opus*"]
  metadata: {environment: [production]}
  hours: Mon-Fri 09:00-18:00 Europe/Berlin
  not: {clients: [claude-code]}
```
"""


def _row(each: Field, *, prefix: str = "") -> str:
    default = "**must be given**" if each.default is REQUIRED else _default(each)
    return f"| `{prefix}{each.name}` | {_cell(each.shape.form)} | {default} | {_cell(each.help)} |"


def _default(each: Field) -> str:
    return "none" if each.default is None else f"`{_cell(flow_text(each.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _later() -> Iterator[str]:
    yield "## Kinds that arrive later\n"
    yield "They may stand in a file already; plan and apply list them as kept and not applied.\n"
    yield from (f"- `{name}`: {what}" for name, what in LATER.items())
