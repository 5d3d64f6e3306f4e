"""How the intake itself stands, and the last use of keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min, Q, Sum
from psycopg import sql

from control_plane.usage.models import FailedAuthenticationMinute, InboxBatch, KeyLastUse, QuarantinedEvent, UsageDay


@dataclass(frozen=True, slots=True)
class InboxStanding:
    """What waits before the ledger. Concerns the installation, not one organization."""

    waiting_batches: int
    waiting_events: int
    oldest_received_at: datetime | None
    parked_batches: int
    quarantined_events: int


def inbox_standing() -> InboxStanding:
    waits = Q(parked_reason="")
    found = InboxBatch.objects.aggregate(
        waiting=Count("id", filter=waits),
        events=Sum("event_count", filter=waits),
        oldest=Min("received_at", filter=waits),
        parked=Count("id", filter=~waits),
    )
    quarantined = QuarantinedEvent.objects.filter(settled_at=None).count()
    return InboxStanding(found["waiting"], found["events"] or 0, found["oldest"], found["parked"], quarantined)


def failed_authentications(*, since: datetime) -> list[tuple[str, str, int]]:
    """Count failed authentications by reason and source, most first. Concerns the installation."""
    rows = (
        FailedAuthenticationMinute.objects.filter(minute__gte=since)
        .values_list("reason", "source")
        .annotate(total=Sum("count"))
        .order_by("-total", "reason", "source")[:200]
    )
    return [(reason, source, total) for reason, source, total in rows]


def owner_conditions(organization_id: UUID, key_ids: Iterable[str]) -> list[sql.Composable]:
    """What else is true of the ledger's rows of keys: whose they are. It has an index of owners and none of keys.

    Empty: some of these rows are nobody's.
    """
    days = UsageDay.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    owners = list(days.order_by().values_list("principal_id", flat=True).distinct())
    if None in owners:
        return []
    if len(owners) == 1:
        return [sql.SQL("principal_id = {}").format(sql.Literal(owners[0]))]
    return [sql.SQL("principal_id = ANY({}::uuid[])").format(sql.Literal(owners))]


def key_last_uses(organization_id: UUID, key_ids: Iterable[str]) -> dict[str, KeyLastUse]:
    """Find the last use of keys of one organization, by key id; unused keys are absent."""
    uses = KeyLastUse.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    return {use.key_id: use for use in uses}
