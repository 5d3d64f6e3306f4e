"""Which pods there are, what they hold, and whether a version is in force everywhere."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.fleet.models import Pod, PodShard
from control_plane.snapshots.models import ShardHead
from switchyard_contract.seal import ShardVersion

LIVE_FOR = timedelta(seconds=30)
"""A pod that has not spoken for so long is not live, whatever its stream says."""


class PodState(StrEnum):
    """Whether the control plane reaches a pod."""

    LIVE = "live"
    SILENT = "silent"
    """Its stream is open, and nothing comes."""
    OUT_OF_REACH = "out_of_reach"
    """Its stream broke and it had not said that it leaves: it may serve on with what it held then."""
    GONE = "gone"
    """It drained and left, or never came."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How many of the live pods hold a version or a newer one."""

    live: int
    holding: int

    @property
    def is_everywhere(self) -> bool:
        return self.holding >= self.live


@dataclass(frozen=True, slots=True)
class Lag:
    """A shard that a pod does not hold in the version in force."""

    shard: str
    held: ShardVersion
    in_force: ShardVersion
    refusal: str
    """Why the pod refused it; empty: it is on its way."""


def pods() -> QuerySet[Pod]:
    """All pods that are remembered, with what they hold."""
    return Pod.objects.prefetch_related("shards").order_by("pod_id")


def live_pods(now: datetime | None = None) -> QuerySet[Pod]:
    """Pods with an open stream that spoke lately."""
    return Pod.objects.filter(disconnected_at__isnull=True, last_seen_at__gte=(now or timezone.now()) - LIVE_FOR)


def state_of(pod: Pod, now: datetime | None = None) -> PodState:
    """What the control plane can say of a pod from here."""
    if pod.connected_at is None:
        return PodState.GONE
    if pod.disconnected_at is not None:
        return PodState.GONE if pod.draining else PodState.OUT_OF_REACH
    spoke_at = pod.last_seen_at or pod.connected_at
    return PodState.LIVE if spoke_at >= (now or timezone.now()) - LIVE_FOR else PodState.SILENT


def lags_of(pod: Pod) -> list[Lag]:
    """What a pod does not hold as it is in force."""
    held = {row.shard: row for row in pod.shards.all()}
    lags = []
    for head in ShardHead.objects.filter(version__gte=1).order_by("shard"):
        row = held.get(head.shard)
        in_force = ShardVersion(head.epoch, head.version)
        at = ShardVersion(row.acked_epoch, row.acked_version) if row else ShardVersion(0, 0)
        if at.is_before(in_force) or (row is not None and row.nack_code):
            refusal = f"{row.nack_code}: {row.nack_detail}" if row is not None and row.nack_code else ""
            lags.append(Lag(head.shard, at, in_force, refusal))
    return lags


def applied(shard: str, at: ShardVersion) -> Applied:
    """How far a version has come."""
    live = set(live_pods().values_list("id", flat=True))
    holding = PodShard.objects.filter(pod_id__in=live, shard=shard).filter(
        Q(acked_epoch__gt=at.epoch) | Q(acked_epoch=at.epoch, acked_version__gte=at.version)
    )
    return Applied(len(live), holding.count())
