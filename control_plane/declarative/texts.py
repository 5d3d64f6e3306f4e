"""Compare texts that were written here: document by document, and line by line. Pure.

The text of an object is canonical, so equal objects are equal texts, and only what differs has to be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff

from control_plane.declarative.differences import ObjectChange, object_changes
from control_plane.declarative.kinds.kind import Key, PolicyObject
from control_plane.declarative.reading import objects_in

SEPARATOR = "---\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of two texts side by side. Numbers from 1; 0: there is no line on that side."""

    left_number: int
    left: str
    right_number: int
    right: str
    is_changed: bool


def documents_of(text: str) -> Mapping[tuple[str, ...], str]:
    """The documents of a text by their head: version, kind and name."""
    bare = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return {tuple(each.split("\n", 3)[:3]): each for each in bare.split(SEPARATOR) if each.strip()}


def changes_between(before: str, after: str) -> list[ObjectChange]:
    """What differs between two texts, object by object."""
    old, new = documents_of(before), documents_of(after)
    differing = {head for head in old.keys() | new.keys() if old.get(head) != new.get(head)}
    return object_changes(_objects(old, differing), _objects(new, differing))


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


def _objects(documents: Mapping[tuple[str, ...], str], heads: set[tuple[str, ...]]) -> dict[Key, PolicyObject]:
    return objects_in(SEPARATOR.join(documents[head] for head in sorted(heads) if head in documents))
