"""Read changes, verify chains, find what is still to compile."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from control_plane.audit.chain import Broken, Intact, Link, Verdict, verify
from control_plane.audit.models import ChainHead, Change, Outbox, ShardKind

__all__ = ["Broken", "Intact", "Verdict", "changes_of", "fields_of", "open_outbox", "scope_of", "verify_chain"]

INSTALLATION = "installation"


def scope_of(organization_id: UUID | None) -> str:
    """Name the chain of an organization, or of the installation."""
    return INSTALLATION if organization_id is None else organization_id.hex


def changes_of(organization_id: UUID | None) -> QuerySet[Change]:
    """The changes of one organization (None: of the installation), newest first."""
    return Change.objects.filter(scope=scope_of(organization_id)).order_by("-sequence")


def changes_between(organization_id: UUID, kind: ShardKind, after_version: int, through: int) -> QuerySet[Change]:
    """What changed between two versions of a shard kind: the later one's changes included."""
    return Change.objects.filter(
        outbox__organization_id=organization_id,
        outbox__shard_kind=kind,
        outbox__compiled_version__gt=after_version,
        outbox__compiled_version__lte=through,
    ).order_by("sequence")


def open_outbox(kind: ShardKind, organization_id: UUID | None) -> QuerySet[Outbox]:
    """Changes that a shard does not reflect yet, oldest first."""
    return Outbox.objects.filter(
        shard_kind=kind, organization_id=organization_id, compiled_version__isnull=True
    ).order_by("id")


def organizations_with_open_outbox(*kinds: ShardKind) -> set[UUID]:
    """Whose shards of these kinds are behind."""
    rows = Outbox.objects.filter(shard_kind__in=kinds, compiled_version__isnull=True, organization_id__isnull=False)
    return {found for found in rows.values_list("organization_id", flat=True).distinct() if found is not None}


def verify_chain(organization_id: UUID | None, *, known_head: tuple[int, bytes] | None = None) -> Verdict:
    """Verify a whole chain and name the first change that was altered, deleted or reordered.

    known_head: sequence and hash of a head that was exported earlier; the chain's own head row is used otherwise,
    which whoever can write to the table could have rewritten too.
    """
    scope = scope_of(organization_id)
    with transaction.atomic():
        head = ChainHead.objects.select_for_update().filter(scope=scope).first()
        sequence, digest = known_head or ((head.sequence, bytes(head.hash)) if head else (0, b""))
        rows = Change.objects.filter(scope=scope).order_by("sequence")
        if known_head is not None:
            rows = rows.filter(sequence__lte=sequence)
        return verify(_links(rows), head_sequence=sequence, head_hash=digest)


def fields_of(change: Change) -> Mapping[str, Any]:
    """The fields that the hash covers, besides the sequence."""
    return {
        "scope": change.scope,
        "organization_id": None if change.organization_id is None else change.organization_id.hex,
        "at": change.at,
        "actor_kind": str(change.actor_kind),
        "actor_id": change.actor_id,
        "actor_name": change.actor_name,
        "source_address": change.source_address,
        "action": change.action,
        "subject_kind": change.subject_kind,
        "subject_id": change.subject_id,
        "subject_name": change.subject_name,
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
    }


def _links(rows: QuerySet[Change]) -> Iterator[Link]:
    for change in rows.iterator(chunk_size=2000):
        yield Link(change.sequence, fields_of(change), bytes(change.previous_hash), bytes(change.hash))
