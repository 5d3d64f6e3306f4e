"""Fleet, settings of the organization."""

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.fleet.counter_standing import counter_standing
from control_plane.onboarding.recipes.reachability import is_public
from control_plane.onboarding.selectors import gateway_url
from control_plane.organizations.services import organization_update
from control_plane.snapshots.selectors import snapshots_of
from control_plane.usage.completeness import completeness
from control_plane.usage.selectors.standing import failed_authentications, inbox_standing
from control_plane.web.fleet_rows import fleet_standing
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.people import DelegationForm, OrganizationForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to


@require_GET
def fleet(request: ConsoleRequest) -> HttpResponse:
    now = timezone.now()
    standing = fleet_standing(request.organization, now)
    context = {
        "fleet": standing,
        "counters": counter_standing(request.organization),
        "inbox": inbox_standing(),
        "books": completeness(now=now),
        "snapshots": snapshots_of(request.organization.id)[:8],
        "failed": failed_authentications(since=now - timedelta(hours=24))[:8],
    }
    return render(request, "web/operate/fleet.html", context)


@require_GET
def pod(request: ConsoleRequest, pod_id: str) -> HttpResponse:
    standing = fleet_standing(request.organization, timezone.now())
    row = next((row for row in standing.rows if row.pod.pod_id == pod_id), None)
    if row is None:
        raise Http404
    return render(request, "web/operate/pod.html", {"row": row, "pod": row.pod})


@require_http_methods(["GET", "POST"])
def settings(request: ConsoleRequest) -> HttpResponse:
    form = OrganizationForm(request.POST) if request.method == "POST" else OrganizationForm.of(request.organization)
    if request.method == "POST" and form.is_valid():
        try:
            organization_update(organization=request.organization, actor=actor(request), **form.cleaned_data)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, "The settings are saved.")
            return go_to(request, reverse("web:settings"))
    address = gateway_url(request.organization)
    context = {
        "form": form,
        "delegation_form": DelegationForm.of(request.organization),
        "address": address,
        "is_public": is_public(address),
    }
    return render(request, "web/operate/settings.html", context, status=form_status(form.errors))


@require_POST
def delegations(request: ConsoleRequest) -> HttpResponse:
    """What team leads may do for the teams they lead. It holds from their next request on."""
    form = DelegationForm(request.POST)
    form.full_clean()
    organization_update(organization=request.organization, actor=actor(request), **form.cleaned_data)
    messages.success(request, "What team leads may do is saved.")
    return go_to(request, reverse("web:settings"))
