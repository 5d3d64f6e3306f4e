"""Waiting until pods have acknowledged what happened to a key.

Spans audit (which version holds the change), snapshots (which shard) and fleet (who holds it), so it lives above them.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from control_plane.audit.models import Change, Outbox
from control_plane.fleet.models import Pod, PodShard
from control_plane.keys.api import KeyViewSet
from control_plane.keys.models import VirtualKey
from control_plane.snapshots.models import ShardHead
from switchyard_contract.virtual_key import bucket_of

LONGEST_WAIT_S = 1.0
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Applied:
    """How many connected pods hold a change."""

    pods: int
    acknowledged: int
    share: float
    waited_ms: int


class AppliedKeyViewSet(KeyViewSet):
    """Keys whose changes can be awaited."""

    @staticmethod
    def wait_applied(key: VirtualKey) -> dict[str, Any]:
        return asdict(wait_applied(key))


def wait_applied(key: VirtualKey, *, longest_s: float = LONGEST_WAIT_S) -> Applied:
    """Wait until every connected pod holds the newest change of a key, or the time is over. No pods: at once."""
    begun = time.monotonic()
    while True:
        connected = set(
            Pod.objects.filter(connected_at__isnull=False, disconnected_at__isnull=True).values_list("id", flat=True)
        )
        holding = _holding(key, connected) if connected else set()
        waited_s = time.monotonic() - begun
        if holding >= connected or waited_s >= longest_s:
            share = len(holding) / len(connected) if connected else 1.0
            return Applied(len(connected), len(holding), round(share, 4), int(waited_s * 1000))
        time.sleep(PAUSE_S)


def _holding(key: VirtualKey, connected: set[int]) -> set[int]:
    """The pods that acknowledged a version with the key's newest change; none while it is not compiled."""
    change = (
        Change.objects.filter(organization_id=key.organization_id, subject_kind="key", subject_id=key.id.hex)
        .order_by("-sequence")
        .first()
    )
    outbox = None if change is None else Outbox.objects.filter(change=change).order_by("id").first()
    if outbox is None or outbox.compiled_version is None or outbox.compiled_epoch is None:
        return set()
    reached = Q(acked_epoch__gt=outbox.compiled_epoch) | Q(
        acked_epoch=outbox.compiled_epoch, acked_version__gte=outbox.compiled_version
    )
    shard = _shard_of(key.organization_id, str(outbox.shard_kind), key.key_id)
    return set(PodShard.objects.filter(reached, shard=shard, pod_id__in=connected).values_list("pod_id", flat=True))


def _shard_of(organization_id: UUID, kind: str, key_id: str) -> str:
    if kind != "keys":
        return f"org/{organization_id.hex}/{kind}"
    prefix = f"org/{organization_id.hex}/keys/"
    buckets = ShardHead.objects.filter(shard__startswith=prefix).count()
    return f"{prefix}{bucket_of(key_id, buckets)}"
