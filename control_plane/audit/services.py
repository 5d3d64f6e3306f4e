"""Write changes. Every service of the control plane ends here, in the transaction of what it did."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from control_plane.audit.chain import plain
from control_plane.audit.listeners import tell_listeners
from control_plane.audit.models import ActorKind, ChainHead, Change, Outbox, ShardKind
from control_plane.audit.selectors import fields_of, scope_of
from control_plane.audit.wake import wake_compiler
from switchyard_contract.audit_chain import link_hash

__all__ = ["Actor", "ActorKind", "ShardKind", "Subject", "record_change"]

MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, from where, and why."""

    kind: ActorKind
    id: str
    name: str
    source_address: str = ""
    reason: str = ""
    """What this person said they do it for; goes into every entry of theirs that has no reason of its own."""

    @classmethod
    def system(cls, name: str) -> "Actor":
        """The installation itself: a sweep, the first run."""
        return cls(ActorKind.SYSTEM, "", name)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a change is about."""

    kind: str
    id: str
    name: str


def record_change(
    *,
    organization_id: UUID | None,
    actor: Actor,
    action: str,
    subject: Subject,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    shards: Iterable[ShardKind] = (),
) -> Change:
    """Add a change to its chain and to the outbox of the shards it touches; wakes the compiler on commit.

    before, after: what changed, without secrets. organization_id None: the installation's own chain.
    Must run inside the transaction of the change itself; raises TransactionManagementError otherwise.
    """
    kinds = tuple(dict.fromkeys(shards))
    scope = scope_of(organization_id)
    now = timezone.now()
    ChainHead.objects.get_or_create(scope=scope)
    # The lock orders the changes of an organization: sequence and hash depend on the one before.
    head = ChainHead.objects.select_for_update().get(scope=scope)
    change = Change(
        scope=scope,
        organization_id=organization_id,
        sequence=head.sequence + 1,
        at=now,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_name=actor.name[:254],
        source_address=actor.source_address[:64],
        action=action,
        subject_kind=subject.kind,
        subject_id=subject.id,
        subject_name=subject.name[:254],
        before=None if before is None else plain(before),
        after=None if after is None else plain(after),
        reason=(reason or actor.reason).strip()[:MOST_REASON],
        previous_hash=bytes(head.hash),
    )
    change.hash = link_hash(bytes(head.hash), change.sequence, fields_of(change))
    change.save(force_insert=True)
    head.sequence, head.hash = change.sequence, change.hash
    head.save(update_fields=["sequence", "hash", "updated_at"])
    Outbox.objects.bulk_create(
        Outbox(
            change=change,
            organization_id=None if kind is ShardKind.GLOBAL else organization_id,
            shard_kind=kind,
            created_at=now,
        )
        for kind in kinds
    )
    if kinds:
        transaction.on_commit(functools.partial(wake_compiler, organization_id, kinds))
    tell_listeners(change)
    return change
