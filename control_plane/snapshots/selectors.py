"""Read what snapshots are made of, and what was published."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.catalog.models import KnownModel
from control_plane.catalog.selectors import organization_prices
from control_plane.credentials.selectors import active_providers
from control_plane.keys.models import VirtualKey
from control_plane.keys.selectors import (
    DEAD_KEYS_ARE_TOLD_FOR,
    TOMBSTONES_OUTLIVE_KEYS_BY,
    keys_told_to_pods,
    revoked_keys,
)
from control_plane.organizations.models import Membership, Organization, ServiceAccount, Team
from control_plane.routing.selectors import routes_for_pods
from control_plane.snapshots.compile import PolicyRows, PrincipalRow
from control_plane.snapshots.delivery import Head
from control_plane.snapshots.models import ShardHead, Snapshot
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
        teams=list(Team.objects.filter(organization=organization)),
        principals=principal_rows(organization.id, now),
        providers=list(active_providers(organization.id)),
        known_models=list(KnownModel.objects.filter(is_offered=True)),
        virtual_models=list(routes_for_pods(organization.id)),
        prices=list(organization_prices(organization.id)),
    )


def principal_rows(organization_id: UUID, now: datetime) -> list[PrincipalRow]:
    """Members, service accounts, and those who left while pods still know a key of theirs (inactive)."""
    rows = [
        PrincipalRow(row.user_id, True, row.user.email, row.user.is_active, row.tags)
        for row in Membership.objects.filter(organization_id=organization_id).select_related("user")
    ]
    rows += [
        PrincipalRow(row.id, False, row.name, row.is_active, row.tags)
        for row in ServiceAccount.objects.filter(organization_id=organization_id)
    ]
    members = {row.id for row in rows}
    owners = keys_told_to_pods(organization_id, now).filter(user__isnull=False).exclude(user_id__in=members)
    for user in User.objects.filter(id__in=owners.order_by().values("user_id")):
        rows.append(PrincipalRow(user.id, True, user.email, False))
    return rows


def denied_keys(organization_id: UUID, now: datetime) -> list[VirtualKey]:
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
    return list(revoked_keys(organization_id, since))


def key_shard_prefix(organization_id: UUID) -> str:
    return key_shard(organization_id, 0)[:-1]


def key_bucket_counts() -> dict[UUID, int]:
    """How many key shards each organization has."""
    counts: dict[UUID, int] = {}
    for organization_id, shard in ShardHead.objects.filter(
        organization_id__isnull=False, shard__contains="/keys/", version__gte=1
    ).values_list("organization_id", "shard"):
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
