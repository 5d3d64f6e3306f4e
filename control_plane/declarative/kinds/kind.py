"""What a kind is: its schema, its rows as documents, and how a document becomes true through the app's services."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from control_plane.audit.services import Actor
from control_plane.declarative.nodes import Document, Findings, Path
from control_plane.declarative.shapes import Record, Text
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission, Standing

Spec = Mapping[str, Any]
"""The fields of an object in canonical form: every field is there, defaults too; plain values as JSON has them."""


@dataclass(frozen=True, slots=True)
class Key:
    """What an object is called, uniquely in its organization."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class PolicyObject:
    """An object of an organization, or of a file."""

    key: Key
    spec: Spec


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that a file asks for."""

    object: PolicyObject
    document: Document
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values that were given and are in no spec."""

    @property
    def spec(self) -> Spec:
        return self.object.spec


@dataclass(frozen=True, slots=True)
class Present:
    """An object that is there, with its row."""

    object: PolicyObject
    row: Any

    @property
    def spec(self) -> Spec:
        return self.object.spec


@dataclass(frozen=True, slots=True)
class Reference:
    """That a spec names another object."""

    path: Path
    key: Key


@dataclass(frozen=True, slots=True)
class World:
    """In whose name and where something is done."""

    organization: Organization
    actor: Actor
    standing: Standing
    reason: str = ""


class Kept(Exception):
    """The object cannot be taken away; the message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that no file can carry and that is not there either."""

    key: Key
    field: str
    message: str


class Kind(ABC):
    """One kind. A subclass in a file of its own, exported there as KIND."""

    name: ClassVar[str]
    title: ClassVar[str]
    """One sentence: what it is."""
    order: ClassVar[int]
    """What others refer to comes first; taking away goes the other way round."""
    name_shape: ClassVar[Text]
    spec: ClassVar[Record]
    read_right: ClassVar[Permission]
    manage_right: ClassVar[Permission]
    subject_kinds: ClassVar[frozenset[str]]
    """Subjects of the audit whose changes are changes of this kind."""
    removes_on_restore: ClassVar[bool] = True
    """Whether going back to an earlier revision takes away what came after it, without being asked to."""
    tries_again: ClassVar[bool] = False
    """Whether what is refused may only stand in the way of another object of the file, so that it is tried twice."""
    removes_first: ClassVar[bool] = False
    """Whether what goes makes room for what comes, and nothing rests on it."""
    field_names: ClassVar[Mapping[str, Path]] = {}
    """Fields as services call them, where a spec calls them otherwise."""
    example: ClassVar[str]

    def refine(self, spec: dict[str, Any], wanted: Document) -> tuple[dict[str, Any], dict[str, str]]:
        """Take what must not be in a spec out of one that was read: gives the spec and the secrets."""
        return spec, {}

    def checked(self, spec: Spec, findings: Findings) -> Any:
        """A spec whose fields are right, looked at as a whole: in its one form, or INVALID after telling why."""
        return spec

    def references(self, spec: Spec) -> Iterable[Reference]:
        """The other objects that a spec names."""
        return ()

    def objects(self, organization: Organization) -> Sequence[PolicyObject]:
        """All objects of an organization, to be read and nothing else."""
        return [each.object for each in self.present(organization)]

    @abstractmethod
    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        """All objects of an organization. locks: against changes until the transaction ends."""

    def settled(self, wanted: Wanted, present: Present | None) -> Wanted:
        """What a file means where that depends on what is there."""
        return wanted

    def is_new_secret(self, wanted: Wanted, present: Present) -> bool:
        """Whether a secret was given that is not the one in force."""
        return False

    def gaps(self, wanted: Wanted, present: Present | None) -> Iterator[Gap]:
        """What the file cannot say and nothing else says either."""
        return iter(())

    @abstractmethod
    def create(self, world: World, wanted: Wanted) -> None:
        """Make it. Raises ValidationError and PermissionDenied."""

    @abstractmethod
    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        """Change what differs. Raises ValidationError and PermissionDenied."""

    @abstractmethod
    def delete(self, world: World, present: Present) -> None:
        """Take it away. Raises ValidationError, PermissionDenied and Kept."""

    def finish(self, world: World, wanted: Wanted) -> None:
        """What can only be done when everything else of the file is there."""
        raise AssertionError(f"{self.name} needs no finish")

    def needs_finish(self, wanted: Wanted, present: Present | None) -> bool:
        return False
