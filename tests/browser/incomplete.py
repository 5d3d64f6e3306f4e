"""Books that are not complete: a gap, an orphan, an event in quarantine, a report that was refused."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from control_plane.organizations.models import Organization
from control_plane.usage.models import MissingEvents, Orphan, PodSequence, QuarantinedEvent, RefusedReport
from switchyard_contract.v1 import usage_pb2

BOOT = b"boot-of-pod-4---"


def incomplete(organization: Organization, exchange_id: str) -> None:
    """exchange_id: one that the organization has; it stands for what was estimated."""
    now = timezone.now()
    PodSequence.objects.create(
        pod_id="pod-4", boot_id=BOOT, highest=1_284_310, first_seen_at=now - timedelta(days=30), reported_at=now
    )
    MissingEvents.objects.create(
        pod_id="pod-4", boot_id=BOOT, first=1_284_101, last=1_284_137, opened_at=now - timedelta(minutes=42)
    )
    Orphan.objects.create(
        organization_id=organization.id,
        exchange_id=exchange_id,
        attempt=1,
        pod_id="pod-4",
        cost_nano_usd=184_000_000,
        estimated_at=now - timedelta(minutes=27),
    )
    came_in_at = now - timedelta(hours=3)
    event = usage_pb2.UsageEvent(
        exchange_id=exchange_id,
        attempt=2,
        model="claude-sonnet-4-6",
        cost_nano_usd=21_500_000,
        started_at_ms=round((came_in_at + timedelta(seconds=95_412)).timestamp() * 1000),
    )
    QuarantinedEvent.objects.create(
        digest=UUID(int=4711),
        reason="time_ahead",
        detail="started_at_ms is 1 day 2 h ahead",
        pod_id="pod-3",
        boot_id=BOOT,
        sequence=88_121,
        payload=event.SerializeToString(),
        organization_id=organization.id,
        quarantined_at=came_in_at,
    )
    RefusedReport.objects.create(
        pod_id="pod-9",
        reason="not_this_pod",
        detail="the join token is not for a pod of this name",
        count=17,
        first_at=now - timedelta(hours=5),
        last_at=now - timedelta(minutes=4),
    )
