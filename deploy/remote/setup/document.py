"""A configuration file as text that can be edited entry by entry, everything else in it left as it is.

Pure: text in, text out. One module per format; this one holds what they share, and applies lists of changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

Path = tuple[str, ...]


class Absent(Enum):
    """The value of an entry that is not there."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Unreadable(Exception):
    """The file is broken. line: where, counted from 1; 0 where that is not known."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.why, self.line = why, line


class Document(Protocol):
    """One file's text. Values are what JSON has: text, numbers, booleans, None, lists, and objects as dicts."""

    def get(self, path: Path) -> Any:
        """The value at a path, or ABSENT. Raises Unreadable when the way there leads through something else."""
        ...

    def set(self, path: Path, value: Any) -> None:
        """Put a value there; what is missing on the way is made."""
        ...

    def remove(self, path: Path) -> None:
        """Take an entry out; nothing happens where there is none."""
        ...

    def is_empty(self) -> bool:
        """Whether nothing is in it any more, not even a comment."""
        ...

    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Change:
    """An entry as it shall be. value ABSENT: it shall not be there."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A change that was made: what was there before, and which of the objects above it had to be made."""

    path: Path
    before: Any
    after: Any
    made_parents: tuple[Path, ...] = ()


def apply(document: Document, changes: Sequence[Change]) -> list[Entry]:
    """Make changes; those that change nothing leave no entry. Raises Unreadable."""
    entries = []
    for change in changes:
        before = document.get(change.path)
        if before == change.value and type(before) is type(change.value):
            continue
        parents = [change.path[:depth] for depth in range(1, len(change.path))]
        made = tuple(parent for parent in parents if document.get(parent) is ABSENT)
        if change.value is ABSENT:
            document.remove(change.path)
        else:
            document.set(change.path, change.value)
        entries.append(Entry(change.path, before, change.value, made))
    return entries


def take_out(document: Document, entries: Sequence[Entry]) -> list[Path]:
    """Undo entries, the last first; give back those the person has changed since, which stay as they are now."""
    kept = []
    for entry in reversed(entries):
        try:
            now = document.get(entry.path)
        except Unreadable:
            # The way there holds something else now: the person's own doing.
            kept.append(entry.path)
            continue
        if now != entry.after:
            kept.append(entry.path)
            continue
        if entry.before is ABSENT:
            document.remove(entry.path)
            for parent in reversed(entry.made_parents):
                if document.get(parent) == {}:
                    document.remove(parent)
        else:
            document.set(entry.path, entry.before)
    return kept


def leaves(settings: Mapping[str, Any], whole: Sequence[Path] = (), at: Path = ()) -> Iterator[Change]:
    """The changes that nested settings mean: one per value; one for an object whose path begins with one of `whole`.

    whole: objects that are ours entirely, so that what a former run put there does not stay.
    """
    for name, value in settings.items():
        path = (*at, name)
        if isinstance(value, Mapping) and path not in whole:
            yield from leaves(value, whole, path)
        else:
            yield Change(path, value)
