"""Shapes that rules are read with: what may be one or several, amounts, conditions, stages. Pure.

They say what a field holds, so that editors and people are told. What fits together is said by the rules' own reading
(`rules.reading`), which forms and REST go through too (`kinds.rule`).
"""

from dataclasses import dataclass
from typing import Any

from control_plane.declarative.nodes import Fields, Findings, Items, Node, Path, Scalar
from control_plane.declarative.shapes import (
    INVALID,
    TAG_NAME,
    Choice,
    Field,
    Flag,
    Integer,
    ListOf,
    MapOf,
    Record,
    Shape,
    Text,
)
from control_plane.rules.conditions import DAYS
from control_plane.rules.models import Mode
from switchyard_contract.counters import PER
from switchyard_contract.routes import ROUTES

RULE_NAME = Text(
    100,
    "lower-case letters, digits, dots, dashes and underscores, ending as plainly as it begins",
    r"[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?",
    may_be_empty=False,
)
HIGHEST_WHOLE = 10**15


@dataclass(frozen=True, slots=True)
class Given(Record):
    """Named fields of which only those that are given are in the value."""

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        whole = Record.read(self, node, path, findings)
        if whole is INVALID or not isinstance(node, Fields):
            return whole
        given = {key.text for key, inner in node.entries if not (isinstance(inner, Scalar) and inner.is_null)}
        return {name: value for name, value in whole.items() if name in given}


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """A list, or one value alone."""

    item: Shape
    most: int = 200

    @property
    def form(self) -> str:
        return f"one or a list of at most {self.most}, each {self.item.form}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if isinstance(node, Scalar) and not node.is_null:
            value = self.item.read(node, path, findings)
            return INVALID if value is INVALID else [value]
        return ListOf(self.item, least=1, most=self.most, is_unique=False).read(node, path, findings)

    def schema(self) -> dict[str, Any]:
        item = self.item.schema()
        return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": self.most}]}


@dataclass(frozen=True, slots=True)
class TextOr:
    """A short text, or what it stands for written out."""

    text: Text
    other: Shape

    @property
    def form(self) -> str:
        return f"{self.text.form_text}, or {self.other.form}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        return (self.text if isinstance(node, Scalar) else self.other).read(node, path, findings)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.text.schema(), self.other.schema()]}


@dataclass(frozen=True, slots=True)
class ListOr:
    """A list of something, or one written without the list, which then means something of its own."""

    several: ListOf
    one: Shape

    @property
    def form(self) -> str:
        return f"{self.one.form}, or {self.several.form}"

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        return (self.several if isinstance(node, Items) else self.one).read(node, path, findings)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.one.schema(), self.several.schema()]}


@dataclass(frozen=True, slots=True)
class Amount:
    """US dollars, as they are written; with quotes or without."""

    form: str = 'US dollars, such as "10.00"'

    def read(self, node: Node, path: Path, findings: Findings) -> Any:
        if not isinstance(node, Scalar) or node.is_null or not node.text.strip():
            findings.add(path, "This must be an amount.", expected=self.form)
            return INVALID
        return node.text.strip()

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]{1,9})?$", "exclusiveMinimum": 0}


_GLOB = Text(200, "a name or glob", may_be_empty=False, is_trimmed=True)
_WINDOW = Given(
    (
        Field(
            "days",
            TextOr(
                Text(60, "days such as mon-fri", may_be_empty=False), ListOf(Text(20, "a day, such as mon"), least=1)
            ),
            f"Of {', '.join(DAYS)}; left out: every day.",
            [],
        ),
        Field("from", Text(5, "a time of day such as 09:00", may_be_empty=False), "When it begins."),
        Field("until", Text(5, "a time of day such as 18:00", may_be_empty=False), "When it ends; 24:00 is midnight."),
    )
)
_HOURS = TextOr(
    Text(500, "hours such as Mon-Fri 09:00-18:00 Europe/Berlin", may_be_empty=False),
    Given(
        (
            Field("timezone", Text(64, "a time zone such as Europe/Berlin"), "Whose clock it is.", "UTC"),
            Field("windows", ListOf(_WINDOW, least=1, most=50, is_unique=False), "When it fits."),
        )
    ),
)
_PARTS = (
    Field(
        "subjects",
        OneOrMore(
            Text(300, "organization, team:…, user:…, service_account:…, key:…, role:… or kind:…", may_be_empty=False)
        ),
        "Who acts. A team is the one that the key is charged to.",
        [],
    ),
    Field("models", OneOrMore(_GLOB), "What is asked for, or where it leads.", []),
    Field("metadata", MapOf(TAG_NAME, OneOrMore(Text(256, "a value or glob")), 50), "Tags, each with its values.", {}),
    Field("clients", OneOrMore(_GLOB), "Tools such as claude-code.", []),
    Field("protocols", OneOrMore(Choice(tuple(ROUTES))), "Protocols of the request.", []),
    Field("hours", _HOURS, "When it fits, by a clock on a wall.", {}),
)
"""Alternatives inside a part; every part that is given has to fit."""
WHEN = Given(
    (
        *_PARTS,
        Field(
            "not",
            ListOr(ListOf(Given(_PARTS), least=1, most=20, is_unique=False), Given(_PARTS)),
            "What is left out: each part of it by itself, or a list of conditions.",
            {},
        ),
    )
)
PER_SHAPE = OneOrMore(
    Text(
        80,
        f"one of {', '.join(PER)} or metadata.<key>",
        rf"{'|'.join(PER)}|metadata\.[A-Za-z0-9][A-Za-z0-9_.-]{{0,63}}",
        may_be_empty=False,
    ),
    most=4,
)
TIME_ZONE = Text(64, "a time zone such as Europe/Berlin", may_be_empty=False)


def whole(least: int, most: int = HIGHEST_WHOLE, unit: str = "") -> Integer:
    return Integer(least, most, unit)


def head_fields(*, is_grouped: bool) -> tuple[Field, ...]:
    """The fields that every rule begins with."""
    group = (
        Field(
            "group",
            RULE_NAME,
            "Of the rules of a group that fit only the most specific one applies: key before user or service account "
            "before team before role before organization; then more parts before fewer; then the higher limit.",
            "",
        ),
    )
    return (
        Field("description", Text(500), "What it is for.", ""),
        Field("mode", Choice(tuple(Mode.values)), "shadow: decided and shown, obeyed by nobody.", str(Mode.ENFORCE)),
        Field("when", WHEN, "Which requests it is about; nothing: all.", {}),
        *(group if is_grouped else ()),
    )


CONTACT = Field("contact", Text(254), "Whom a refused person may ask; left out: the organization's contact.", "")
FLAG = Flag()
