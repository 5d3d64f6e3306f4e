"""Read changes, verify chains, find what is still to compile."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql

from control_plane.audit.models import ChainHead, Change, Outbox, PublishedHead, ShardKind
from switchyard_contract.audit_chain import Broken, Intact, Link, Verdict, verify
from switchyard_contract.audit_head import SignedHead

__all__ = ["Broken", "Intact", "Verdict", "changes_of", "fields_of", "open_outbox", "scope_of", "verify_chain"]

INSTALLATION = "installation"


def scope_of(organization_id: UUID | None) -> str:
    """Name the chain of an organization, or of the installation."""
    return INSTALLATION if organization_id is None else organization_id.hex


def changes_of(organization_id: UUID | None) -> QuerySet[Change]:
    """The changes of one organization (None: of the installation), newest first."""
    return Change.objects.filter(scope=scope_of(organization_id)).order_by("-sequence")


_DISTINCT = sql.SQL("""
WITH RECURSIVE seen AS (
    (SELECT {column} AS value FROM audit_change WHERE scope = %s ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM audit_change WHERE scope = %s AND {column} > seen.value ORDER BY {column} LIMIT 1)
    FROM seen WHERE seen.value IS NOT NULL
)
SELECT value FROM seen WHERE value IS NOT NULL
""")


def action_names(organization_id: UUID | None) -> list[str]:
    """What was ever done in an organization, by name. Hops along an index: costs the same in a chain of millions."""
    return _distinct("action", organization_id)


def subject_kinds(organization_id: UUID | None) -> list[str]:
    """Of what kinds the things are that changes were about, by name."""
    return _distinct("subject_kind", organization_id)


def _distinct(column: str, organization_id: UUID | None) -> list[str]:
    scope = scope_of(organization_id)
    with connection.cursor() as cursor:
        cursor.execute(_DISTINCT.format(column=sql.Identifier(column)), [scope, scope])
        return [value for (value,) in cursor.fetchall()]


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
    """Verify a whole chain and name the first change that was altered, deleted, moved or cut off.

    Checked against the chain's own head row and against every head that was published. known_head: sequence and hash
    of a head from elsewhere, for what whoever can write to all these tables could have rewritten.
    """
    scope = scope_of(organization_id)
    # Where the chain stands is read first and nothing is locked: what is added meanwhile is left for the next time.
    own = ChainHead.objects.filter(scope=scope).first()
    heads = {sequence: bytes(digest) for sequence, digest in _published(scope).values_list("sequence", "hash")}
    if own is not None and own.sequence:
        heads.setdefault(own.sequence, bytes(own.hash))
    if known_head is not None:
        heads[known_head[0]] = known_head[1]
    rows = Change.objects.filter(scope=scope, sequence__lte=max(heads, default=0)).order_by("sequence")
    return verify(_links(rows), heads=heads)


def verify_newest(organization_id: UUID | None) -> tuple[Verdict, int]:
    """Verify what came after the newest signed head, and say which entry that is (0: none was signed).

    Quick however long the chain is; before it was signed, everything up to that head was verified.
    """
    scope = scope_of(organization_id)
    signed = _published(scope).order_by("-sequence").first()
    own = ChainHead.objects.filter(scope=scope).first()
    after = (0, b"") if signed is None else (signed.sequence, bytes(signed.hash))
    if own is None or own.sequence < after[0]:
        return verify((), heads=dict([after]) if signed else {}), after[0]
    return verify_since(scope, after, (own.sequence, bytes(own.hash))), after[0]


def verify_since(scope: str, after: tuple[int, bytes], head: tuple[int, bytes]) -> Verdict:
    """Verify what a chain has grown by since a known entry."""
    rows = Change.objects.filter(scope=scope, sequence__gt=after[0], sequence__lte=head[0]).order_by("sequence")
    return verify(_links(rows), heads=dict([head]), after=after)


def newest_published_heads() -> list[PublishedHead]:
    """The newest signed head of every chain, by scope."""
    return list(PublishedHead.objects.order_by("scope", "-sequence").distinct("scope"))


def published_heads_of(organization_id: UUID | None) -> QuerySet[PublishedHead]:
    """The signed heads of one chain, newest first."""
    return _published(scope_of(organization_id)).order_by("-sequence")


def signed_head_of(row: PublishedHead, deployment: str) -> SignedHead:
    """A row as the value that was signed."""
    return SignedHead(
        deployment, row.scope, row.sequence, bytes(row.hash), row.at_ms, row.signing_key_id, bytes(row.signature)
    )


def _published(scope: str) -> QuerySet[PublishedHead]:
    return PublishedHead.objects.filter(scope=scope)


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


def link_of(change: Change) -> Link:
    """A change as a link of its chain."""
    return Link(change.sequence, fields_of(change), bytes(change.previous_hash), bytes(change.hash))


def _links(rows: QuerySet[Change]) -> Iterator[Link]:
    for change in rows.iterator(chunk_size=2000):
        yield link_of(change)
