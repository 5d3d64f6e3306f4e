"""How much of what was admitted is in the books, and what is known to be missing.

Completeness = 1 - (missing numbers + orphans) / admitted, over all spools that are remembered. It is 1 while nothing is
known to be missing, and it comes back to 1 only when the events arrive or when somebody takes note, with a reason, that
they will not: nothing is forgotten by waiting.
Source: docs/operations/completeness.md
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, F, Min, OuterRef, QuerySet, Sum
from django.utils import timezone

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.organizations.models import Organization
from control_plane.usage.models import MissingEvents, Orphan, PodSequence

OVERDUE_AFTER: Final = timedelta(minutes=10)
"""A batch that was overtaken arrives within seconds; after this somebody is told."""
LEAST_PER_MILLION: Final = 999_900
"""Below this it is said as a failure."""
MILLION: Final = 1_000_000
LONGEST_NOTE: Final = 500


@dataclass(frozen=True, slots=True)
class Completeness:
    """Of the whole installation: what is missing names no organization."""

    admitted: int
    """Events that pods are known to have numbered, and orphans."""
    missing: int
    orphans: int
    oldest_gap_at: datetime | None
    """When the oldest gap that is open was seen."""
    at: datetime

    @property
    def per_million(self) -> int:
        """Rounded down: one event in a billion that is missing is not nothing."""
        lost = self.missing + self.orphans
        return MILLION if not lost else min(MILLION - 1, (self.admitted - lost) * MILLION // max(1, self.admitted))

    @property
    def share(self) -> float:
        return self.per_million / MILLION

    @property
    def is_complete(self) -> bool:
        return not self.missing and not self.orphans

    @property
    def is_low(self) -> bool:
        return self.per_million < LEAST_PER_MILLION

    @property
    def is_overdue(self) -> bool:
        """Something is missing for longer than a batch may be on its way; an orphan always is."""
        return bool(self.orphans) or (self.oldest_gap_at is not None and self.oldest_gap_at <= self.at - OVERDUE_AFTER)

    @property
    def percent_text(self) -> str:
        """100 only when nothing is missing."""
        return "100" if self.is_complete else f"{self.per_million / 10_000:.4f}"


def completeness(*, now: datetime | None = None) -> Completeness:
    """How the books stand."""
    numbered = PodSequence.objects.aggregate(total=Sum("highest"))["total"] or 0
    gaps = missing_open().aggregate(total=Sum(F("last") - F("first") + 1), oldest=Min("opened_at"))
    orphans = Orphan.objects.filter(settled_at=None).count()
    return Completeness(
        admitted=numbered + orphans,
        missing=gaps["total"] or 0,
        orphans=orphans,
        oldest_gap_at=gaps["oldest"],
        at=now or timezone.now(),
    )


def missing_open() -> QuerySet[MissingEvents]:
    """Gaps that are open, of all pods."""
    return MissingEvents.objects.filter(closed_at=None)


def orphans_of(organization: Organization) -> QuerySet[Orphan]:
    return Orphan.objects.filter(organization_id=organization.id)


@transaction.atomic
def missing_accept(*, missing: MissingEvents, actor: Actor, note: str, now: datetime | None = None) -> MissingEvents:
    """Take note that events will not come: a disk was lost, a record was damaged. Raises ValidationError."""
    note = _note_of(note)
    missing = MissingEvents.objects.select_for_update().get(id=missing.id)
    if missing.closed_at is not None:
        return missing
    missing.closed_at, missing.closed_by, missing.note = now or timezone.now(), actor.name[:200], note
    missing.save(update_fields=["closed_at", "closed_by", "note"])
    record_change(
        # Nobody knows whose they were.
        organization_id=None,
        actor=actor,
        action="missing_events.accept",
        subject=Subject("missing_events", str(missing.id), f"{missing.pod_id} {missing.first}-{missing.last}"),
        after={"pod": missing.pod_id, "first": missing.first, "last": missing.last, "note": note},
    )
    return missing


@transaction.atomic
def orphan_accept(*, orphan: Orphan, actor: Actor, note: str, now: datetime | None = None) -> Orphan:
    """Take note that the truth about an orphan will not come: its estimate stays. Raises ValidationError."""
    note = _note_of(note)
    orphan = Orphan.objects.select_for_update().get(id=orphan.id)
    if orphan.settled_at is not None:
        return orphan
    orphan.settled_at, orphan.settled_by, orphan.note = now or timezone.now(), actor.name[:200], note
    orphan.save(update_fields=["settled_at", "settled_by", "note"])
    record_change(
        organization_id=orphan.organization_id,
        actor=actor,
        action="orphan.accept",
        subject=Subject("orphan", str(orphan.id), orphan.exchange_id),
        after={"exchange": orphan.exchange_id, "cost_nano_usd": orphan.cost_nano_usd, "note": note},
    )
    return orphan


def sequences_forget(*, now: datetime, ledger_days: int) -> int:
    """Forget spools that reported nothing for as long as the ledger keeps rows, and what was missing of them."""
    oldest = now - timedelta(days=ledger_days)
    MissingEvents.objects.filter(closed_at__lt=oldest).delete()
    open_gaps = missing_open().filter(pod_id=OuterRef("pod_id"), boot_id=OuterRef("boot_id"))
    forgotten, _ = PodSequence.objects.filter(~Exists(open_gaps), reported_at__lt=oldest).delete()
    return forgotten


def _note_of(note: str) -> str:
    if not note.strip() or len(note) > LONGEST_NOTE or "\x00" in note:
        raise ValidationError({"note": [f"Say why, in at most {LONGEST_NOTE} characters."]})
    return note.strip()
