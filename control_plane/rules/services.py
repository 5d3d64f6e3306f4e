"""Change rules of any kind. Each app says how its own fields are read, written and checked (`RuleKind`).

What comes in is a spec: the fields of REST and of YAML, with subjects by name. So a form, a REST body and a policy file
are refused alike, with every error at once, by field.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.audit.services import Actor, ShardKind, record_change
from control_plane.audit.services import Subject as AuditSubject
from control_plane.organizations.models import Organization
from control_plane.rules.conditions import loaded, loaded_all
from control_plane.rules.models import GroupedRuleFields, Mode, RuleFields, rule_name_is_plain
from control_plane.rules.problems import Problems
from control_plane.rules.reading import Spec, SpecReader
from control_plane.rules.reading_conditions import World, read_when, subjects_of, when_spec
from control_plane.rules.subjects import Directory

R = TypeVar("R", bound=RuleFields)
MOST_RULES = 2000
"""Of a kind in an organization: pods hold them all."""


class NameTaken(ValidationError):
    """There is a rule of this name already; told as a conflict."""

    is_conflict = True


class RuleChanged(ValidationError):
    """The rule is not as it was when the change was begun; nothing was done."""

    def __init__(self) -> None:
        super().__init__("Somebody has changed this rule meanwhile.")


class RuleKind(ABC, Generic[R]):
    """A kind of rule: its row, and what its own fields mean."""

    noun: ClassVar[str]
    """Of audit entries: access_rule, budget, …"""
    title: ClassVar[str]
    """In sentences: access rule, budget, …"""
    model: type[R]

    @abstractmethod
    def read(self, reader: SpecReader, world: World) -> dict[str, Any]:
        """Read the fields of this kind alone, as columns."""

    @abstractmethod
    def write(self, row: R) -> dict[str, Any]:
        """The fields of this kind alone, as a spec has them; defaults too."""

    @abstractmethod
    def sentence(self, row: R, directory: Directory) -> str:
        """What the rule means, in words."""

    def check(self, row: R, world: World, problems: Problems) -> None:
        """Find what is wrong with a rule whose fields are right: beside the others that there are."""

    def merged(self, present: Mapping[str, Any], changes: Spec) -> dict[str, Any]:
        """The spec that is meant by changing some fields of the one that is there."""
        return {**present, **changes}

    @property
    def is_grouped(self) -> bool:
        return issubclass(self.model, GroupedRuleFields)

    def spec(self, row: R, directory: Directory | None = None) -> dict[str, Any]:
        """All fields of a rule by names, in canonical form: what REST shows and a policy file holds.

        directory: one that knows the subjects of many rules; without it they are looked up.
        """
        directory = directory or Directory(row.organization)
        head: dict[str, Any] = {
            "description": row.description,
            "mode": str(row.mode),
            "when": when_spec(loaded(row.when), loaded_all(row.when_not), directory),
        }
        if isinstance(row, GroupedRuleFields):
            head["group"] = row.group
        return {**head, **self.write(row), "contact": row.contact}

    def columns(self, spec: Spec, world: World, row: R | None, problems: Problems) -> dict[str, Any]:
        """Read a whole spec as columns; adds every problem."""
        reader = SpecReader(spec, problems)
        kept = frozenset() if row is None else subjects_of(row.when, row.when_not)
        found: dict[str, Any] = {
            "description": reader.text("description"),
            "mode": reader.choice("mode", Mode.values, Mode.ENFORCE),
            "contact": reader.text("contact", most=254),
            **read_when(reader, world, kept).columns,
        }
        if self.is_grouped:
            found["group"] = reader.text("group", most=100)
            if found["group"] and (why := name_problem(found["group"])):
                reader.wrong("group", why)
        found |= self.read(reader, world)
        reader.refuse_unknown()
        return found


@transaction.atomic
def rule_create(
    kind: RuleKind[R], *, organization: Organization, name: str, spec: Spec, actor: Actor, **facts: Any
) -> R:
    """Add a rule. facts: columns that no spec carries. Raises ValidationError with everything that is wrong."""
    lock_rules(organization)
    world, problems = World.of(organization), Problems()
    name = name.strip() if isinstance(name, str) else ""
    columns = kind.columns(spec, world, None, problems)
    if kind.model._default_manager.filter(organization=organization).count() >= MOST_RULES:
        problems.add("name", f"There are {MOST_RULES:,} of this kind already, and more are not held.")
    row = kind.model(organization=organization, name=name, **facts, **columns)
    _check(kind, row, world, problems)
    row.save(force_insert=True)
    _record(kind, row, actor, "created", before=None)
    return row


@transaction.atomic
def rule_update(
    kind: RuleKind[R],
    *,
    row: R,
    actor: Actor,
    name: str | None = None,
    changes: Spec | None = None,
    replaces: bool = False,
    reason: str = "",
    seen_at: datetime | None = None,
) -> R:
    """Change a rule. changes: the fields that change, None for a field's default; `when` is given as a whole.
    replaces: changes are the whole spec. seen_at: `updated_at` of the row that the change was made from; None: whatever
    is there. Raises ValidationError with everything that is wrong, RuleChanged where the row is another by now."""
    organization = row.organization
    lock_rules(organization)
    row = kind.model._default_manager.select_related("organization").get(organization=organization, id=row.id)
    if seen_at is not None and row.updated_at != seen_at:
        raise RuleChanged
    world, problems = World.of(organization), Problems()
    before = _facts(kind, row)
    present = {} if replaces else kind.spec(row, world.directory)
    spec = kind.merged(present, changes) if isinstance(changes, Mapping) else present if changes is None else changes
    for field, value in kind.columns(spec, world, row, problems).items():
        setattr(row, field, value)
    if name is not None:
        row.name = name.strip() if isinstance(name, str) else ""
    _check(kind, row, world, problems)
    if _facts(kind, row) == before:
        return row
    row.save()
    _record(kind, row, actor, "updated", before=before, reason=reason)
    return row


@transaction.atomic
def rule_delete(kind: RuleKind[R], *, row: R, actor: Actor, reason: str = "") -> None:
    """Take a rule away."""
    before, subject = _facts(kind, row), _subject(kind, row)
    organization_id = row.organization_id
    row.delete()
    record_change(
        organization_id=organization_id,
        actor=actor,
        action=f"{kind.noun}.deleted",
        subject=subject,
        before=before,
        reason=reason,
        shards=(ShardKind.POLICY,),
    )


def rule_check(kind: RuleKind[R], *, organization: Organization, name: str, spec: Spec, row: R | None = None) -> R:
    """The rule that a spec would make, unsaved: for previews. Raises ValidationError with everything that is wrong."""
    world, problems = World.of(organization), Problems()
    columns = kind.columns(spec, world, row, problems)
    made = kind.model(organization=organization, name=name, **columns)
    if row is not None:
        made.id = row.id
    _check(kind, made, world, problems)
    return made


def lock_rules(organization: Organization) -> None:
    """Rules of an organization are changed one after the other: each is checked beside all others."""
    Organization.objects.select_for_update(no_key=True).get(id=organization.id)


def name_problem(name: str) -> str:
    """Why a text is no name of a rule or group; empty: it is one."""
    try:
        rule_name_is_plain(name)
    except ValidationError as failure:
        return str(failure.messages[0])
    return ""


def others_of(row: R) -> Any:
    """The other rules of its kind and organization."""
    return type(row)._default_manager.filter(organization_id=row.organization_id).exclude(id=row.id)


def _check(kind: RuleKind[R], row: R, world: World, problems: Problems) -> None:
    if why := name_problem(row.name):
        problems.add("name", why)
    is_taken = not why and others_of(row).filter(name=row.name).exists()
    if is_taken:
        problems.add("name", f"There is a rule {row.name!r} of this kind already.")
    if is_taken and set(problems.fields) == {"name"}:
        raise NameTaken(problems.by_field)
    if not problems:
        kind.check(row, world, problems)
    problems.raise_any()


def _facts(kind: RuleKind[R], row: R) -> dict[str, Any]:
    return {"name": row.name, **kind.spec(row)}


def _subject(kind: RuleKind[R], row: R) -> AuditSubject:
    return AuditSubject(kind.noun, row.id.hex, row.name)


def _record(
    kind: RuleKind[R], row: R, actor: Actor, verb: str, *, before: dict[str, Any] | None, reason: str = ""
) -> None:
    record_change(
        organization_id=row.organization_id,
        actor=actor,
        action=f"{kind.noun}.{verb}",
        subject=_subject(kind, row),
        before=before,
        after=_facts(kind, row),
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
