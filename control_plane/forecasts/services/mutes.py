"""Mutes: for a time nobody is told of somebody's unusual days. They go on being found, and are shown as muted."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.forecasts.models import FindingState, UnusualMute, UnusualSpend
from control_plane.organizations.models import Membership, Organization, ServiceAccount
from control_plane.usage.selectors.names import names_of

LONGEST = timedelta(days=366)
"""What is to be quiet for longer is somebody's usual by then."""
JUDGED = timedelta(days=1)
"""Today and yesterday are judged again every hour; the findings of older days are told already, or were not."""


def mute_set(
    *, organization: Organization, principal_id: UUID, last_day: date, by: Actor, now: datetime | None = None
) -> UnusualMute:
    """Mute a person or service account up to a day, in place of a mute that stands; `by` says why.

    Raises ValidationError for somebody who is not here, a day that is over or too far, and without a reason. Must run
    in a transaction.
    """
    now = now or timezone.now()
    today = now.astimezone(UTC).date()
    kind = _kind_of(organization.id, principal_id)
    if kind is None:
        raise ValidationError({"principal": "Nobody of this organization has this id."})
    if not by.reason:
        raise ValidationError({"reason": "Say why: whoever wonders at the silence reads it."})
    if not today <= last_day <= today + LONGEST:
        raise ValidationError({"last_day": f"Between today and {today + LONGEST}, in days of UTC."})
    standing = UnusualMute.objects.select_for_update().filter(
        organization_id=organization.id, principal_id=principal_id
    )
    before = standing.first()
    told_before = None if before is None else _told(before)
    mute = before or UnusualMute(organization_id=organization.id, principal_id=principal_id)
    mute.principal_kind, mute.last_day, mute.reason = kind, last_day, by.reason
    mute.muted_by, mute.muted_at = by.name[:254], now
    mute.save()
    judged = _judged(mute, today)
    judged.filter(day__lte=last_day, muted_at=None).update(muted_at=now)
    judged.filter(day__gt=last_day).update(muted_at=None)
    _record(mute, by, "unusual_spend.muted", told_before, _told(mute))
    return mute


def mute_lift(*, mute: UnusualMute, by: Actor, now: datetime | None = None) -> None:
    """Tell of this one's days again, from those that are judged at present on. Must run in a transaction."""
    today = (now or timezone.now()).astimezone(UTC).date()
    _judged(mute, today).update(muted_at=None)
    _record(mute, by, "unusual_spend.unmuted", _told(mute), None)
    mute.delete()


def muted_until(organization_id: UUID) -> dict[UUID, date]:
    """The last day of which nobody is told, of everybody who is or was muted lately."""
    rows = UnusualMute.objects.filter(organization_id=organization_id)
    return dict(rows.values_list("principal_id", "last_day"))


def _judged(mute: UnusualMute, today: date) -> QuerySet[UnusualSpend]:
    """Findings that the next look finds again."""
    return UnusualSpend.objects.filter(
        organization_id=mute.organization_id,
        principal_id=mute.principal_id,
        state=FindingState.OPEN,
        day__gte=today - JUDGED,
    )


def _kind_of(organization_id: UUID, principal_id: UUID) -> str | None:
    """None: there is neither a member nor a service account of this id."""
    if Membership.objects.filter(organization_id=organization_id, user_id=principal_id).exists():
        return "user"
    accounts = ServiceAccount.objects.filter(organization_id=organization_id, id=principal_id)
    return "service_account" if accounts.exists() else None


def _told(mute: UnusualMute) -> dict[str, str]:
    return {"last_day": mute.last_day.isoformat(), "reason": mute.reason}


def _record(
    mute: UnusualMute, by: Actor, action: str, before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    # Whoever left has no name any more.
    names = names_of(mute.organization_id, principal_ids=[mute.principal_id])
    name = names.principal(mute.principal_id) or mute.principal_id.hex
    record_change(
        organization_id=mute.organization_id,
        actor=by,
        action=action,
        subject=Subject(mute.principal_kind, mute.principal_id.hex, name),
        before=before,
        after=after,
    )
