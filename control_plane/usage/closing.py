"""Months that are closed: their sums never change again.

Months are UTC months and are closed in their order, so that one instant says for an organization what is closed. A row
that is booked later for a closed month counts at the instant of its booking (`LedgerEntry.counted_at`): a dated line of
the present month. Closing and booking exclude one another by the ledger's lock, so no row slips into a month while it
is being closed.

Failures: `MonthNotOver`, `EarlierMonthOpen`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.organizations.models import Organization
from control_plane.usage.book_models import ClosedMonth
from control_plane.usage.entries import LedgerRow
from control_plane.usage.ledger_lock import lock_ledger
from control_plane.usage.models import UsageDay

LATE_PODS = timedelta(minutes=5)
"""A month can be closed so long after its end: what pods report at once then still counts in it."""


class ClosingFailure(Exception):
    """A month cannot be closed as things stand."""


class MonthNotOver(ClosingFailure):
    """The month still runs, or has only just ended."""

    def __init__(self, month: date, closable_at: datetime) -> None:
        super().__init__(f"{month:%Y-%m} can be closed from {closable_at:%Y-%m-%d %H:%M} UTC on")
        self.month, self.closable_at = month, closable_at


class EarlierMonthOpen(ClosingFailure):
    """Months are closed in their order; this one comes first."""

    def __init__(self, earliest: date) -> None:
        super().__init__(f"{earliest:%Y-%m} is still open; close it first")
        self.earliest = earliest


def month_of(instant: date) -> date:
    """The first day of the UTC month of a day, or of an instant in UTC."""
    return date(instant.year, instant.month, 1)


def month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def start_of(month: date) -> datetime:
    """The first instant of a month."""
    return datetime(month.year, month.month, 1, tzinfo=UTC)


@transaction.atomic
def month_close(*, organization: Organization, month: date, actor: Actor, now: datetime | None = None) -> ClosedMonth:
    """Close a month; one that is closed stays as it was. month: any day of it.

    Raises MonthNotOver and EarlierMonthOpen.
    """
    now = now or timezone.now()
    month = month_of(month)
    lock_ledger(is_exclusive=True)
    closed = ClosedMonth.objects.filter(organization_id=organization.id, month=month).first()
    if closed is not None:
        return closed
    closable_at = start_of(month_after(month)) + LATE_PODS
    if now < closable_at:
        raise MonthNotOver(month, closable_at)
    earliest = earliest_open_month(organization.id)
    if earliest is not None and earliest < month:
        raise EarlierMonthOpen(earliest)
    closed = ClosedMonth.objects.create(
        organization_id=organization.id, month=month, closed_at=now, closed_by=actor.name[:200]
    )
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="month.close",
        subject=Subject("month", f"{month:%Y-%m}", f"{month:%Y-%m}"),
        after={"month": f"{month:%Y-%m}", "closed_at": now.isoformat()},
    )
    return closed


def months_closed(organization_id: UUID) -> list[ClosedMonth]:
    """The closed months of an organization, the newest first."""
    return list(ClosedMonth.objects.filter(organization_id=organization_id).order_by("-month"))


def is_month_closed(organization_id: UUID, month: date) -> bool:
    """Whether what counts in a month is settled. month: any day of it."""
    end = closed_until(organization_id)
    return end is not None and start_of(month_of(month)) < end


def closed_until(organization_id: UUID) -> datetime | None:
    """The first instant that is not closed; None: no month is closed."""
    return _ends(ClosedMonth.objects.filter(organization_id=organization_id)).get(organization_id)


def earliest_open_month(organization_id: UUID) -> date | None:
    """The month that is to be closed next; None: nothing was ever counted."""
    end = closed_until(organization_id)
    if end is not None:
        return end.date()
    first: date | None = UsageDay.objects.filter(organization_id=organization_id).aggregate(first=Min("day"))["first"]
    return None if first is None else month_of(first)


def closed_ends() -> dict[UUID, datetime]:
    """The first instant that is not closed, of every organization that closed a month.

    For whoever writes rows: to be asked under the ledger's lock.
    """
    return _ends(ClosedMonth.objects.all())


def date_rows(rows: Iterable[LedgerRow], ends: Mapping[UUID, datetime], now: datetime) -> list[LedgerRow]:
    """Let rows of closed months count now: finals that came late, and what takes back rows of a closed month."""
    dated = []
    for row in rows:
        end = ends.get(row.organization_id)
        if end is not None and row.counted_at < end:
            # A booking that waited for its lock over the end of a month may hold an older now.
            dated.append(replace(row, counted_at=max(now, end)))
        else:
            dated.append(row)
    return dated


def _ends(rows: QuerySet[ClosedMonth]) -> dict[UUID, datetime]:
    newest = rows.order_by().values_list("organization_id").annotate(newest=Max("month"))
    return {organization_id: start_of(month_after(month)) for organization_id, month in newest}
