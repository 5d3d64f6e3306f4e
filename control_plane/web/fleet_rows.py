"""Pods as pages show them: state in a word, versions beside what is in force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, Q

from control_plane.fleet.models import Pod, PodShard
from control_plane.fleet.selectors import PodState, state_of
from control_plane.organizations.models import Organization
from control_plane.snapshots.selectors import shard_heads
from control_plane.snapshots.shards import GLOBAL, policy_shard
from switchyard_contract.seal import ShardVersion


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard as a pod holds it. in_force: None where the control plane has none (any more)."""

    shard: PodShard
    label: str
    in_force: ShardVersion | None

    @property
    def is_behind(self) -> bool:
        held = (self.shard.acked_epoch, self.shard.acked_version)
        return self.in_force is not None and held < (self.in_force.epoch, self.in_force.version)

    @property
    def is_refused(self) -> bool:
        return bool(self.shard.nack_code)


@dataclass(frozen=True, slots=True)
class PodRow:
    pod: Pod
    tone: str
    word: str
    is_live: bool
    shards: tuple[ShardRow, ...]

    @property
    def behind(self) -> tuple[ShardRow, ...]:
        return tuple(row for row in self.shards if row.is_behind)

    @property
    def refused(self) -> tuple[ShardRow, ...]:
        return tuple(row for row in self.shards if row.is_refused)

    @property
    def policy(self) -> ShardRow | None:
        return next((row for row in self.shards if row.label == "policy"), None)


@dataclass(frozen=True, slots=True)
class FleetStanding:
    """All pods, and how many of them are well."""

    rows: tuple[PodRow, ...]
    policy_in_force: ShardVersion | None

    @property
    def live(self) -> int:
        return sum(row.is_live for row in self.rows)

    @property
    def in_trouble(self) -> int:
        """Also pods that cannot be reached: they may serve on with an old policy."""
        return sum(row.tone in ("look", "stopped") for row in self.rows)

    @property
    def in_flight(self) -> int:
        return sum(row.pod.in_flight for row in self.rows if row.is_live)

    @property
    def spool_records(self) -> int:
        return sum(row.pod.spool_records for row in self.rows)


def fleet_standing(organization: Organization, now: datetime) -> FleetStanding:
    """Every pod with the shards that concern this organization. Pods serve several; others' shards stay unseen."""
    prefix = policy_shard(organization.id).removesuffix("policy")
    concerned = PodShard.objects.filter(Q(shard=GLOBAL) | Q(shard__startswith=prefix)).order_by("shard")
    pods = Pod.objects.prefetch_related(Prefetch("shards", queryset=concerned)).order_by("pod_id")
    heads = {shard: head.at for shard, head in shard_heads().items()}
    return FleetStanding(tuple(_row(pod, heads, prefix, now) for pod in pods), heads.get(policy_shard(organization.id)))


def _row(pod: Pod, heads: dict[str, ShardVersion], prefix: str, now: datetime) -> PodRow:
    shards = tuple(_shards(pod.shards.all(), heads, prefix))
    tone, word, is_live = _state(pod, shards, now)
    return PodRow(pod, tone, word, is_live, shards)


def _shards(shards: Iterable[PodShard], heads: dict[str, ShardVersion], prefix: str) -> Iterable[ShardRow]:
    for shard in shards:
        yield ShardRow(shard, shard.shard.removeprefix(prefix), heads.get(shard.shard))


def _state(pod: Pod, shards: tuple[ShardRow, ...], now: datetime) -> tuple[str, str, bool]:
    """The worst that holds; a pod that is gone is off, not failed: scaling down is no trouble."""
    match state_of(pod, now):
        case PodState.GONE:
            return "off", "gone", False
        case PodState.OUT_OF_REACH:
            return "stopped", "out of reach", False
        case PodState.SILENT:
            return "stopped", "silent", False
        case PodState.LIVE:
            pass
    if any(row.is_refused for row in shards):
        return "stopped", "refuses policy", True
    if pod.degraded or not pod.counters_reachable:
        return "look", "degraded", True
    if pod.draining:
        return "told", "draining", True
    if any(row.is_behind for row in shards):
        return "look", "behind", True
    return "works", "live", True
