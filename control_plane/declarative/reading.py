"""Documents to wanted objects: every mistake of the file at once. Pure.

What only the organization can tell (is there such a team, does the provider serve the model) comes later (`execution`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control_plane.declarative.kinds.catalog import LATER, kinds
from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Wanted
from control_plane.declarative.nodes import Document, Fields, Findings, Problem, RefusedPolicy, Scalar
from control_plane.declarative.parsing import MOST_PROBLEMS, read_yaml, walk
from control_plane.declarative.shapes import INVALID, Text, looks_secret, nearest
from control_plane.declarative.writing import API_VERSION

PARTS = ("apiVersion", "kind", "metadata", "spec")
_NAME = Text(254, "a name", may_be_empty=False)


@dataclass(frozen=True, slots=True)
class Deferred:
    """A document that is right and that this version cannot do yet: it stays in the file and is not applied."""

    key: Key
    document: int
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a file asks for."""

    wanted: Mapping[Key, Wanted]
    deferred: tuple[Deferred, ...] = ()

    def names(self, key: Key) -> bool:
        """Whether the file speaks of an object, applied or not."""
        return key in self.wanted or any(each.key == key for each in self.deferred)


def read_policy(documents: Sequence[Document]) -> PolicyFile:
    """Read all documents; raises RefusedPolicy with everything that is wrong with any of them."""
    wanted: dict[Key, Wanted] = {}
    deferred: list[Deferred] = []
    seen: dict[Key, Document] = {}
    problems: list[Problem] = []
    for document in documents:
        findings = Findings(document)
        key, found = _read_document(document, findings)
        if key is not None:
            if key in seen:
                first = seen[key]
                findings.add(
                    ("metadata", "name"),
                    f"{key} stands in the file twice; first in document {first.number}, line {first.root.place.line}.",
                    expected="each object once",
                )
            seen.setdefault(key, document)
        if findings.later and key is not None and not findings.problems:
            kind = LATER.get(key.kind)
            why = (
                f"The kind {key.kind} ({kind}) arrives with a later version."
                if kind is not None
                else f"This arrives with a later version: {', '.join(findings.later)}."
            )
            deferred.append(Deferred(key, document.number, document.root.place.line, why))
        elif found is not None:
            wanted[found.object.key] = found
        problems += findings.problems
    if problems:
        raise RefusedPolicy(problems[:MOST_PROBLEMS])
    return PolicyFile(wanted, tuple(deferred))


def objects_in(text: str) -> dict[Key, PolicyObject]:
    """The objects of a text that was written here; those that this version no longer understands are left out."""
    found: dict[Key, PolicyObject] = {}
    for document in read_yaml(text.encode()):
        _, wanted = _read_document(document, Findings(document, is_own=True))
        if wanted is not None:
            found[wanted.object.key] = wanted.object
    return found


def _read_document(document: Document, findings: Findings) -> tuple[Key | None, Wanted | None]:
    root = document.root
    if not isinstance(root, Fields):
        findings.add((), "A document must be fields.", expected="kind, metadata and spec")
        return None, None
    for part, _ in root.entries:
        if part.text not in PARTS:
            findings.add(
                (part.text,),
                f"There is no field {part.text[:80]!r} here.",
                expected="apiVersion, kind, metadata and spec",
                suggestion=nearest(part.text, PARTS),
            )
    version = root.get("apiVersion")
    if version is not None and not (isinstance(version, Scalar) and version.text == API_VERSION):
        findings.add(("apiVersion",), "This version of the format is not known here.", expected=API_VERSION)
    kind_name = _kind_name(root, findings)
    name = _name_of(root, kinds().get(kind_name), findings)
    findings.named(kind_name, name)
    key = Key(kind_name, name) if kind_name and name else None
    kind = kinds().get(kind_name)
    if kind is None:
        if kind_name in LATER:
            _check_secrets(root, findings)
            findings.later.append(kind_name)
        return key, None
    spec_node = root.get("spec")
    if spec_node is None:
        findings.add((), "The field 'spec' is missing.", expected=f"spec: {kind.spec.form}")
        return key, None
    spec: Any = kind.spec.read(spec_node, ("spec",), findings)
    if spec is INVALID or key is None or findings.problems or findings.later:
        return key, None
    spec = kind.checked(spec, findings)
    if spec is INVALID:
        return key, None
    refined, secrets = kind.refine(spec, document)
    return key, Wanted(PolicyObject(key, refined), document, secrets)


def _kind_name(root: Fields, findings: Findings) -> str:
    node = root.get("kind")
    if not isinstance(node, Scalar) or node.is_null:
        findings.add(("kind",), "The field 'kind' is missing.", expected=f"one of {', '.join(kinds())}")
        return ""
    if node.text in kinds() or node.text in LATER:
        return node.text
    findings.add(
        ("kind",),
        f"There is no kind {node.text[:60]!r}.",
        expected=f"one of {', '.join(kinds())}",
        suggestion=nearest(node.text, (*kinds(), *LATER)),
    )
    return ""


def _name_of(root: Fields, kind: Kind | None, findings: Findings) -> str:
    metadata = root.get("metadata")
    if not isinstance(metadata, Fields):
        findings.add(("metadata",), "The field 'metadata' is missing.", expected="metadata: {name: …}")
        return ""
    for key, _ in metadata.entries:
        if key.text != "name":
            findings.add(
                ("metadata", key.text),
                f"There is no field {key.text[:80]!r} here.",
                expected="name alone",
                suggestion=nearest(key.text, ("name",)),
            )
    node = metadata.get("name")
    if node is None:
        findings.add(("metadata",), "The name is missing.", expected="metadata: {name: …}")
        return ""
    shape = _NAME if kind is None else kind.name_shape
    name = shape.read(node, ("metadata", "name"), findings)
    return "" if name is INVALID else str(name)


def _check_secrets(root: Fields, findings: Findings) -> None:
    for path, scalar in walk(root):
        if looks_secret(scalar.text):
            findings.add(path, "This looks like a secret.", expected="no secrets in a file")
