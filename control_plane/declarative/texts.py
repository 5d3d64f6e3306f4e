"""Compare texts that were written here: document by document, and line by line. Pure.

The text of an object is canonical, so equal objects are equal texts, and only what differs has to be read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from typing import overload

from control_plane.declarative.differences import ObjectChange, object_changes
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import Key, PolicyObject
from control_plane.declarative.reading import objects_in
from control_plane.declarative.writing import kind_line

SEPARATOR = "---\n"

Head = tuple[str, ...]
"""The first three lines of a document: version, kind and name."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of two texts side by side. Numbers from 1; 0: there is no line on that side."""

    left_number: int
    left: str
    right_number: int
    right: str
    is_changed: bool


class Differences(Sequence[ObjectChange]):
    """What differs between two texts, object by object, kinds in their order.

    How many there are is known without reading any; a part of them reads only that part.
    """

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = documents_of(before), documents_of(after)
        order = {kind_line(name): position for position, name in enumerate(kinds())}
        self._heads = sorted(
            (
                head
                for head in self._before.keys() | self._after.keys()
                if self._before.get(head) != self._after.get(head)
            ),
            key=lambda head: (order.get(head[1], len(order)), head[2:]),
        )

    def __len__(self) -> int:
        return len(self._heads)

    def __iter__(self) -> Iterator[ObjectChange]:
        return iter(self._read(self._heads))

    @overload
    def __getitem__(self, index: int) -> ObjectChange: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ObjectChange]: ...

    def __getitem__(self, index: int | slice) -> ObjectChange | Sequence[ObjectChange]:
        return self._read(self._heads[index]) if isinstance(index, slice) else self._read(self._heads)[index]

    def _read(self, heads: Sequence[Head]) -> list[ObjectChange]:
        return object_changes(objects_of_documents(self._before, heads), objects_of_documents(self._after, heads))


def documents_of(text: str) -> Mapping[Head, str]:
    """The documents of a text by their head: version, kind and name."""
    bare = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return {head_of(each): each for each in bare.split(SEPARATOR) if each.strip()}


def head_of(document: str) -> Head:
    return tuple(document.split("\n", 3)[:3])


def objects_of_documents(documents: Mapping[Head, str], heads: Iterable[Head]) -> dict[Key, PolicyObject]:
    """The objects of some documents."""
    return objects_in(SEPARATOR.join(documents[head] for head in sorted(heads) if head in documents))


def changes_between(before: str, after: str) -> Differences:
    """What differs between two texts, object by object."""
    return Differences(before, after)


def unified(before: str, after: str, *, names: tuple[str, str]) -> list[str]:
    return list(
        unified_diff(before.splitlines(), after.splitlines(), fromfile=names[0], tofile=names[1], lineterm="", n=3)
    )


def side_by_side(before: str, after: str, *, around: int = 3) -> list[Line | None]:
    """Both texts in rows, with a few equal lines around what differs. None: equal lines that were left out."""
    left, right = _differing_text(before, after)
    rows: list[Line | None] = []
    groups = SequenceMatcher(a=left, b=right, autojunk=False).get_grouped_opcodes(around)
    for position, group in enumerate(groups):
        if position or group[0][1] or group[0][3]:
            rows.append(None)
        for tag, left_from, left_to, right_from, right_to in group:
            for offset in range(max(left_to - left_from, right_to - right_from)):
                at_left, at_right = left_from + offset, right_from + offset
                has_left, has_right = at_left < left_to, at_right < right_to
                rows.append(
                    Line(
                        at_left + 1 if has_left else 0,
                        left[at_left] if has_left else "",
                        at_right + 1 if has_right else 0,
                        right[at_right] if has_right else "",
                        tag != "equal",
                    )
                )
    return rows


def _differing_text(before: str, after: str) -> tuple[Sequence[str], Sequence[str]]:
    """Both texts as lines; of long ones only the documents that differ, since finding lines costs their product."""
    if before.count("\n") + after.count("\n") <= 4_000:
        return before.splitlines(), after.splitlines()
    old, new = documents_of(before), documents_of(after)
    heads = sorted(head for head in old.keys() | new.keys() if old.get(head) != new.get(head))
    return (
        SEPARATOR.join(old[head] for head in heads if head in old).splitlines(),
        SEPARATOR.join(new[head] for head in heads if head in new).splitlines(),
    )
