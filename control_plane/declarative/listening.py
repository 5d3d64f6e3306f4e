"""Revisions follow changes, whichever way they came: once per transaction, after its commit.

The audit hands every change to whoever listens; what is remembered here is a history of it, no part of the change.
"""

import functools
from uuid import UUID

import structlog
from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from control_plane.audit.listeners import listen_to_changes
from control_plane.audit.models import Change
from control_plane.declarative.kinds.catalog import tracked_subjects
from control_plane.declarative.models import PolicyRevision
from control_plane.declarative.revisions import revision_record

RECORD = "declarative.record_revision"
LARGE = 2_000
"""An organization with more objects has its revisions written by a worker, several changes at once if need be."""

log = structlog.get_logger()


def listen() -> None:
    listen_to_changes(_changed)


def _changed(change: Change) -> None:
    if change.organization_id is None or change.subject_kind not in tracked_subjects():
        return
    if change.organization_id in _waiting():
        return
    transaction.on_commit(functools.partial(_record, change.organization_id), robust=True)


def _waiting() -> set[UUID]:
    """The organizations of this transaction that are remembered already."""
    found: set[UUID] = set()
    for waiting in connection.run_on_commit:
        act = waiting[1]
        if isinstance(act, functools.partial) and act.func is _record:
            found.add(act.args[0])
    return found


def _record(organization_id: UUID) -> None:
    newest = PolicyRevision.objects.filter(organization_id=organization_id).order_by("-number")
    count = newest.values_list("object_count", flat=True).first()
    if count is None or count <= LARGE:
        revision_record(organization_id=organization_id)
        return
    try:
        current_app.send_task(RECORD, (organization_id.hex,), retry=False, expires=60)
    except OperationalError as failure:
        log.warning("the broker took no message; the sweep will find the work", why=type(failure).__name__)
