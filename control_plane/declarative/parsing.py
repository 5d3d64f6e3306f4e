"""From bytes to documents, whatever somebody sends. Pure.

YAML is read as events, not through a loader: no tag makes an object, no alias multiplies anything, depth and size are
counted before memory is spent. Every document that can be read at all is read, so that all mistakes are told together.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from control_plane.declarative.nodes import (
    Document,
    Fields,
    Items,
    Node,
    Place,
    Problem,
    RefusedPolicy,
    Scalar,
)

MOST_BYTES = 4 * 1024 * 1024
MOST_NODES = 400_000
MOST_DOCUMENTS = 20_000
MOST_DEPTH = 16
MOST_PROBLEMS = 200

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Open:
    """A collection that is not closed yet."""

    place: Place
    is_mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    key: Scalar | None = None


class TooLarge(Exception):
    """The file is larger than what is read at all."""


def read_yaml(raw: bytes) -> tuple[Document, ...]:
    """Read all documents of a file, empty ones left out; raises RefusedPolicy with everything that is no plain YAML.

    Raises TooLarge before anything is parsed.
    """
    if len(raw) > MOST_BYTES:
        raise TooLarge
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
        raise RefusedPolicy([Problem("The file is no UTF-8 text.", place=Place(line, 1))]) from failure
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as failure:
        reader.problems.append(_unreadable(failure, reader.number))
    except yaml.YAMLError as failure:
        # A character that no YAML may hold.
        at = getattr(failure, "position", 0)
        place = Place(text.count("\n", 0, at) + 1, 1)
        reader.problems.append(
            Problem("The file holds a character that YAML does not allow.", place=place, document=reader.number)
        )
    if reader.problems:
        raise RefusedPolicy(reader.problems[:MOST_PROBLEMS])
    return tuple(reader.documents)


def read_objects(objects: object) -> tuple[Document, ...]:
    """Documents that came as a JSON list of objects, which names no lines."""
    if not isinstance(objects, list):
        raise RefusedPolicy([Problem("There are no objects.", expected='{"objects": [{"kind": …}, …]}')])
    try:
        return tuple(Document(number, _node_of(each, 1)) for number, each in enumerate(objects, start=1))
    except ValueError as failure:
        raise RefusedPolicy([Problem(str(failure))]) from failure


def load_json(raw: bytes) -> Any:
    """Read JSON in which no name stands twice; raises RefusedPolicy and TooLarge."""
    if len(raw) > MOST_BYTES:
        raise TooLarge
    try:
        return json.loads(raw, object_pairs_hook=_once_each)
    except RecursionError as failure:
        raise RefusedPolicy([Problem(f"It is nested deeper than {MOST_DEPTH} levels.")]) from failure
    except ValueError as failure:
        line = getattr(failure, "lineno", 0)
        place = Place(line, getattr(failure, "colno", 0))
        message = f"This is no JSON: {failure}." if not line else "This is no JSON."
        raise RefusedPolicy([Problem(message, place=place)]) from failure


class _Reader:
    """Builds nodes from events, with a stack of its own: depth costs no recursion."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self.number = 0
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0

    def take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.number += 1
                self._root = None
            case yaml.DocumentEndEvent():
                # `---` alone, or a file of comments: nothing was meant.
                if self._root is not None and not (isinstance(self._root, Scalar) and self._root.is_null):
                    self.documents.append(Document(self.number, self._root))
            case yaml.AliasEvent():
                self._refuse(event, "Anchors and aliases are not read here.", "the value written out")
                self._put(Scalar("", True, _place(event)))
            case yaml.ScalarEvent():
                self._check(event)
                self._put(Scalar(event.value, event.style in (None, ""), _place(event)))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._check(event)
                if len(self._stack) >= MOST_DEPTH:
                    self._refuse(event, f"It is nested deeper than {MOST_DEPTH} levels.", "")
                    raise RefusedPolicy(self.problems)
                self._stack.append(_Open(_place(event), isinstance(event, yaml.MappingStartEvent)))
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                closed = self._stack.pop()
                if closed.is_mapping:
                    self._put(Fields(tuple(closed.entries.values()), closed.place))
                else:
                    self._put(Items(tuple(closed.items), closed.place))
            case _:
                return
        if self._nodes > MOST_NODES or self.number > MOST_DOCUMENTS or len(self.problems) > MOST_PROBLEMS:
            self._refuse(
                event, "There is too much in it.", f"at most {MOST_NODES:,} values, {MOST_DOCUMENTS:,} documents"
            )
            raise RefusedPolicy(self.problems[-MOST_PROBLEMS:])

    def _put(self, node: Node) -> None:
        self._nodes += 1
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if not top.is_mapping:
            top.items.append(node)
        elif top.key is None:
            top.key = self._key(node)
        else:
            # The first of two equal names stays; the second was refused.
            top.entries.setdefault(top.key.text, (top.key, node))
            top.key = None

    def _key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            self._refuse_at(node.place, "A name of a field must be text.", "name: value")
            return Scalar(f"\x00{self._nodes}", False, node.place)
        if node.is_plain and node.text == "<<":
            self._refuse_at(node.place, "Merge keys are not read here.", "the fields written out")
        earlier = self._stack[-1].entries.get(node.text)
        if earlier is not None:
            line = earlier[0].place.line
            self._refuse_at(
                node.place, f"{node.text[:80]!r} stands here twice; first in line {line}.", "each name once"
            )
        return node

    def _check(self, event: Any) -> None:
        if event.tag is not None:
            self._refuse(event, f"Tags such as {str(event.tag)[:60]} are not read here.", "the value without a tag")
        if event.anchor is not None:
            self._refuse(event, "Anchors and aliases are not read here.", "the value without an anchor")

    def _refuse(self, event: Any, message: str, expected: str) -> None:
        self._refuse_at(_place(event), message, expected)

    def _refuse_at(self, place: Place, message: str, expected: str) -> None:
        self.problems.append(Problem(message, expected, document=self.number, place=place))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _unreadable(failure: yaml.MarkedYAMLError, number: int) -> Problem:
    mark = failure.problem_mark or failure.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place()
    what = " ".join(part for part in (failure.context, failure.problem) if part)
    expected = "spaces for indentation, no tabs" if "\\t" in what or "tab" in what else ""
    return Problem(f"This cannot be read as YAML: {what}.", expected, document=max(number, 1), place=place)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} stands twice in one object")
    return found


def _node_of(value: Any, depth: int) -> Node:
    if depth > MOST_DEPTH:
        raise ValueError(f"It is nested deeper than {MOST_DEPTH} levels.")
    match value:
        case dict():
            return Fields(tuple((Scalar(name, False), _node_of(inner, depth + 1)) for name, inner in value.items()))
        case list():
            return Items(tuple(_node_of(inner, depth + 1) for inner in value))
        case str():
            return Scalar(value, False)
        case None:
            return Scalar("null", True)
        case bool():
            return Scalar("true" if value else "false", True)
        case _:
            return Scalar(str(value), True)


def walk(node: Node, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Scalar]]:
    """Every scalar below a node, with its path."""
    match node:
        case Scalar():
            yield path, node
        case Items():
            for position, inner in enumerate(node.items):
                yield from walk(inner, (*path, position))
        case Fields():
            for key, inner in node.entries:
                yield from walk(inner, (*path, key.text))
