"""Make a file true. A plan is the same run, taken back: what it shows is what an apply does, by construction.

Order: lock, read what is there, settle what the file means, look at it whole; then make and change kind by kind, what
others refer to first; then what needs everything to be there; then take away, the other way round. Each object stands
in a savepoint, so that all that is wrong is told together; one problem takes everything back.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final

from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from control_plane.audit.models import ChainHead
from control_plane.audit.selectors import scope_of
from control_plane.declarative.differences import Action, FieldChange, ObjectChange, in_order, said_fields, spec_changes
from control_plane.declarative.effect import Effect, Picture, Uses, compare, names_of_interest
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import Gap, Kept, Key, Kind, Present, Wanted, World
from control_plane.declarative.nodes import Path, Problem, RefusedPolicy, path_of
from control_plane.declarative.pictures import picture_of, shards_touched, uses_of
from control_plane.declarative.plan import KEEP_ALL, Plan, Removal
from control_plane.declarative.reading import PolicyFile
from control_plane.declarative.rule_effect import rule_sentences
from control_plane.declarative.shapes import nearest
from control_plane.declarative.versions import policy_version
from control_plane.organizations.models import Organization

GREAT_PART: Final = 0.2
"""Of the keys, or of the objects of a kind: more than this is taken away only when somebody says so once more."""
FEW: Final = 5


class StaleBase(Exception):
    """The policy is no longer the one that the file was made for."""


class ChangedMeanwhile(Exception):
    """Somebody else made the same object at the same time; the file is not wrong."""


@dataclass(slots=True)
class _Run:
    """One run through a file."""

    world: World
    file: PolicyFile
    present: Mapping[Key, Present]
    wanted: Mapping[Key, Wanted]
    removal: Removal
    problems: list[Problem] = field(default_factory=list)
    failed: set[Key] = field(default_factory=set)

    @property
    def removable(self) -> list[Present]:
        """What is in no file, of kinds that are taken away; last made first."""
        keys = [key for key in self.present if key.kind in self.removal.kinds and not self.file.names(key)]
        return [self.present[key] for key in reversed(in_order(keys))]


def execute(
    *, world: World, file: PolicyFile, now: datetime, removal: Removal = KEEP_ALL, base_version: int | None = None
) -> Plan:
    """Do everything that the file asks for, in the caller's transaction; whoever wants a plan takes it back.

    base_version: what the file was made for; None: whatever there is. Raises RefusedPolicy, StaleBase and
    ChangedMeanwhile.
    """
    organization = world.organization
    present = {each.object.key: each for kind in kinds().values() for each in kind.present(organization, locks=True)}
    # Looked at under the locks: nobody changes these objects any more until we are done.
    version = policy_version(organization.id)
    if base_version is not None and base_version != version:
        raise StaleBase
    wanted = {key: kinds()[key.kind].settled(each, present.get(key)) for key, each in file.wanted.items()}
    run = _Run(world, file, present, wanted, removal)
    changes = list(_changes(run))
    _check_references(run)
    _check_rights(run, changes)
    _refuse_if_any(run)
    gaps = tuple(_gaps(run))
    unmanaged = tuple(key for key in in_order(present) if not file.names(key) and key.kind not in removal.kinds)
    plan = Plan(
        unmanaged=unmanaged,
        deferred=file.deferred,
        gaps=gaps,
        version=version,
        unchanged=sum(1 for key in wanted if key in present) - sum(1 for it in changes if it.action is Action.CHANGE),
        removal=removal,
    )
    if not changes:
        return plan
    before, begun_at = picture_of(world.organization, now), _sequence(world.organization)
    kept = _do(run, changes)
    _refuse_if_any(run)
    after = picture_of(world.organization, now)
    changes = [replace(it, action=Action.KEEP, why=kept[it.key]) if it.key in kept else it for it in changes]
    _check_great_part(run, changes, before, after)
    _refuse_if_any(run)
    effect = _effect(world.organization, before, after, now, begun_at)
    effect = replace(effect, rules=rule_sentences(organization, changes, before, after, present))
    return replace(plan, changes=tuple(changes), effect=effect)


def _changes(run: _Run) -> Iterator[ObjectChange]:
    """What differs, in order; nothing is done yet."""
    for key in in_order(run.wanted):
        wanted, present = run.wanted[key], run.present.get(key)
        document, line = wanted.document.number, wanted.document.root.place.line
        if present is None:
            fields = said_fields(wanted.object, has_new_secret=bool(wanted.secrets))
            yield ObjectChange(key, Action.CREATE, fields, document, line)
            continue
        fields = spec_changes(
            present.spec, wanted.spec, has_new_secret=kinds()[key.kind].is_new_secret(wanted, present)
        )
        if fields:
            yield ObjectChange(key, Action.CHANGE, fields, document, line)
    for each in run.removable:
        gone = tuple(FieldChange(it.field, it.after, None) for it in said_fields(each.object))
        yield ObjectChange(each.object.key, Action.DELETE, gone)


def _check_references(run: _Run) -> None:
    """Every name that is referred to is there, or is made by the file, and is not taken away."""
    removed = {each.object.key for each in run.removable}
    known = (run.present.keys() | run.wanted.keys()) - removed
    for key, wanted in run.wanted.items():
        for reference in kinds()[key.kind].references(wanted.spec):
            if reference.key in known:
                continue
            names = [each.name for each in known if each.kind == reference.key.kind]
            if reference.key in removed:
                message = f"{reference.key} is not in the file, and so it is taken away."
            elif run.file.names(reference.key):
                message = f"{reference.key} is in the file, but arrives with a later version."
            else:
                message = f"There is no {reference.key}."
            _tell(
                run,
                wanted,
                reference.path,
                message,
                expected=f"the name of a {reference.key.kind} here or in the file",
                suggestion=nearest(reference.key.name, names),
            )


def _check_rights(run: _Run, changes: list[ObjectChange]) -> None:
    """A file gives nobody a right: each kind needs the one that its form needs."""
    told: set[str] = set()
    for change in changes:
        kind = kinds()[change.key.kind]
        if kind.name not in told and not run.world.standing.can(kind.manage_right):
            told.add(kind.name)
            run.problems.append(
                Problem(
                    run.world.standing.refusal(kind.manage_right),
                    document=change.document,
                    kind=change.key.kind,
                    name=change.key.name,
                    is_forbidden=True,
                )
            )


def _do(run: _Run, changes: list[ObjectChange]) -> dict[Key, str]:
    """Make, change, finish, take away. Gives what could not be taken away, and why."""
    kept: dict[Key, str] = {}
    to_finish = [
        wanted for key, wanted in run.wanted.items() if kinds()[key.kind].needs_finish(wanted, run.present.get(key))
    ]
    kept |= _take_away(run, [each for each in run.removable if kinds()[each.object.key.kind].removes_first])
    waiting = []
    for change in changes:
        if change.action is Action.DELETE:
            continue
        kind, wanted = kinds()[change.key.kind], run.wanted[change.key]
        present = run.present.get(change.key)
        act = partial(kind.create, run.world) if present is None else partial(kind.update, run.world, present)
        if not _attempt(run, kind, wanted, act, is_last=not kind.tries_again):
            waiting.append((kind, wanted, act))
    for kind, wanted, act in waiting:
        _attempt(run, kind, wanted, act)
    for wanted in to_finish:
        kind = kinds()[wanted.object.key.kind]
        needed = {reference.key for reference in kind.references(wanted.spec)} | {wanted.object.key}
        if needed.isdisjoint(run.failed):
            _attempt(run, kind, wanted, partial(kind.finish, run.world))
    if run.problems:
        return kept
    return kept | _take_away(run, [each for each in run.removable if not kinds()[each.object.key.kind].removes_first])


def _take_away(run: _Run, removable: Sequence[Present]) -> dict[Key, str]:
    """Gives what could not be taken away, and why."""
    kept: dict[Key, str] = {}
    for present in removable:
        key = present.object.key
        kind = kinds()[key.kind]
        try:
            with transaction.atomic():
                kind.delete(run.world, present)
        except Kept as why:
            kept[key] = str(why)
        except PermissionDenied as why:
            run.problems.append(Problem(str(why), kind=key.kind, name=key.name, is_forbidden=True))
    return kept


def _attempt(run: _Run, kind: Kind, wanted: Wanted, act: Callable[[Wanted], None], *, is_last: bool = True) -> bool:
    """Do one thing in a savepoint; what is wrong with it is told, and what rests on it is not tried.

    False: it was refused, and is to be tried again when all others were (not is_last).
    """
    key = wanted.object.key
    if not {reference.key for reference in kind.references(wanted.spec)}.isdisjoint(run.failed):
        # A lead is looked at later, when users are made; whatever else is missing would be told twice.
        run.failed.add(key)
        return True
    try:
        with transaction.atomic():
            act(wanted)
    except ValidationError as failure:
        if not is_last:
            return False
        run.failed.add(key)
        for path, message in _told_by(failure, kind):
            _tell(run, wanted, path, message)
    except PermissionDenied as failure:
        run.failed.add(key)
        run.problems.append(replace(_problem(wanted, ("spec",), str(failure)), is_forbidden=True))
    except IntegrityError as failure:
        raise ChangedMeanwhile(f"{key} was made by somebody else at the same time.") from failure
    return True


def _told_by(failure: ValidationError, kind: Kind) -> Iterator[tuple[Path, str]]:
    """What a service says, by the path of the field that it means."""
    if not hasattr(failure, "error_dict"):
        for message in failure.messages:
            yield (), message
        return
    fields = {each.name for each in kind.spec.fields}
    for name, messages in failure.message_dict.items():
        path: Path = ()
        if name in kind.field_names:
            path = kind.field_names[name]
        elif name == "name":
            path = ("metadata", "name")
        elif steps := path_of(name):
            path = ("spec", *steps) if steps[0] in fields else ()
        for message in messages:
            yield path, message if path or name == NON_FIELD_ERRORS else f"{name}: {message}"


def _check_great_part(run: _Run, changes: list[ObjectChange], before: Picture, after: Picture) -> None:
    """A file that was cut off in the middle must not empty an organization."""
    if run.removal.is_confirmed:
        return
    gone = Counter(change.key.kind for change in changes if change.action is Action.DELETE)
    there = Counter(key.kind for key in run.present)
    for kind, number in gone.items():
        if number > FEW and number > there[kind] * GREAT_PART:
            run.problems.append(
                Problem(
                    f"This takes away {number} of {there[kind]} objects of the kind {kind}.",
                    "to be confirmed: confirm=deletions (REST), --confirm-deletions (command line)",
                    kind=kind,
                )
            )
    ended = len(before.keys.keys() - after.keys.keys())
    if ended > FEW and ended > len(before.keys) * GREAT_PART:
        run.problems.append(
            Problem(
                f"{ended} of {len(before.keys)} keys stop working.",
                "to be confirmed: confirm=deletions (REST), --confirm-deletions (command line)",
            )
        )


def _effect(organization: Organization, before: Picture, after: Picture, now: datetime, begun_at: int) -> Effect:
    names = names_of_interest(before, after)
    ended = before.keys.keys() - after.keys.keys()
    uses = uses_of(organization.id, names, ended, now) if names or ended else Uses()
    return compare(before, after, uses, shards_touched(organization.id, begun_at))


def _gaps(run: _Run) -> Iterator[Gap]:
    for key in in_order(run.wanted):
        yield from kinds()[key.kind].gaps(run.wanted[key], run.present.get(key))


def _tell(run: _Run, wanted: Wanted, path: Path, message: str, *, expected: str = "", suggestion: str = "") -> None:
    run.problems.append(_problem(wanted, path, message, expected, suggestion))


def _problem(wanted: Wanted, path: Path, message: str, expected: str = "", suggestion: str = "") -> Problem:
    key = wanted.object.key
    place = wanted.document.place_of(path)
    return Problem(message, expected, suggestion, wanted.document.number, place, key.kind, key.name, path)


def _refuse_if_any(run: _Run) -> None:
    if run.problems:
        raise RefusedPolicy(run.problems)


def _sequence(organization: Organization) -> int:
    head = ChainHead.objects.filter(scope=scope_of(organization.id)).first()
    return 0 if head is None else head.sequence
