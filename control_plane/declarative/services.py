"""Plan, apply, restore and hand over: the doors of policy as code for REST, console and tasks."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, transaction
from django.utils import timezone
from psycopg import errors

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.declarative.differences import Action
from control_plane.declarative.execution import ChangedMeanwhile, StaleBase, execute
from control_plane.declarative.kinds.catalog import kinds
from control_plane.declarative.kinds.kind import World
from control_plane.declarative.locks import Lane, lock_until_commit
from control_plane.declarative.models import PolicyCode, PolicyRevision, RevisionSource
from control_plane.declarative.nodes import Document
from control_plane.declarative.parsing import read_yaml
from control_plane.declarative.plan import KEEP_ALL, Plan, Removal
from control_plane.declarative.reading import PolicyFile, read_policy
from control_plane.declarative.revisions import Cause, revision_add, revision_catch_up
from control_plane.declarative.selectors import newest_revision, objects_of, policy_code_of
from control_plane.declarative.writing import write_policy
from control_plane.organizations.models import Organization
from control_plane.organizations.roles import Standing

__all__ = [
    "Asker",
    "Busy",
    "ChangedMeanwhile",
    "StaleBase",
    "policy_apply",
    "policy_code_release",
    "policy_plan",
    "removal_on_restore",
    "restore_apply",
    "restore_plan",
]

TRIES = 3

P = ParamSpec("P")
R = TypeVar("R")


class Busy(Exception):
    """Another plan or apply of the same organization took too long to wait for."""


@dataclass(frozen=True, slots=True)
class Asker:
    """In whose name something is done, in which organization, with which rights."""

    organization: Organization
    actor: Actor
    standing: Standing


def _patiently(act: Callable[P, R]) -> Callable[P, R]:
    """Try again when two transactions stood in each other's way; the database has taken ours back as a whole."""

    @functools.wraps(act)
    def tried(*args: P.args, **kwargs: P.kwargs) -> R:
        for left in reversed(range(TRIES)):
            try:
                return act(*args, **kwargs)
            except OperationalError as failure:
                if isinstance(failure.__cause__, errors.LockNotAvailable):
                    raise Busy from failure
                if not isinstance(failure.__cause__, errors.DeadlockDetected) or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    return tried


@_patiently
def policy_plan(
    *,
    asker: Asker,
    documents: Iterable[Document],
    removal: Removal = KEEP_ALL,
    base_version: int | None = None,
) -> Plan:
    """Say what an apply would do, by doing it and taking it back. Raises as policy_apply does."""
    file = read_policy(tuple(documents))
    with transaction.atomic():
        plan = _run(asker, file, removal, base_version, "")
        transaction.set_rollback(True)
    newest = newest_revision(asker.organization.id)
    return replace(plan, revision=0 if newest is None else newest.number)


@_patiently
def policy_apply(
    *,
    asker: Asker,
    documents: Iterable[Document],
    removal: Removal = KEEP_ALL,
    base_version: int | None = None,
    reason: str = "",
    label: str = "",
) -> Plan:
    """Make a file true, as a whole or not at all; a new revision if anything changed.

    label: what the file's own history calls it (a commit); it declares that the policy comes from code.
    Raises RefusedPolicy, StaleBase, ChangedMeanwhile and Busy.
    """
    file = read_policy(tuple(documents))
    return _apply(asker, file, removal, base_version, Cause(RevisionSource.APPLY, asker.actor.name, reason, label))


def restore_plan(*, asker: Asker, revision: PolicyRevision, removal: Removal) -> Plan:
    """What it would mean to go back to a revision."""
    return policy_plan(asker=asker, documents=read_yaml(revision.text.encode()), removal=removal)


@_patiently
def restore_apply(
    *, asker: Asker, revision: PolicyRevision, removal: Removal, base_version: int | None = None, reason: str = ""
) -> Plan:
    """Go back to an earlier revision, as a new one."""
    file = read_policy(read_yaml(revision.text.encode()))
    cause = Cause(RevisionSource.RESTORE, asker.actor.name, reason, restored_number=revision.number)
    return _apply(asker, file, removal, base_version, cause)


@transaction.atomic
def policy_code_release(*, asker: Asker) -> None:
    """The policy no longer comes from code: edits in the console are no drift any more."""
    code = PolicyCode.objects.select_for_update().filter(organization=asker.organization).first()
    if code is None:
        return
    record_change(
        organization_id=asker.organization.id,
        actor=asker.actor,
        action="policy.code_released",
        subject=_subject(asker.organization),
        before={"label": code.label, "revision": code.revision_number},
    )
    code.delete()


def removal_on_restore(*, takes_people: bool, is_confirmed: bool = False) -> Removal:
    """What goes when an earlier revision comes back. People, teams and accounts only when asked: they lose keys."""
    names = frozenset(kind.name for kind in kinds().values() if takes_people or kind.removes_on_restore)
    return Removal(names, is_confirmed)


def _apply(asker: Asker, file: PolicyFile, removal: Removal, base_version: int | None, cause: Cause) -> Plan:
    organization = asker.organization
    with transaction.atomic():
        plan = _run(asker, file, removal, base_version, cause.reason, is_kept=True)
        newest = newest_revision(organization.id)
        number = 0 if newest is None else newest.number
        if plan.has_changes:
            number = _remember(asker, plan, cause)
        if cause.label:
            _declare(asker, file, plan, cause, number)
    return replace(plan, revision=number, is_applied=True)


def _run(
    asker: Asker,
    file: PolicyFile,
    removal: Removal,
    base_version: int | None,
    reason: str,
    *,
    is_kept: bool = False,
) -> Plan:
    organization = asker.organization
    lock_until_commit(Lane.APPLY, organization.id)
    if is_kept:
        # What was changed before and is not written down yet must not be told as a change of this apply.
        revision_catch_up(organization=organization)
    world = World(organization, replace(asker.actor, reason=reason), asker.standing, reason)
    return execute(world=world, file=file, now=timezone.now(), removal=removal, base_version=base_version)


def _remember(asker: Asker, plan: Plan, cause: Cause) -> int:
    organization = asker.organization
    revision = revision_add(organization=organization, cause=cause)
    counts = {str(action): plan.count(action) for action in (Action.CREATE, Action.CHANGE, Action.DELETE)}
    after: dict[str, Any] = {"revision": revision.number, **counts}
    if cause.label:
        after["label"] = cause.label
    if cause.restored_number is not None:
        after["restored_revision"] = cause.restored_number
    record_change(
        organization_id=organization.id,
        actor=asker.actor,
        action="policy.restored" if cause.source is RevisionSource.RESTORE else "policy.applied",
        subject=_subject(organization),
        after=after,
        reason=cause.reason,
    )
    return revision.number


def _declare(asker: Asker, file: PolicyFile, plan: Plan, cause: Cause, number: int) -> None:
    """Remember what the code says, to tell drift from it later."""
    organization = asker.organization
    objects = {each.key: each for each in objects_of(organization)}
    before = policy_code_of(organization)
    text = write_policy([objects[key] for key in file.wanted if key in objects])
    values = {
        "label": cause.label,
        "revision_number": number,
        "objects_named": sorted([key.kind, key.name] for key in file.wanted),
        "is_complete": bool(plan.removal.kinds),
        "text": text,
        "all_keys": sorted([key.kind, key.name] for key in objects),
    }
    if before is not None and all(getattr(before, name) == value for name, value in values.items()):
        return
    PolicyCode.objects.update_or_create(
        organization=organization, defaults={**values, "applied_at": timezone.now(), "applied_by": cause.author[:254]}
    )
    if before is None:
        record_change(
            organization_id=organization.id,
            actor=asker.actor,
            action="policy.code_declared",
            subject=_subject(organization),
            after={"label": cause.label},
            reason=cause.reason,
        )


def _subject(organization: Organization) -> Subject:
    return Subject("policy", organization.id.hex, organization.name)
