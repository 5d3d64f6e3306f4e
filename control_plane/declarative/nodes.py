"""What a policy file is made of before anybody knows what it means: nodes that remember where they stand. Pure.

A scalar keeps its text and whether it was plain; the field that reads it decides what it is. So `no`, `1e3`, `12:30`
and dates stay text where text is wanted, and nothing depends on which YAML version a reader had in mind.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Counted from 1; 0: not known (JSON)."""

    line: int = 0
    column: int = 0


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    is_plain: bool
    """Written without quotes (in JSON: no string)."""
    place: Place = NOWHERE

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.text in ("", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Items:
    items: "tuple[Node, ...]"
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Fields:
    entries: "tuple[tuple[Scalar, Node], ...]"
    """In the order written; no name twice."""
    place: Place = NOWHERE

    def get(self, name: str) -> "Node | None":
        return next((node for key, node in self.entries if key.text == name), None)


Node = Scalar | Items | Fields


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file. number: from 1."""

    number: int
    root: Node = field(repr=False)
    """Never shown: a value that was given stands in it."""

    def place_of(self, path: Path) -> Place:
        """Where a path leads, or the nearest that there is of it."""
        node, place = self.root, self.root.place
        for step in path:
            if isinstance(node, Fields) and isinstance(step, str):
                entry = next(((key, inner) for key, inner in node.entries if key.text == step), None)
                if entry is None:
                    break
                key, node = entry
                place = key.place
            elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                place = node.place
            else:
                break
        return place


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file, told so that it can be mended without asking."""

    message: str
    expected: str = ""
    """The right form."""
    suggestion: str = ""
    """The nearest spelling that there is."""
    document: int = 0
    """From 1; 0: the file as a whole."""
    place: Place = NOWHERE
    kind: str = ""
    name: str = ""
    path: Path = ()
    is_forbidden: bool = False
    """The file is right, but whoever brings it may not do that."""

    @property
    def field(self) -> str:
        return path_text(self.path)

    @property
    def sentence(self) -> str:
        """Everything in one line, without the place."""
        parts = [self.message]
        if self.suggestion:
            parts.append(f"Did you mean {self.suggestion}?")
        if self.expected:
            parts.append(f"Right would be: {self.expected}.")
        return " ".join(parts)


class RefusedPolicy(Exception):
    """The file as a whole is refused; nothing of it was done."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems in the policy")
        self.problems = tuple(sorted(problems, key=lambda it: (it.document, it.place.line, it.place.column)))


@dataclass(slots=True)
class Findings:
    """Collects problems of one document, so that all are told at once."""

    document: Document
    kind: str = ""
    name: str = ""
    problems: list[Problem] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    """What the document asks for that a later version does."""
    is_own: bool = False
    """Written by us from what is there: not looked through for secrets that somebody typed in the wrong place."""

    def add(
        self, path: Path, message: str, *, expected: str = "", suggestion: str = "", place: Place | None = None
    ) -> None:
        self.problems.append(
            Problem(
                message,
                expected,
                suggestion,
                self.document.number,
                place or self.document.place_of(path),
                self.kind,
                self.name,
                path,
            )
        )

    def named(self, kind: str, name: str) -> None:
        """From now on, and for what was found so far."""
        self.kind, self.name = kind, name
        self.problems[:] = [replace(problem, kind=kind, name=name) for problem in self.problems]


def path_text(path: Path) -> str:
    """`spec.targets[0].model`."""
    return "".join(_steps(path)).removeprefix(".")


def _steps(path: Path) -> Iterator[str]:
    for step in path:
        yield f"[{step}]" if isinstance(step, int) else f".{step}"


_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def path_of(text: str) -> Path:
    """The path that `path_text` wrote: `when.subjects[1]`."""
    return tuple(int(position) if position else name for name, position in _STEP.findall(text))
