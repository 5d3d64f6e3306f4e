"""Celery's doors: write revisions that are due."""

from uuid import UUID

from celery import shared_task

from control_plane.declarative.revisions import revision_record
from control_plane.organizations.selectors import organization_ids


@shared_task(name="declarative.record_revision", ignore_result=True)
def record_revision(organization_id: str) -> None:
    revision_record(organization_id=UUID(organization_id))


@shared_task(name="declarative.sweep", ignore_result=True)
def sweep() -> None:
    """Find what a killed process or a lost message left unwritten."""
    for organization_id in organization_ids():
        revision_record(organization_id=organization_id)
