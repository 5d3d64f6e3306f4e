"""What the kinds of rules do alike: one way from a file to a rule, the same as from a form and from REST.

A spec is canonical once the rules' own reading (`RuleKind.columns`) has read it and written it back. Here it is read
twice: from the file alone, where every name is taken as it stands, and by the service, which knows who is there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from control_plane.credentials.models import Provider
from control_plane.declarative.kinds.kind import Key, Kind, PolicyObject, Present, Reference, Spec, Wanted, World
from control_plane.declarative.kinds.rows import locked_rows
from control_plane.declarative.nodes import Findings, Path, path_of
from control_plane.declarative.rule_shapes import RULE_NAME
from control_plane.declarative.shapes import INVALID, short_spec
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Permission
from control_plane.rules.conditions import Subject, loaded_all
from control_plane.rules.globs import is_glob
from control_plane.rules.models import RuleFields
from control_plane.rules.models_named import ModelNames
from control_plane.rules.problems import Problems
from control_plane.rules.reading_conditions import World as RuleWorld
from control_plane.rules.reading_conditions import subjects_of
from control_plane.rules.services import RuleKind, rule_create, rule_delete, rule_update
from control_plane.rules.subjects import Directory, NamedSubject

R = TypeVar("R", bound=RuleFields)

_ID = re.compile(r"[0-9a-fA-F]{32}")
_OBJECTS = {"team": "Team", "user": "User", "service_account": "ServiceAccount"}
"""Subjects that are objects of a file."""


class NamesAlone(Directory):
    """Takes every name as it stands: who is there is looked at later."""

    def __init__(self) -> None:
        super().__init__(Organization())

    def find(self, text: str, *, kept: Iterable[Subject] = ()) -> Subject:
        kind, _, value = text.strip().partition(":")
        value = value.strip()
        if kind in (*_OBJECTS, "key") and value:
            return Subject(kind, value.lower() if kind == "user" else value)
        return super().find(text)

    def named(self, subject: Subject) -> NamedSubject:
        return NamedSubject(subject, subject.value)


class AnyModels(ModelNames):
    """Takes every model as it stands."""

    def wrong_with(self, name: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class FileWorld(RuleWorld):
    """What a file may name before anybody looks at an organization: anything."""

    def channels(self) -> None:
        return None


class RuleObjects(Kind, Generic[R]):
    """A kind of rule in a file."""

    rules: ClassVar[RuleKind[Any]]
    name_shape = RULE_NAME
    read_right = Permission.RULES_READ
    manage_right = Permission.POLICY_MANAGE
    tries_again = True
    removes_first = True

    def checked(self, spec: Spec, findings: Findings) -> Any:
        problems = Problems()
        found = self._canonical(self.said(spec), self._file_world(spec), problems)
        for field, messages in problems.by_field.items():
            for message in messages:
                findings.add(("spec", *path_of(field)), message)
        return INVALID if problems else found

    def present(self, organization: Organization, *, locks: bool = False) -> Sequence[Present]:
        rows = locked_rows(self._rows(organization), locks=locks)
        directory = Directory.of(organization, [each for row in rows for each in loaded_all([row.when, *row.when_not])])
        for row in rows:
            row.organization = organization
        return [
            Present(PolicyObject(Key(self.name, row.name), self._tidied(self.rules.spec(row, directory))), row)
            for row in rows
        ]

    def references(self, spec: Spec) -> Iterator[Reference]:
        yield from _subject_references(spec["when"], ("spec", "when"))

    def settled(self, wanted: Wanted, present: Present | None) -> Wanted:
        if present is None or wanted.spec == present.spec:
            return wanted
        # Keys go by their ids, whatever the file calls them; only the organization knows.
        row, problems = present.row, Problems()
        kept = subjects_of(row.when, row.when_not)
        world = RuleWorld.of(row.organization)
        spec = self._canonical(self.said(wanted.spec), world, problems, row=row if kept else None)
        if problems:
            return wanted
        return Wanted(PolicyObject(wanted.object.key, spec), wanted.document, wanted.secrets)

    def create(self, world: World, wanted: Wanted) -> None:
        rule_create(
            self.rules,
            organization=world.organization,
            name=wanted.object.key.name,
            spec=self.said(wanted.spec),
            actor=world.actor,
        )

    def update(self, world: World, present: Present, wanted: Wanted) -> None:
        rule_update(
            self.rules,
            row=present.row,
            changes=self.said(wanted.spec),
            replaces=True,
            actor=world.actor,
            reason=world.reason,
        )

    def delete(self, world: World, present: Present) -> None:
        rule_delete(self.rules, row=present.row, actor=world.actor, reason=world.reason)

    def said(self, spec: Spec) -> dict[str, Any]:
        """The fields that are more than their defaults: what a body of REST would hold."""
        return short_spec(self.spec, spec)

    def _rows(self, organization: Organization) -> Any:
        return self.rules.model._default_manager.filter(organization=organization)

    def _file_world(self, spec: Spec) -> RuleWorld:
        return FileWorld(Organization(), NamesAlone(), AnyModels())

    def _canonical(self, spec: Spec, world: RuleWorld, problems: Problems, row: Any = None) -> Spec:
        """Read and write back; the spec of a rule whose problems were added means nothing."""
        columns = self.rules.columns(spec, world, row, problems)
        if problems:
            return spec
        return self._tidied(self.rules.spec(self.rules.model(name="", **columns), world.directory))

    def _tidied(self, spec: dict[str, Any]) -> Spec:
        """The fields in the order of the shape."""
        return {field.name: spec[field.name] for field in self.spec.fields}


def provider_references(parts: Mapping[str, Any] | None, path: Path) -> Iterator[Reference]:
    """The providers that a list names; globs name nobody."""
    for position, name in enumerate((parts or {}).get("providers", ())):
        if not is_glob(name):
            yield Reference((*path, "providers", position), Key("Provider", name))


def providers_named(*parts: Mapping[str, Any] | None) -> tuple[Provider, ...]:
    """Providers that stand for the names that a file gives."""
    return tuple(Provider(name=name) for each in parts for name in (each or {}).get("providers", ()))


def _subject_references(when: Mapping[str, Any], path: Path) -> Iterator[Reference]:
    for position, text in enumerate(when.get("subjects", ())):
        kind, _, name = text.partition(":")
        if kind in _OBJECTS and _ID.fullmatch(name) is None:
            yield Reference((*path, "subjects", position), Key(_OBJECTS[kind], name))
    excluded = when.get("not", {})
    if isinstance(excluded, Mapping):
        if excluded:
            yield from _subject_references(excluded, (*path, "not"))
    else:
        for position, each in enumerate(excluded):
            yield from _subject_references(each, (*path, "not", position))
