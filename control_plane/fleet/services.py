"""Write down what pods say. Blocking; called by the recorder in a thread, many pods at a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from control_plane.fleet.models import Pod, PodShard

PODS_ARE_REMEMBERED_FOR = timedelta(days=7)
MAX_DEGRADED = 20


@dataclass(frozen=True, slots=True)
class Greeting:
    """A pod dialled in."""

    pod_id: str
    boot_id: str
    software_version: str
    address: str
    contract_revision: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A pod holds a version and has verified it."""

    pod_id: str
    shard: str
    epoch: int
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pod refused a version and keeps what it has. code: NackCode without its prefix."""

    pod_id: str
    shard: str
    epoch: int
    version: int
    code: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """How a pod fares."""

    pod_id: str
    in_flight: int
    spool_records: int
    spool_bytes: int
    counters_reachable: bool
    draining: bool
    loop_lag_ms: int
    degraded: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Departure:
    """A pod's stream ended."""

    pod_id: str
    boot_id: str
    at: datetime


@dataclass(slots=True)
class News:
    """What pods said since the last time, the newest of each kind only."""

    greetings: dict[str, Greeting] = field(default_factory=dict)
    acknowledgements: dict[tuple[str, str], Acknowledgement] = field(default_factory=dict)
    rejections: dict[tuple[str, str], Rejection] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    departures: dict[str, Departure] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.greetings or self.acknowledgements or self.rejections or self.reports or self.departures)

    def update_missing(self, older: "News") -> None:
        """Take back what could not be written, except where something newer came meanwhile."""
        self.greetings = {**older.greetings, **self.greetings}
        self.acknowledgements = {**older.acknowledgements, **self.acknowledgements}
        self.rejections = {**older.rejections, **self.rejections}
        self.reports = {**older.reports, **self.reports}
        self.departures = {**older.departures, **self.departures}


@transaction.atomic
def fleet_record(*, news: News) -> None:
    """Write everything in one transaction, pods in a fixed order so that two processes cannot lock each other out."""
    names = sorted(
        news.greetings.keys()
        | news.reports.keys()
        | news.departures.keys()
        | {pod_id for pod_id, _ in news.acknowledgements}
        | {pod_id for pod_id, _ in news.rejections}
    )
    Pod.objects.bulk_create([Pod(pod_id=name) for name in names], ignore_conflicts=True)
    pods = {pod.pod_id: pod for pod in Pod.objects.select_for_update().filter(pod_id__in=names).order_by("pod_id")}
    for name, pod in pods.items():
        if (greeting := news.greetings.get(name)) is not None:
            pod.boot_id, pod.software_version = greeting.boot_id, greeting.software_version[:60]
            pod.address, pod.contract_revision = greeting.address[:200], greeting.contract_revision
            pod.connected_at, pod.last_seen_at, pod.disconnected_at = greeting.at, greeting.at, None
            # Whoever greets does not leave, whatever its last life said at its end.
            pod.draining = False
        if (report := news.reports.get(name)) is not None and (greeting is None or greeting.at <= report.at):
            _put_report(pod, report)
        if (departure := news.departures.get(name)) is not None and _is_last_stream(pod, departure):
            pod.disconnected_at = departure.at
        pod.save()
    _put_shards(pods, news.acknowledgements.values(), news.rejections.values())


def pods_forget(*, now: datetime | None = None) -> int:
    """Forget pods that have been gone for long; replicas come and go."""
    limit = (now or timezone.now()) - PODS_ARE_REMEMBERED_FOR
    forgotten, _ = Pod.objects.filter(disconnected_at__lt=limit).delete()
    return forgotten


def _is_last_stream(pod: Pod, departure: Departure) -> bool:
    """A pod that came back before its old stream was seen to end is not gone."""
    return pod.connected_at is None or pod.connected_at <= departure.at


def _put_report(pod: Pod, report: Report) -> None:
    pod.status_at = pod.last_seen_at = report.at
    pod.in_flight, pod.loop_lag_ms = report.in_flight, report.loop_lag_ms
    pod.spool_records, pod.spool_bytes = report.spool_records, report.spool_bytes
    pod.counters_reachable, pod.draining = report.counters_reachable, report.draining
    pod.degraded = [word[:100] for word in report.degraded[:MAX_DEGRADED]]


def _put_shards(
    pods: dict[str, Pod], acknowledgements: Iterable[Acknowledgement], rejections: Iterable[Rejection]
) -> None:
    acked = {
        (ack.pod_id, ack.shard): PodShard(
            pod=pods[ack.pod_id],
            shard=ack.shard[:120],
            acked_epoch=ack.epoch,
            acked_version=ack.version,
            acked_at=ack.at,
        )
        for ack in acknowledgements
    }
    # An acknowledgement clears what was refused before it; a later refusal in the same news is written below.
    PodShard.objects.bulk_create(
        [acked[key] for key in sorted(acked)],
        update_conflicts=True,
        unique_fields=["pod", "shard"],
        update_fields=["acked_epoch", "acked_version", "acked_at", "nack_code", "nack_detail"],
    )
    refused = {
        (nack.pod_id, nack.shard): PodShard(
            pod=pods[nack.pod_id],
            shard=nack.shard[:120],
            nack_code=nack.code,
            nack_detail=nack.detail[:1000].replace("\x00", ""),
            nack_epoch=nack.epoch,
            nack_version=nack.version,
            nacked_at=nack.at,
        )
        for nack in rejections
    }
    PodShard.objects.bulk_create(
        [refused[key] for key in sorted(refused)],
        update_conflicts=True,
        unique_fields=["pod", "shard"],
        update_fields=["nack_code", "nack_detail", "nack_epoch", "nack_version", "nacked_at"],
    )
