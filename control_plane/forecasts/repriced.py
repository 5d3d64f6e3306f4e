"""What was repriced is forecast anew at once: until the next hour a month's picture would be that of the old prices."""

from uuid import UUID

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from control_plane.usage.listening import listen_to_repricing

EXPIRES_S = 3600
"""By then the hourly run has come by."""

log = structlog.get_logger(__name__)


def listen() -> None:
    listen_to_repricing(_repriced)


def _repriced(organization_id: UUID) -> None:
    transaction.on_commit(lambda: _ask(organization_id))


def _ask(organization_id: UUID) -> None:
    try:
        current_app.send_task("forecasts.make_of", (organization_id.hex,), retry=False, expires=EXPIRES_S)
    except OperationalError as failure:
        log.warning("the broker took no message; the hourly run will forecast it", why=type(failure).__name__)
