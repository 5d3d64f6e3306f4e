"""Sweeps over credentials."""

import structlog
from celery import shared_task

from control_plane.audit.services import Actor
from control_plane.credentials.services import credentials_refresh

log = structlog.get_logger()


@shared_task(name="credentials.refresh")
def refresh_credentials() -> None:
    """Take over credentials that changed in their file or environment."""
    for problem in credentials_refresh(actor=Actor.system("credential refresh")):
        log.warning("credential not read", problem=problem)
