"""Events in quarantine, looked at by people: judged again, or dismissed.

Once what stood against an event is gone (an organization was restored, a clock's hour has come) it is judged and booked
as if it had come now; the ledger's key keeps that from happening twice.
"""

from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from google.protobuf.message import DecodeError

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.organizations.models import Organization
from control_plane.organizations.selectors import is_first_organization
from control_plane.usage.aggregation import book_rows
from control_plane.usage.entries import LedgerRow
from control_plane.usage.judgement import Horizon, Oddity, judge
from control_plane.usage.models import QuarantinedEvent
from switchyard_contract.v1 import usage_pb2

BOOKED, DISMISSED = "booked", "dismissed"
LONGEST_NOTE = 500


def quarantined_of(organization: Organization) -> QuerySet[QuarantinedEvent]:
    """What an organization's people may look at: its own events; those of nobody go to the installation's first one."""
    theirs = Q(organization_id=organization.id)
    if is_first_organization(organization.id):
        theirs |= Q(~Exists(Organization.objects.filter(id=OuterRef("organization_id"))))
    return QuarantinedEvent.objects.filter(theirs)


@transaction.atomic
def event_retry(
    *, event: QuarantinedEvent, actor: Actor, ledger_days: int, now: datetime | None = None
) -> QuarantinedEvent:
    """Judge an event again and book it. Raises ValidationError with what still stands against it."""
    now = now or timezone.now()
    event = QuarantinedEvent.objects.select_for_update().get(id=event.id)
    if event.settled_at is not None:
        return event
    told, judged = _judge(event, Horizon(int(now.timestamp() * 1000), ledger_days, _organizations()))
    if isinstance(judged, Oddity):
        QuarantinedEvent.objects.filter(id=event.id).update(reason=judged.reason, detail=judged.detail[:500])
        raise ValidationError({"": [f"It cannot be booked yet: {judged.detail}."]})
    rules = {} if judged.rules_digest is None else {judged.rules_digest: told.rules}
    book_rows([judged], rules=rules, now=now)
    return _settle(event, BOOKED, judged.organization_id, actor, "", now)


@transaction.atomic
def event_dismiss(*, event: QuarantinedEvent, actor: Actor, note: str, now: datetime | None = None) -> QuarantinedEvent:
    """Take note that an event is not to be booked; it is kept with the reason. Raises ValidationError."""
    if not note.strip() or len(note) > LONGEST_NOTE or "\x00" in note:
        raise ValidationError({"note": [f"Say why, in at most {LONGEST_NOTE} characters."]})
    event = QuarantinedEvent.objects.select_for_update().get(id=event.id)
    if event.settled_at is not None:
        return event
    return _settle(event, DISMISSED, event.organization_id, actor, note.strip(), now or timezone.now())


def event_told(event: QuarantinedEvent) -> usage_pb2.UsageEvent:
    """What the pod reported; an empty event where it cannot be read."""
    try:
        return usage_pb2.UsageEvent.FromString(bytes(event.payload))
    except DecodeError:
        return usage_pb2.UsageEvent()


def _judge(event: QuarantinedEvent, horizon: Horizon) -> tuple[usage_pb2.UsageEvent, LedgerRow | Oddity]:
    told = event_told(event)
    told.pod_id = event.pod_id
    return told, judge(told, horizon)


def _organizations() -> frozenset[UUID]:
    return frozenset(Organization.objects.values_list("id", flat=True))


def _settle(
    event: QuarantinedEvent, settlement: str, organization_id: UUID | None, actor: Actor, note: str, now: datetime
) -> QuarantinedEvent:
    event.settled_at, event.settlement, event.settled_by, event.note = now, settlement, actor.name[:200], note
    event.save(update_fields=["settled_at", "settlement", "settled_by", "note"])
    known = organization_id is not None and Organization.objects.filter(id=organization_id).exists()
    record_change(
        # What names no organization of ours is told in the installation's own chain.
        organization_id=organization_id if known else None,
        actor=actor,
        action=f"quarantined_event.{settlement}",
        subject=Subject("quarantined_event", str(event.id), f"{event.pod_id} {event.sequence}"),
        after={"reason": event.reason, "detail": event.detail, "settlement": settlement, "note": note},
    )
    return event
