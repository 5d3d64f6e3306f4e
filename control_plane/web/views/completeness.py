"""What is missing in the books, what is estimated, and what is not believed."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from control_plane.organizations.selectors import is_first_organization
from control_plane.usage import completeness as books
from control_plane.usage.models import MissingEvents, QuarantinedEvent, RefusedReport
from control_plane.usage.rejudgement import event_dismiss, event_retry, quarantined_of
from control_plane.web.quarantine_view import quarantine_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import go_to

SHOWN = 50


@require_GET
def completeness(request: ConsoleRequest) -> HttpResponse:
    organization = request.organization
    quarantined = quarantined_of(organization)
    open_events = quarantined.filter(settled_at=None)
    context = {
        "books": books.completeness(now=timezone.now()),
        "missing": books.missing_open()[:SHOWN],
        "closed": MissingEvents.objects.exclude(closed_at=None).order_by("-closed_at")[:10],
        "orphans": books.orphans_of(organization).filter(settled_at=None)[:SHOWN],
        "quarantined": quarantine_rows(_newest(open_events)),
        "quarantined_count": open_events.count(),
        "settled": quarantined.exclude(settled_at=None).order_by("-settled_at")[:10],
        "refused": RefusedReport.objects.all()[:SHOWN],
        "accepts_missing": is_first_organization(organization.id),
    }
    return render(request, "web/operate/completeness.html", context)


@require_POST
def missing(request: ConsoleRequest, row_id: int) -> HttpResponse:
    """Take note that events will not come."""
    if not is_first_organization(request.organization.id):
        raise PermissionDenied
    row = get_object_or_404(MissingEvents, id=row_id)
    note = request.POST.get("note", "")
    return _done(
        request,
        lambda: books.missing_accept(missing=row, actor=actor(request), note=note),
        f"Noted: {row.count:,} events of {row.pod_id} are lost.",
    )


@require_POST
def orphan(request: ConsoleRequest, row_id: int) -> HttpResponse:
    """Take note that an estimate stays."""
    row = get_object_or_404(books.orphans_of(request.organization), id=row_id)
    note = request.POST.get("note", "")
    return _done(
        request,
        lambda: books.orphan_accept(orphan=row, actor=actor(request), note=note),
        f"Noted: {row.exchange_id} stays estimated.",
    )


@require_POST
def retry(request: ConsoleRequest, row_id: int) -> HttpResponse:
    """Judge an event again."""
    row = get_object_or_404(quarantined_of(request.organization), id=row_id)
    days = settings.SWITCHYARD.ledger_days
    return _done(
        request, lambda: event_retry(event=row, actor=actor(request), ledger_days=days), "The event is in the ledger."
    )


@require_POST
def dismiss(request: ConsoleRequest, row_id: int) -> HttpResponse:
    """Take note that an event is not to be booked."""
    row = get_object_or_404(quarantined_of(request.organization), id=row_id)
    note = request.POST.get("note", "")
    return _done(request, lambda: event_dismiss(event=row, actor=actor(request), note=note), "The event is dismissed.")


def _newest(rows: QuerySet[QuarantinedEvent]) -> QuerySet[QuarantinedEvent]:
    return rows.order_by("-quarantined_at", "-id")[:SHOWN]


def _done(request: ConsoleRequest, act: Callable[[], object], said: str) -> HttpResponse:
    try:
        act()
    except ValidationError as failure:
        messages.error(request, " ".join(failure.messages))
    else:
        messages.success(request, said)
    return go_to(request, reverse("web:completeness"))
