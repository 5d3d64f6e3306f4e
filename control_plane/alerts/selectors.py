"""Reads of channels, crossings and deliveries, for pages and the REST API."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.alerts.models import AlertChannel, Delivery, StageCrossing

SHOWN_FOR = timedelta(days=7)


def channels_of(organization_id: UUID) -> QuerySet[AlertChannel]:
    return AlertChannel.objects.filter(organization_id=organization_id)


def channel_names_of(organization_id: UUID) -> list[str]:
    """What budgets may name in their stages."""
    return list(channels_of(organization_id).values_list("name", flat=True))


def deliveries_of(organization_id: UUID) -> QuerySet[Delivery]:
    return Delivery.objects.filter(organization_id=organization_id).select_related("crossing", "finding", "channel")


def crossings_of(organization_id: UUID, *, budget_id: UUID | None = None) -> QuerySet[StageCrossing]:
    """Crossings of an organization, or of one budget, the newest first."""
    rows = StageCrossing.objects.filter(organization_id=organization_id).order_by("-crossed_at", "id")
    return rows if budget_id is None else rows.filter(budget_id=budget_id)


def crossings_told_to(organization_id: UUID, email: str, *, now: datetime | None = None) -> QuerySet[StageCrossing]:
    """What this person was told by mail in the last days, the newest first."""
    since = (now or timezone.now()) - SHOWN_FOR
    rows = crossings_of(organization_id).filter(crossed_at__gte=since)
    return rows.filter(deliveries__recipient=email.lower()).distinct()
