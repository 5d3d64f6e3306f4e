"""Celery's doors into forecasts. Each organization is a task of its own: one that fails holds up no other."""

from datetime import timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.utils import timezone

from control_plane.forecasts.selectors import made_since
from control_plane.forecasts.services import forecasts_forget, forecasts_make, forecasts_score, unusual_find
from control_plane.organizations.models import Organization, OrganizationState

EVERY = timedelta(minutes=50)

log = structlog.get_logger(__name__)


@shared_task(name="forecasts.make", ignore_result=True)
def make_forecasts() -> None:
    """Ask for the forecasts of organizations whose last ones are an hour old; a new one is looked at soon."""
    known = Organization.objects.filter(state=OrganizationState.KNOWN)
    fresh = made_since(timezone.now() - EVERY)
    for organization_id in known.exclude(id__in=fresh).values_list("id", flat=True):
        make_forecasts_of.apply_async((organization_id.hex,), expires=3600)


@shared_task(name="forecasts.make_of", ignore_result=True, acks_late=True)
def make_forecasts_of(organization_id: str) -> None:
    """Forecast one organization, and find who spent unusually."""
    organization = Organization.objects.filter(id=UUID(organization_id)).first()
    if organization is None:
        return
    made, found = forecasts_make(organization=organization), unusual_find(organization=organization)
    log.info("forecasts made", organization_id=organization_id, forecasts=made, unusual=found)


@shared_task(name="forecasts.score", ignore_result=True)
def score_forecasts() -> None:
    """Compare forecasts of periods that are over with their ends, and let old ones go."""
    if scored := forecasts_score():
        log.info("forecasts scored", count=scored)
    forecasts_forget()
