"""JSON with comments and trailing commas, edited in place: what is not changed keeps every byte.

Reads what the tools read: `//` and `/* */` comments and a comma before a closing bracket. Writes plain JSON entries in
the indentation that is already there.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from deploy.remote.setup.document import ABSENT, Path, Unreadable

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_DEEPEST = 100


@dataclass(slots=True)
class _Node:
    """A value and where it stands in the text. members: of an object."""

    start: int
    end: int
    value: Any
    members: list["_Member"] | None = None
    has_trailing_comma: bool = False


@dataclass(slots=True)
class _Member:
    name: str
    start: int
    node: _Node


class JsonFile:
    """The text of one file. Raises Unreadable when it is no object, or names one entry twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._root = _parse(text) if _BLANK.sub("", text) else None

    def text(self) -> str:
        return self._text

    def is_empty(self) -> bool:
        return not self._text.strip() or (
            self._root is not None and not self._root.members and not re.sub(r"[{}\s\ufeff]", "", self._text)
        )

    def get(self, path: Path) -> Any:
        node: _Node | None = self._root
        for depth, name in enumerate(path):
            if node is None:
                return ABSENT
            if node.members is None:
                raise Unreadable(f"{'.'.join(path[:depth])} is no object")
            found = next((member for member in node.members if member.name == name), None)
            node = None if found is None else found.node
        return ABSENT if node is None else node.value

    def set(self, path: Path, value: Any) -> None:
        if self._root is None:
            self._replace(len(self._text), len(self._text), "{}\n")
        node = self._root
        assert node is not None
        for depth, name in enumerate(path):
            if node.members is None:
                raise Unreadable(f"{'.'.join(path[:depth])} is no object")
            found = next((member for member in node.members if member.name == name), None)
            if found is None:
                self._insert(node, path[depth:], value)
                return
            node = found.node
        self._replace(node.start, node.end, self._written(value, self._indent_before(node.start)))

    def remove(self, path: Path) -> None:
        if self.get(path) is ABSENT:
            return
        node = self._root
        assert node is not None
        assert node.members is not None
        for name in path[:-1]:
            node = next(member.node for member in node.members or () if member.name == name)
        assert node.members is not None
        place = next(number for number, member in enumerate(node.members) if member.name == path[-1])
        member = node.members[place]
        is_last = place == len(node.members) - 1
        after = _BLANK.match(self._text, member.node.end)
        assert after is not None
        comma = after.end() if self._text[after.end() : after.end() + 1] == "," else None
        if len(node.members) == 1:
            start, end = member.start, (member.node.end if comma is None else comma + 1)
            if not self._text[node.start + 1 : start].strip() and not self._text[end : node.end - 1].strip():
                start, end = node.start + 1, node.end - 1
            self._replace(start, end, "")
        elif is_last:
            former = node.members[place - 1].node.end
            # The comma before goes with it, so that none is left at the end; a comment between stays.
            blank = _BLANK.match(self._text, former)
            assert blank is not None
            kept = self._text[blank.end() + 1 : member.start]
            kept = self._text[former : blank.end()] + ("" if not kept.strip() else kept.rstrip())
            end = member.node.end if comma is None else comma
            self._replace(former, end, kept)
        else:
            assert comma is not None
            self._replace(member.start, self._line_rest(comma + 1, node.members[place + 1].start), "")

    def _line_rest(self, at: int, next_start: int) -> int:
        """Behind a removed member: up to the next one, unless a comment stands between that is not ours."""
        return next_start if not self._text[at:next_start].strip() else at

    def _insert(self, node: _Node, path: Path, value: Any) -> None:
        assert node.members is not None
        for name in reversed(path[1:]):
            value = {name: value}
        if node.members:
            last = node.members[-1]
            indent = self._indent_before(last.start)
            is_one_line = "\n" not in self._text[node.start : node.end]
            entry = f"{json.dumps(path[0], ensure_ascii=False)}: {self._written(value, indent)}"
            gap = " " if is_one_line else f"{self._newline()}{indent}"
            if node.has_trailing_comma:
                blank = _BLANK.match(self._text, last.node.end)
                assert blank is not None
                self._replace(blank.end() + 1, blank.end() + 1, f"{gap}{entry},")
            else:
                self._replace(last.node.end, last.node.end, f",{gap}{entry}")
            return
        outer = self._indent_before(node.start)
        indent = outer + self._step()
        entry = f"{json.dumps(path[0], ensure_ascii=False)}: {self._written(value, indent)}"
        inside = self._text[node.start + 1 : node.end - 1].rstrip()
        line = self._newline()
        self._replace(node.start + 1, node.end - 1, f"{inside}{line}{indent}{entry}{line}{outer}")

    def _written(self, value: Any, indent: str) -> str:
        text = json.dumps(value, indent=self._step(), ensure_ascii=False)
        return text.replace("\n", self._newline() + indent)

    def _replace(self, start: int, end: int, text: str) -> None:
        self._text = self._text[:start] + text + self._text[end:]
        self._root = _parse(self._text)

    def _indent_before(self, at: int) -> str:
        line = self._text[self._text.rfind("\n", 0, at) + 1 : at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _step(self) -> str:
        """One step of indentation: that of the first member of the file."""
        if self._root is not None and self._root.members:
            indent = self._indent_before(self._root.members[0].start)
            if indent and "\n" in self._text[: self._root.members[0].start]:
                return indent
        return "  "

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self._text else "\n"


def _parse(text: str) -> _Node:
    reader = _Reader(text)
    node = reader.value(reader.blank(0), 0)
    if reader.blank(node.end) != len(text):
        raise reader.problem("something stands behind the end", reader.blank(node.end))
    if node.members is None:
        raise reader.problem("the file must hold one object, { … }", node.start)
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def problem(self, why: str, at: int) -> Unreadable:
        return Unreadable(why, self._text.count("\n", 0, at) + 1)

    def blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        assert found is not None
        return found.end()

    def value(self, at: int, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise self.problem("it is nested too deep", at)
        sign = self._text[at : at + 1]
        if sign == "{":
            return self._object(at, depth)
        if sign == "[":
            return self._list(at, depth)
        found = _STRING.match(self._text, at) if sign == '"' else _SCALAR.match(self._text, at)
        if found is None:
            raise self.problem("a value was expected" if sign else "the file ends too early", at)
        return _Node(at, found.end(), json.loads(found.group()))

    def _object(self, start: int, depth: int) -> _Node:
        members: list[_Member] = []
        at, has_comma = self.blank(start + 1), False
        while self._text[at : at + 1] != "}":
            if members and not has_comma:
                raise self.problem("a comma or } was expected", at)
            found = _STRING.match(self._text, at)
            if found is None:
                raise self.problem("a name in quotes was expected", at)
            name, colon = json.loads(found.group()), self.blank(found.end())
            if self._text[colon : colon + 1] != ":":
                raise self.problem(f"a colon was expected behind {name!r}", colon)
            if any(member.name == name for member in members):
                raise self.problem(f"{name!r} stands there twice", at)
            node = self.value(self.blank(colon + 1), depth + 1)
            members.append(_Member(name, at, node))
            at = self.blank(node.end)
            has_comma = self._text[at : at + 1] == ","
            if has_comma:
                at = self.blank(at + 1)
        value = {member.name: member.node.value for member in members}
        return _Node(start, at + 1, value, members, has_comma)

    def _list(self, start: int, depth: int) -> _Node:
        values: list[Any] = []
        at, has_comma = self.blank(start + 1), False
        while self._text[at : at + 1] != "]":
            if values and not has_comma:
                raise self.problem("a comma or ] was expected", at)
            node = self.value(at, depth + 1)
            values.append(node.value)
            at = self.blank(node.end)
            has_comma = self._text[at : at + 1] == ","
            if has_comma:
                at = self.blank(at + 1)
        return _Node(start, at + 1, values)
