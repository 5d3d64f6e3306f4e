"""Unusual days: all findings, what people say of them, and who is muted."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.forecasts.models import FindingState, UnusualMute, UnusualSpend
from control_plane.forecasts.reach import may_mute, mutable_of, mutes_seen_by, unusual_seen_by
from control_plane.forecasts.selectors import mutes_in_force, unusual_of
from control_plane.forecasts.services import mute_lift, mute_set, unusual_decide
from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.usage.selectors.names import names_of
from control_plane.web.forecast_view import FindingRow, MuteRow
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.unusual import MuteForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

PAGE_FINDINGS = 50
GONE = "somebody who is gone"


@require_GET
def unusual(request: ConsoleRequest) -> HttpResponse:
    """Every unusual day, the newest first."""
    state = request.GET.get("state", FindingState.OPEN)
    rows = findings_of(request)
    if state in FindingState.values:
        rows = rows.filter(state=state)
    else:
        state = "all"
    found = list(rows[: PAGE_FINDINGS + 1])
    context = {
        "findings": finding_rows(request, found[:PAGE_FINDINGS]),
        "has_more": len(found) > PAGE_FINDINGS,
        "state": state,
        "states": (("open", "Open"), ("seen", "Seen"), ("dismissed", "Dismissed"), ("all", "All")),
        "decides": decides(request),
        "mutes": _mute_rows(request),
    }
    return render(request, "web/forecast/unusual.html", context)


@require_POST
def unusual_mark(request: ConsoleRequest, finding_id: UUID) -> HttpResponse:
    """Say that a finding was seen, or that it was nothing."""
    found = findings_of(request).filter(id=finding_id).first()
    state = request.POST.get("state", "")
    if found is None or not decides(request) or state not in FindingState.values:
        raise Http404
    with transaction.atomic():
        unusual_decide(finding=found, state=state, by=actor(request))
    said = {"seen": "Marked as seen", "dismissed": "Dismissed", "open": "Open again"}[state]
    messages.success(request, f"{said}: {found.day:%-d %b}.")
    back = reverse("web:unusual-spend") if request.POST.get("back") == "list" else reverse("web:forecast")
    return go_to(request, back)


@require_http_methods(["GET", "POST"])
def mute(request: ConsoleRequest, principal_id: UUID) -> HttpResponse:
    """Mute a person or service account, or change how long."""
    name = names_of(request.organization.id, principal_ids=[principal_id]).principal(principal_id)
    if name is None or not may_mute(request.standing, principal_id):
        raise Http404
    form = MuteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                made = mute_set(
                    organization=request.organization,
                    principal_id=principal_id,
                    last_day=form.chosen_day(),
                    by=actor(request),
                )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{name} is muted until {made.last_day:%-d %b %Y}. Days are found all the same.")
            return go_to(request, reverse("web:unusual-spend"))
    context = {
        "form": form,
        "name": name,
        "standing_mute": mutes_in_force(request.organization.id).filter(principal_id=principal_id).first(),
    }
    return render(request, "web/forecast/mute.html", context, status=form_status(form.errors))


@require_POST
def unmute(request: ConsoleRequest, mute_id: UUID) -> HttpResponse:
    """Tell of somebody's days again."""
    found = _mutes(request).filter(id=mute_id).first()
    if found is None or not may_mute(request.standing, found.principal_id):
        raise Http404
    name = names_of(request.organization.id, principal_ids=[found.principal_id]).principal(found.principal_id) or GONE
    with transaction.atomic():
        mute_lift(mute=found, by=actor(request))
    messages.success(
        request, f"{name} is muted no longer: people are told again, from today's and yesterday's days on."
    )
    return go_to(request, reverse("web:unusual-spend"))


def findings_of(request: ConsoleRequest) -> QuerySet[UnusualSpend]:
    """The findings that this person sees."""
    return unusual_of(request.organization.id).filter(unusual_seen_by(request.standing))


def finding_rows(request: ConsoleRequest, found: list[UnusualSpend]) -> list[FindingRow]:
    """With names, and whether this person may mute whom they are of."""
    people = {row.principal_id for row in found}
    names = names_of(request.organization.id, principal_ids=people)
    mutable = {one for one in mutable_of(request.standing, people) if names.principal(one) is not None}
    muted = set(
        mutes_in_force(request.organization.id).filter(principal_id__in=people).values_list("principal_id", flat=True)
    )
    return [
        FindingRow(
            row,
            names.principal(row.principal_id) or GONE,
            may_mute=row.principal_id in mutable and row.principal_id not in muted,
        )
        for row in found
    ]


def decides(request: ConsoleRequest) -> bool:
    """Whether this person may say what a finding is."""
    return reach_of(request.standing, Permission.USAGE_READ) >= Reach.TEAM


def _mutes(request: ConsoleRequest) -> QuerySet[UnusualMute]:
    return mutes_in_force(request.organization.id).filter(mutes_seen_by(request.standing))


def _mute_rows(request: ConsoleRequest) -> list[MuteRow]:
    found = list(_mutes(request))
    people = {row.principal_id for row in found}
    names, liftable = names_of(request.organization.id, principal_ids=people), mutable_of(request.standing, people)
    return [
        MuteRow(row, names.principal(row.principal_id) or GONE, may_lift=row.principal_id in liftable) for row in found
    ]
