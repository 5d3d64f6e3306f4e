"""What a field may hold: reads a node into a plain value, says what is right, writes itself as JSON Schema. Pure.

`read` gives the value in its one canonical form, or INVALID after it has told what is wrong.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, Protocol

from control_plane.declarative.nodes import Fields, Findings, Items, Node, Path, Scalar


class Missing(Enum):
    INVALID = "the node could not be read"
    REQUIRED = "the field must be given"


INVALID: Final = Missing.INVALID
REQUIRED: Final = Missing.REQUIRED

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_SECRET = re.compile(
    r"\b(sk-(ant|proj|or|live|test)-[A-Za-z0-9_-]{8,}|sk-[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|gh[pousr]_[A-Za-z0-9]{30,}|"
    r"github_pat_[A-Za-z0-9_]{30,}|xai-[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|xox[abposr]-[A-Za-z0-9-]{10,}|"
    r"sy(?:pat|svc|api|pod|scim)_[A-Za-z0-9]{30,}|ey[JI][A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{15,}\.)"
)
"""What looks like a key of a known kind. A file is kept, compared and shown; a key has one place only."""


class Shape(Protocol):
    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        """The value, or INVALID after telling why."""
        ...

    def schema(self) -> dict[str, Any]: ...

    @property
    def form(self) -> str:
        """What is right, for people."""
        ...


def looks_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


def nearest(word: str, known: Sequence[str]) -> str:
    """The closest spelling, or nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else ""


@dataclass(frozen=True, slots=True)
class Text:
    """Text in one line or more. pattern: what the whole text must match, told as `form_text`."""

    most: int
    form_text: str = "text"
    pattern: str = ""
    may_be_empty: bool = True
    is_trimmed: bool = False
    """Spaces at its ends are refused: the services would cut them off."""
    is_lower: bool = False
    """Written in lower case, whatever case it came in."""

    @property
    def form(self) -> str:
        return f"{self.form_text}, at most {self.most} characters"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Scalar) or node.is_null:
            findings.add(path, f"This must be text{_not(node)}.", expected=self.form)
            return INVALID
        text = node.text.lower() if self.is_lower else node.text
        if "\x00" in text or len(text) > self.most or (not text and not self.may_be_empty):
            why = "is empty" if not text else "is too long" if len(text) > self.most else "holds a NUL"
            findings.add(path, f"This text {why}.", expected=self.form)
            return INVALID
        if not findings.is_own and looks_secret(text):
            findings.add(
                path, "This looks like a secret.", expected="secrets only in credential.value, or better a reference"
            )
            return INVALID
        if self.is_trimmed and text != text.strip():
            findings.add(path, "There are spaces at the ends of this text.", expected=repr(text.strip()))
            return INVALID
        if self.pattern and re.fullmatch(self.pattern, text) is None:
            findings.add(path, f"{text[:80]!r} is not of the right form.", expected=self.form)
            return INVALID
        return text

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "maxLength": self.most}
        if not self.may_be_empty:
            schema["minLength"] = 1
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number, in a unit that the field's name says."""

    least: int
    most: int
    unit: str = ""

    @property
    def form(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"a whole number from {self.least} to {self.most}{unit}, without quotes"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Scalar) or not node.is_plain or _INTEGER.fullmatch(node.text) is None:
            findings.add(path, f"This must be a whole number{_not(node)}.", expected=self.form)
            return INVALID
        number = int(node.text)
        if not self.least <= number <= self.most:
            findings.add(path, f"{number} is out of range.", expected=self.form)
            return INVALID
        return number

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag:
    form: str = "true or false"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if isinstance(node, Scalar) and node.is_plain and node.text in ("true", "false"):
            return node.text == "true"
        findings.add(path, f"This must be true or false{_not(node)}.", expected=self.form)
        return INVALID

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of a list."""

    options: tuple[str, ...]

    @property
    def form(self) -> str:
        return f"one of {', '.join(self.options)}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if isinstance(node, Scalar) and node.text in self.options:
            return node.text
        word = node.text if isinstance(node, Scalar) else ""
        what = f"{word[:60]!r} is not known here." if word else f"This must be one word{_not(node)}."
        findings.add(path, what, expected=self.form, suggestion=nearest(word, self.options))
        return INVALID

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.options)}


@dataclass(frozen=True, slots=True)
class ListOf:
    """Several values. is_set: order means nothing, so it is sorted."""

    item: Shape
    least: int = 0
    most: int = 1000
    is_set: bool = False
    is_unique: bool = True
    now_at_most: int = 0
    """More than so many arrive with a later version; 0: as many as there may be."""

    @property
    def form(self) -> str:
        return f"a list of {self.least} to {self.most}, each {self.item.form}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Items):
            findings.add(path, f"This must be a list{_not(node)}.", expected=f"[{_example(node)}]")
            return INVALID
        values: list[Any] = []
        is_right = True
        for position, inner in enumerate(node.items):
            value = self.item.read(inner, (*path, position), findings)
            if value is INVALID:
                is_right = False
            elif self.is_unique and value in values:
                findings.add((*path, position), f"{str(value)[:80]!r} stands here twice.", expected="each once")
                is_right = False
            else:
                values.append(value)
        if self.now_at_most and len(node.items) > self.now_at_most:
            findings.later.append(f"more than {self.now_at_most} of {path[-1]}")
        if is_right and not self.least <= len(values) <= self.most:
            findings.add(path, f"These are {len(values)}.", expected=self.form)
            is_right = False
        if not is_right:
            return INVALID
        return sorted(values) if self.is_set else values

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema(), "maxItems": self.most}
        if self.least:
            schema["minItems"] = self.least
        if self.is_unique:
            schema["uniqueItems"] = True
        return schema


@dataclass(frozen=True, slots=True)
class MapOf:
    """Names to values, such as tags."""

    key: Text
    value: Shape
    most: int

    @property
    def form(self) -> str:
        return f"at most {self.most} lines `name: value`"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Fields):
            findings.add(path, f"These must be names with values{_not(node)}.", expected="{name: value}")
            return INVALID
        found: dict[str, Any] = {}
        is_right = True
        for key, inner in node.entries:
            name = self.key.read(Scalar(key.text, False, key.place), (*path, key.text), findings)
            value = self.value.read(inner, (*path, key.text), findings)
            if name is INVALID or value is INVALID:
                is_right = False
            else:
                found[name] = value
        if len(found) > self.most:
            findings.add(path, f"These are {len(found)}.", expected=self.form)
            is_right = False
        return {name: found[name] for name in sorted(found)} if is_right else INVALID

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": self.key.schema(),
            "additionalProperties": self.value.schema(),
            "maxProperties": self.most,
        }


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record. default: what its absence means; REQUIRED: it may not be absent."""

    name: str
    shape: Shape
    help: str
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields. Unknown ones are refused: a misspelt field would do nothing, silently.

    later: fields of the format that this version does not do yet, and what they do.
    """

    fields: tuple[Field, ...]
    later: Mapping[str, str] = field(default_factory=dict)

    @property
    def form(self) -> str:
        return f"fields {', '.join(each.name for each in self.fields)}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Fields):
            findings.add(path, f"These must be fields{_not(node)}.", expected=self.form)
            return INVALID
        by_name = {each.name: each for each in self.fields}
        found: dict[str, Any] = {}
        is_right = True
        for key, inner in node.entries:
            known = by_name.get(key.text)
            if known is None:
                if key.text in self.later:
                    findings.later.append(f"{key.text} ({self.later[key.text]})")
                    continue
                findings.add(
                    (*path, key.text),
                    f"There is no field {key.text[:80]!r} here.",
                    expected=self.form,
                    suggestion=nearest(key.text, tuple(by_name)),
                )
                is_right = False
                continue
            if isinstance(inner, Scalar) and inner.is_null and known.default is not REQUIRED:
                # `field:` with nothing behind it is a field that is not given.
                continue
            found[known.name] = known.shape.read(inner, (*path, key.text), findings)
            is_right = is_right and found[known.name] is not INVALID
        for each in self.fields:
            if each.name in found:
                continue
            if each.default is REQUIRED:
                findings.add(
                    (*path, each.name),
                    f"The field {each.name!r} is missing.",
                    expected=f"{each.name}: {each.shape.form}",
                )
                is_right = False
            found[each.name] = each.default
        return {each.name: found[each.name] for each in self.fields} if is_right else INVALID

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {each.name: _field_schema(each) for each in self.fields},
        }
        if required := [each.name for each in self.fields if each.default is REQUIRED]:
            schema["required"] = required
        return schema


def is_said(field: Field, spec: Mapping[str, Any]) -> bool:
    """Whether a field is written: it must be, or it is not what its absence means."""
    return field.default is REQUIRED or spec[field.name] != field.default


def short_spec(record: Record, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec that are written, for JSON."""
    return {field.name: spec[field.name] for field in record.fields if is_said(field, spec)}


def _field_schema(each: Field) -> dict[str, Any]:
    schema = {"description": each.help, **each.shape.schema()}
    if each.default is not REQUIRED and each.default is not None:
        schema["default"] = each.default
    return schema


def _not(node: Node) -> str:
    """What it is instead, without repeating it: it might be a secret that went astray."""
    match node:
        case Fields():
            return ", not fields"
        case Items():
            return ", not a list"
        case Scalar(is_plain=False):
            return ", not text in quotes"
        case Scalar():
            return ", not nothing" if node.is_null else ""


def _example(node: Node) -> str:
    return node.text[:60] if isinstance(node, Scalar) and not node.is_null and not looks_secret(node.text) else "…, …"


TAG_NAME = Text(64, "letters, digits, dot, dash, underscore", r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", may_be_empty=False)
TAGS = MapOf(TAG_NAME, Text(256), 32)
