"""Read what snapshots are made of, and what was published."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import chain
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Case, Exists, Func, OuterRef, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Collate

from control_plane.accounts.models import User
from control_plane.catalog.models import KnownModel
from control_plane.catalog.selectors import discounts_of, organization_prices, unknown_models_of
from control_plane.credentials.selectors import active_providers
from control_plane.keys.selectors import (
    DEAD_KEYS_ARE_TOLD_FOR,
    TOMBSTONES_OUTLIVE_KEYS_BY,
    keys_told_to_pods,
    revoked_keys,
)
from control_plane.organizations.models import Membership, Organization, ServiceAccount, Team
from control_plane.routing.selectors import routes_for_pods
from control_plane.snapshots.compile import KeyRow, KeyScopes, PolicyRows, PrincipalRow, RevokedRow
from control_plane.snapshots.delivery import Head
from control_plane.snapshots.models import ShardHead, Snapshot
from control_plane.snapshots.rule_rows import rule_rows
from control_plane.snapshots.shards import deny_shard, key_shard, policy_shard
from switchyard_contract.seal import ShardVersion
from switchyard_contract.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True)
class Sealed:
    """A published version, as it is shipped."""

    shard: str
    at: ShardVersion
    payload_sha256: bytes
    message: snapshot_pb2.SealedShard


def policy_rows(organization: Organization, now: datetime) -> PolicyRows:
    """What the policy shard of an organization is made of."""
    return PolicyRows(
        organization=organization,
        gateway_public_url=settings.SWITCHYARD.gateway_public_url,
        console_url=settings.SWITCHYARD.console_public_url.rstrip("/"),
        teams=list(Team.objects.filter(organization=organization)),
        principals=principal_rows(organization.id, now),
        providers=list(active_providers(organization.id)),
        known_models=list(KnownModel.objects.filter(is_offered=True)),
        virtual_models=list(routes_for_pods(organization.id)),
        prices=list(organization_prices(organization.id)),
        discounts=list(discounts_of(organization.id)),
        unknown_models=unknown_models_of(organization.id),
        rules=rule_rows(organization.id, now),
    )


def principal_rows(organization_id: UUID, now: datetime) -> list[PrincipalRow]:
    """Members, service accounts, and those who left while pods still know a key of theirs (inactive)."""
    memberships = Membership.objects.filter(organization_id=organization_id).order_by()
    rows = [
        PrincipalRow(user_id, True, email, is_active, tags, role)
        for user_id, email, is_active, tags, role in memberships.values_list(
            "user_id", "user__email", "user__is_active", "tags", "role"
        )
    ]
    accounts = ServiceAccount.objects.filter(organization_id=organization_id).order_by()
    rows += [
        PrincipalRow(account_id, False, name, is_active, tags)
        for account_id, name, is_active, tags in accounts.values_list("id", "name", "is_active", "tags")
    ]
    return rows + _left_rows(organization_id, now)


def denied_principals(organization_id: UUID, now: datetime) -> list[PrincipalRow]:
    """Those of `principal_rows` that may not act any more. Reads nobody else: a revocation waits for this."""
    memberships = Membership.objects.filter(organization_id=organization_id, user__is_active=False).order_by()
    accounts = ServiceAccount.objects.filter(organization_id=organization_id, is_active=False).order_by()
    return [
        *(
            PrincipalRow(user_id, True, email, False)
            for user_id, email in memberships.values_list("user_id", "user__email")
        ),
        *(PrincipalRow(account_id, False, name, False) for account_id, name in accounts.values_list("id", "name")),
        *_left_rows(organization_id, now),
    ]


def _left_rows(organization_id: UUID, now: datetime) -> list[PrincipalRow]:
    """People who left while pods still know a key of theirs."""
    # From the people who are no members, of whom few have keys here: the keys of all members are not looked at.
    people = User.objects.filter(
        ~Exists(Membership.objects.filter(organization_id=organization_id, user_id=OuterRef("id"))),
        Exists(keys_told_to_pods(organization_id, now).filter(user_id=OuterRef("id")).order_by()),
    ).order_by()
    return [PrincipalRow(user_id, True, email, False) for user_id, email in people.values_list("id", "email")]


_NARROWING = ("allowed_models", "allowed_routes", "source_networks", "tags")
"""In the order of `KeyScopes`."""


def key_count(organization_id: UUID, now: datetime) -> int:
    """How many keys pods hold of an organization."""
    return keys_told_to_pods(organization_id, now).count()


def key_rows(organization_id: UUID, now: datetime, buckets: Collection[int] | None = None) -> Iterator[KeyRow]:
    """The keys that pods hold, as their shards are made of them, ascending by id.

    buckets: of those of the `KEY_BUCKETS` alone; None: all. A hundred thousand keys are read at once, so the database
    writes ids and times as the shards have them, sorts, and gives nothing for keys that nothing narrows. Its rows are
    taken one by one as they come: Django's own reading takes five times as long, and rows that are all held at once
    are walked by the collector of garbage again and again.
    """
    keys = keys_told_to_pods(organization_id, now)
    if buckets is not None:
        if not buckets:
            return
        keys = keys.filter(bucket__in=sorted(buckets))
    not_narrowed = Q(allowed_models=[], allowed_routes=[], source_networks=[], tags={})
    found = keys.order_by(Collate("key_id", "C")).values_list(
        "key_id",
        "digest",
        "pepper_version",
        _hex(Coalesce("user_id", "service_account_id")),
        Case(When(user_id__isnull=True, then=Value(value=False)), default=Value(value=True)),
        _hex("team_id"),
        "name",
        "prefix",
        Case(
            When(not_narrowed, then=Value(None)),
            default=Func(*_NARROWING, function="jsonb_build_array", template="(%(function)s(%(expressions)s))::text"),
            output_field=TextField(),
        ),
        Func(
            "expires_at",
            template="coalesce(trunc(extract(epoch from %(expressions)s) * 1000), 0)::bigint",
            output_field=BigIntegerField(),
        ),
    )
    with connection.cursor() as cursor:
        cursor.execute(*found.query.sql_with_params())
        for row in chain.from_iterable(iter(partial(cursor.fetchmany, 1000), [])):
            narrowing = row[8]
            if narrowing is not None:
                row = (*row[:8], KeyScopes._make(json.loads(narrowing)), row[9])
            yield KeyRow._make(row)


def _hex(of: str | Coalesce) -> Func:
    """An id as 32 hex digits."""
    return Func(of, template="replace((%(expressions)s)::text, '-', '')", output_field=TextField())


def denied_keys(organization_id: UUID, now: datetime) -> list[RevokedRow]:
    """Revoked keys that a pod might still know.

    A key leaves the key shards a month after its end; its denial stays a month longer, and longer still while the
    key shards have not been compiled anew.
    """
    since = now - DEAD_KEYS_ARE_TOLD_FOR - TOMBSTONES_OUTLIVE_KEYS_BY
    oldest = (
        ShardHead.objects.filter(organization_id=organization_id, shard__startswith=key_shard_prefix(organization_id))
        .order_by("updated_at")
        .values_list("updated_at", flat=True)
        .first()
    )
    if oldest is not None:
        since = min(since, oldest - DEAD_KEYS_ARE_TOLD_FOR - timedelta(days=7))
    return list(map(RevokedRow._make, revoked_keys(organization_id, since).values_list(*RevokedRow._fields)))


def key_shard_prefix(organization_id: UUID) -> str:
    return key_shard(organization_id, 0)[:-1]


def key_bucket_count(organization_id: UUID) -> int:
    """How many key shards an organization has."""
    return _bucket_counts(ShardHead.objects.filter(organization_id=organization_id)).get(organization_id, 0)


def newest_key_version(organization_id: UUID) -> ShardVersion | None:
    """Buckets have chains of their own; the highest number is the one that stands for all of them."""
    heads = ShardHead.objects.filter(
        organization_id=organization_id, shard__startswith=key_shard_prefix(organization_id), version__gte=1
    )
    return max(
        (ShardVersion(epoch, version) for epoch, version in heads.values_list("epoch", "version")),
        key=lambda at: (at.epoch, at.version),
        default=None,
    )


def key_bucket_counts() -> dict[UUID, int]:
    """How many key shards each organization has."""
    return _bucket_counts(ShardHead.objects.filter(organization_id__isnull=False))


def _bucket_counts(heads: QuerySet[ShardHead]) -> dict[UUID, int]:
    counts: dict[UUID, int] = {}
    for organization_id, shard in heads.filter(shard__contains="/keys/", version__gte=1).values_list(
        "organization_id", "shard"
    ):
        assert organization_id is not None
        counts[organization_id] = max(counts.get(organization_id, 0), int(shard.rsplit("/", 1)[1]) + 1)
    return counts


def organizations_without_shards() -> list[UUID]:
    """Organizations that pods could not serve yet if they heard of them."""
    heads = set(ShardHead.objects.filter(version__gte=1).values_list("shard", flat=True))
    return [
        organization_id
        for organization_id in Organization.objects.order_by("id").values_list("id", flat=True)
        if not {policy_shard(organization_id), key_shard(organization_id, 0), deny_shard(organization_id)} <= heads
    ]


def shard_heads() -> dict[str, Head]:
    """The version in force of every shard."""
    rows = ShardHead.objects.filter(version__gte=1, snapshot__isnull=False)
    return {
        shard: Head(ShardVersion(epoch, version), bytes(digest or b""))
        for shard, epoch, version, digest in rows.values_list("shard", "epoch", "version", "snapshot__payload_sha256")
    }


def sealed_shard(shard: str) -> Sealed | None:
    """The version in force of a shard, as it is shipped."""
    head = ShardHead.objects.filter(shard=shard, version__gte=1).select_related("snapshot").first()
    if head is None or head.snapshot is None:
        return None
    snapshot = head.snapshot
    message = snapshot_pb2.SealedShard(
        header=bytes(snapshot.header), signature=bytes(snapshot.signature), payload=bytes(snapshot.payload)
    )
    return Sealed(shard, ShardVersion(head.epoch, head.version), bytes(snapshot.payload_sha256), message)


def heads_digest(heads: Mapping[str, Head]) -> bytes:
    """What a beacon says of all heads at once."""
    lines = "".join(f"{shard} {heads[shard].at.epoch} {heads[shard].at.version}\n" for shard in sorted(heads))
    return sha256(lines.encode()).digest()


def policy_version(organization_id: UUID) -> ShardVersion | None:
    """An organization's version, for people and headers: that of its policy shard."""
    head = ShardHead.objects.filter(shard=policy_shard(organization_id), version__gte=1).first()
    return None if head is None else ShardVersion(head.epoch, head.version)


def snapshots_of(organization_id: UUID | None) -> QuerySet[Snapshot]:
    """All versions of an organization's shards (None: of the global one), newest first, without their payloads."""
    return Snapshot.objects.filter(organization_id=organization_id).defer("payload").order_by("-created_at")


def last_failure(shard: str) -> Snapshot | None:
    """The newest version of a shard, where that one failed its checks; None when the newest is in force."""
    newest = Snapshot.objects.filter(shard=shard).defer("payload").order_by("-created_at").first()
    return newest if newest is not None and not newest.is_published else None
