"""Celery's doors into alerts. A message is only a hint: what is to be done lies in rows."""

import structlog
from celery import shared_task

from control_plane.alerts.findings import missing_note, orphans_note
from control_plane.alerts.services import (
    crossings_dispatch,
    crossings_sweep,
    deliveries_forget,
    deliveries_send,
    findings_dispatch,
)

log = structlog.get_logger()


@shared_task(name="alerts.send")
def send_alerts() -> None:
    """Make deliveries of what was crossed, and send what is due."""
    crossed, found, sent = crossings_dispatch(), findings_dispatch(), deliveries_send()
    if crossed or found or sent:
        log.info("alerts sent", crossings=crossed, findings=found, deliveries=sent)


@shared_task(name="alerts.sweep")
def sweep_crossings() -> None:
    """Find what crossed a line without a booking, and usage that stays away or is estimated."""
    if found := crossings_sweep():
        log.info("lines crossed by changed budgets", crossings=found)
    if missing := missing_note():
        log.warning("usage of pods is missing", findings=missing)
    if orphaned := orphans_note():
        log.warning("requests of lost pods are estimated", findings=orphaned)


@shared_task(name="alerts.forget")
def forget_deliveries() -> None:
    """Forget what was said long ago."""
    deliveries_forget()
