"""Compile when woken, and sweep for what a lost message left."""

import time
from collections.abc import Sequence
from uuid import UUID

from celery import shared_task
from django.db.models import Max, Min
from django.utils import timezone

from control_plane.audit.models import Outbox, ShardKind
from control_plane.snapshots.services import (
    deny_compile,
    everything_compile,
    global_compile,
    organization_compile,
    snapshots_prune,
)

QUIET_S = 0.1
LONGEST_WAIT_S = 1.0


@shared_task(name="snapshots.compile_global")
def compile_global() -> None:
    """The global shard changed."""
    wait_for_quiet([ShardKind.GLOBAL], None)
    global_compile()


@shared_task(name="snapshots.compile_organization")
def compile_organization(organization_id: str) -> None:
    """An organization's policy or keys changed."""
    wait_for_quiet([ShardKind.POLICY, ShardKind.KEYS], UUID(organization_id))
    organization_compile(UUID(organization_id))


@shared_task(name="snapshots.carry_heads")
def carry_heads() -> None:
    """New signed heads of audit chains are on their way to the pods."""
    global_compile(waits=True, force=True)


@shared_task(name="snapshots.compile_deny")
def compile_deny(organization_id: str) -> None:
    """Something was revoked: no waiting."""
    deny_compile(UUID(organization_id))


@shared_task(name="snapshots.sweep")
def sweep() -> None:
    """Whatever is open or missing."""
    everything_compile()


@shared_task(name="snapshots.prune")
def prune() -> None:
    """Old payloads."""
    snapshots_prune()


def wait_for_quiet(kinds: Sequence[ShardKind], organization_id: UUID | None) -> None:
    """Let a burst of changes become one version: wait until it is quiet, but never longer than a second."""
    while True:
        times = Outbox.objects.filter(
            shard_kind__in=kinds, organization_id=organization_id, compiled_version__isnull=True
        ).aggregate(newest=Max("created_at"), oldest=Min("created_at"))
        if times["newest"] is None:
            return
        now = timezone.now()
        quiet_s = QUIET_S - (now - times["newest"]).total_seconds()
        left_s = LONGEST_WAIT_S - (now - times["oldest"]).total_seconds()
        if min(quiet_s, left_s) <= 0:
            return
        time.sleep(min(quiet_s, left_s))
