"""Notes what is found without a budget's line: unusual spend, usage of pods that stays away, requests of lost pods.

A finding is a row with a unique name, as a crossing is: written once, whoever sees it first, and told from the outbox.
Unusual spend is heard of in the transaction that keeps it; gaps and orphans are looked for by the sweep, since nothing
happens when an event stays away.
Source: docs/decisions/0179-findings-are-told-like-stages.md, 0192-orphans-are-told.md
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from control_plane.alerts.crossings import wake_sender
from control_plane.alerts.models import AlertChannel, Finding, Topic
from control_plane.forecasts.listening import listen_to_unusual_spend
from control_plane.forecasts.models import FindingState, UnusualSpend
from control_plane.organizations.selectors import first_organization_id
from control_plane.usage.completeness import OVERDUE_AFTER, completeness, missing_open
from control_plane.usage.models import MissingEvents, Orphan

MOST_RANGES: Final = 20
"""So many gaps of one moment, or exchanges of one pod, are named; the page has them all."""


def listen() -> None:
    listen_to_unusual_spend(_unusual)


def _unusual(found: Sequence[UnusualSpend]) -> None:
    unusual_note(found, now=timezone.now())


def unusual_note(found: Iterable[UnusualSpend], *, now: datetime) -> int:
    """Write those that nobody has looked at or muted; says how many are new. Must run in a transaction."""
    return _note([_of_unusual(one, now) for one in found if one.state == FindingState.OPEN and one.muted_at is None])


@transaction.atomic
def missing_note(*, now: datetime | None = None) -> int:
    """Write the gaps that did not close in time; says how many are new. Those of one pod and one moment are one.

    Pods serve every organization, so nobody knows whose they are: the first one hears of it, which runs the
    installation, and every other one that has a channel for it.
    """
    now = now or timezone.now()
    overdue = missing_open().filter(opened_at__lte=now - OVERDUE_AFTER).order_by("first")
    seen: dict[tuple[str, bytes, datetime], list[MissingEvents]] = defaultdict(list)
    for gap in overdue:
        seen[gap.pod_id, bytes(gap.boot_id), gap.opened_at].append(gap)
    if not seen:
        return 0
    listening = AlertChannel.objects.filter(is_active=True, hears__contains=Topic.MISSING_USAGE)
    organizations = {*listening.values_list("organization_id", flat=True), first_organization_id()} - {None}
    share = completeness(now=now).percent_text
    return _note([
        _of_gaps(organization_id, gaps, share, now)
        for gaps in seen.values()
        for organization_id in organizations
        if organization_id is not None
    ])  # fmt: skip


@transaction.atomic
def orphans_note(*, now: datetime | None = None) -> int:
    """Write the estimates whose truth did not come in time; says how many are new. Those of one run of a pod are one.

    A pod that is only away speaks for itself within minutes, and several sweeps find what one pod has lost.
    """
    now = now or timezone.now()
    runs: dict[tuple[UUID, str, str, int, str], list[Orphan]] = defaultdict(list)
    for one in Orphan.objects.filter(settled_at=None, estimated_at__lte=now - OVERDUE_AFTER).order_by("id"):
        # A pod that named no spool may be lost again another day.
        day = "" if one.spool else one.estimated_at.astimezone(UTC).date().isoformat()
        runs[one.organization_id, one.pod_id, one.spool, one.run, day].append(one)
    return _note([_of_orphans(organization_id, run, some, now) for (organization_id, *run), some in runs.items()])


def _note(found: Sequence[Finding]) -> int:
    """Insert what is not there yet."""
    known = set(
        Finding.objects.filter(about__in=[one.about for one in found]).values_list("organization_id", "topic", "about")
    )
    new = sorted(
        (one for one in found if (one.organization_id, one.topic, one.about) not in known),
        key=lambda one: (one.organization_id, one.about),
    )
    if new:
        Finding.objects.bulk_create(new, ignore_conflicts=True)
        transaction.on_commit(wake_sender, robust=True)
    return len(new)


def _of_unusual(one: UnusualSpend, now: datetime) -> Finding:
    """Without a name: who it was is looked up when it is told, so that a pseudonym reaches it."""
    facts: dict[str, Any] = {
        "principal_kind": one.principal_kind,
        "day": one.day.isoformat(),
        "spent": one.spent_nano_usd,
        "usual": one.usual_nano_usd,
        "line": one.line_nano_usd,
        "compared": one.compared,
        "compared_days": one.compared_days,
        "model": one.model,
        "model_nano_usd": one.model_nano_usd,
    }
    return Finding(
        organization_id=one.organization_id,
        topic=Topic.UNUSUAL_SPEND,
        about=one.id.hex,
        principal_id=one.principal_id,
        team_id=one.team_id,
        facts=facts,
        found_at=now,
    )


def _of_gaps(organization_id: UUID, gaps: Sequence[MissingEvents], share: str, now: datetime) -> Finding:
    """A gap of which something arrives is cut in pieces that keep its moment: it is the same one."""
    one = gaps[0]
    name = b"\x00".join((one.pod_id.encode(), bytes(one.boot_id), one.opened_at.isoformat().encode()))
    return Finding(
        organization_id=organization_id,
        topic=Topic.MISSING_USAGE,
        about=blake2b(name, digest_size=16).hexdigest(),
        facts={
            "pod": one.pod_id,
            "opened_at": one.opened_at.isoformat(),
            "count": sum(gap.count for gap in gaps),
            "ranges": [[gap.first, gap.last] for gap in gaps[:MOST_RANGES]],
            "percent_complete": share,
        },
        found_at=now,
    )


def _of_orphans(organization_id: UUID, run: Sequence[object], some: Sequence[Orphan], now: datetime) -> Finding:
    """Of one organization's requests on one run of a pod."""
    name = b"\x00".join(str(part).encode() for part in run)
    return Finding(
        organization_id=organization_id,
        topic=Topic.ORPHANED_USAGE,
        about=blake2b(name, digest_size=16).hexdigest(),
        facts={
            "pod": some[0].pod_id,
            "count": len(some),
            "cost": sum(one.cost_nano_usd for one in some),
            "first_at": min(one.estimated_at for one in some).isoformat(),
            "exchanges": [one.exchange_id for one in some[:MOST_RANGES]],
        },
        found_at=now,
    )
