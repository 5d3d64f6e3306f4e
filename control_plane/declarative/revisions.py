"""Write revisions: what the policy was after each change."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from control_plane.audit.models import ActorKind, Change
from control_plane.audit.selectors import changes_of
from control_plane.declarative.kinds.catalog import tracked_subjects
from control_plane.declarative.locks import Lane, holding, lock_until_commit
from control_plane.declarative.models import AwaitedCredential, PolicyCode, PolicyRevision, RevisionSource
from control_plane.declarative.selectors import newest_revision, objects_of, policy_version, schema_url
from control_plane.declarative.texts import changes_between
from control_plane.declarative.writing import write_policy
from control_plane.organizations.models import Organization

KEPT_REVISIONS = 500
"""Per organization; older ones go, that of the code last applied stays."""
TOLD_CHANGES = 50


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a revision comes from."""

    source: RevisionSource
    author: str
    reason: str = ""
    label: str = ""
    restored_number: int | None = None


def revision_record(*, organization_id: UUID) -> PolicyRevision | None:
    """Write what has changed since the newest revision, if anything has. Runs outside of other transactions.

    It waits for whoever is at it, an apply too: what that one did not see yet is written here.
    """
    with holding(Lane.REVISION, organization_id):
        return _record_once(organization_id)


def revision_add(*, organization: Organization, cause: Cause) -> PolicyRevision:
    """Write the policy as it is within this transaction. The lane must be held until its commit."""
    newest = newest_revision(organization.id)
    AwaitedCredential.objects.filter(organization=organization).exclude(provider__credential_source="none").delete()
    objects = objects_of(organization)
    text = write_policy(objects, schema_url=schema_url())
    changes = changes_between("" if newest is None else newest.text, text)
    revision = PolicyRevision.objects.create(
        organization=organization,
        number=1 if newest is None else newest.number + 1,
        through_sequence=policy_version(organization.id),
        text=text,
        source=cause.source,
        source_label=cause.label,
        author=cause.author[:254],
        reason=cause.reason,
        restored_number=cause.restored_number,
        changes=[
            {"kind": change.key.kind, "name": change.key.name, "action": str(change.action)}
            for change in changes[:TOLD_CHANGES]
        ],
        change_count=len(changes),
        object_count=len(objects),
        created_at=timezone.now(),
    )
    _forget_old(organization, revision.number)
    return revision


def revision_catch_up(*, organization: Organization) -> PolicyRevision | None:
    """Within an apply: write down first what came before it. Takes the lane until the commit."""
    lock_until_commit(Lane.REVISION, organization.id)
    return _add_if_behind(organization)


def _record_once(organization_id: UUID) -> PolicyRevision | None:
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost:
            # One picture for all kinds; only the first statement of a transaction may ask for it.
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        organization = Organization.objects.filter(id=organization_id).first()
        return None if organization is None else _add_if_behind(organization)


def _add_if_behind(organization: Organization) -> PolicyRevision | None:
    newest = newest_revision(organization.id)
    since = 0 if newest is None else newest.through_sequence
    changes = list(
        changes_of(organization.id).filter(subject_kind__in=tracked_subjects(), sequence__gt=since)[:TOLD_CHANGES]
    )
    return revision_add(organization=organization, cause=_cause_of(changes)) if changes else None


def _cause_of(changes: Sequence[Change]) -> Cause:
    """The newest change speaks for those of its transaction."""
    newest = changes[0]
    source = {
        ActorKind.USER.value: RevisionSource.CONSOLE,
        ActorKind.TOKEN.value: RevisionSource.REST,
        ActorKind.SERVICE_ACCOUNT.value: RevisionSource.REST,
    }.get(newest.actor_kind, RevisionSource.SYSTEM)
    reason = next((change.reason for change in changes if change.reason), "")
    return Cause(source, newest.actor_name, reason)


def _forget_old(organization: Organization, number: int) -> None:
    old = PolicyRevision.objects.filter(organization=organization, number__lte=number - KEPT_REVISIONS)
    pinned = PolicyCode.objects.filter(organization=organization).values("revision_number")
    old.exclude(number__in=pinned).delete()
