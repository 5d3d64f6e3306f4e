"""Fleet, audit, settings of the organization."""

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.models import Change
from control_plane.audit.selectors import Broken, changes_of, verify_chain
from control_plane.onboarding.recipes.reachability import is_public
from control_plane.onboarding.selectors import gateway_url
from control_plane.organizations.services import organization_update
from control_plane.snapshots.selectors import snapshots_of
from control_plane.usage.selectors.standing import failed_authentications, inbox_standing
from control_plane.web.fleet_rows import fleet_standing
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.people import OrganizationForm
from control_plane.web.listing import Filter, Sort, csv_response, list_rows, wants_csv
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

MOST_EXPORTED = 100_000


@require_GET
def fleet(request: ConsoleRequest) -> HttpResponse:
    now = timezone.now()
    standing = fleet_standing(request.organization, now)
    context = {
        "fleet": standing,
        "inbox": inbox_standing(),
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


@require_GET
def audit(request: ConsoleRequest) -> HttpResponseBase:
    rows = changes_of(request.organization.id)
    kinds = tuple((kind, kind.replace("_", " ")) for kind in _kinds(rows))
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("sequence", "sequence"),),
        default="-sequence",
        searched=lambda found, text: found.filter(
            Q(subject_name__icontains=text) | Q(actor_name__icontains=text) | Q(action__icontains=text)
        ),
        filters=(Filter("kind", "About", kinds),),
        filtered={"kind": lambda found, value: found.filter(subject_kind=value)},
        limit=MOST_EXPORTED if wants_csv(request) else 50,
    )
    if wants_csv(request):
        head = ("sequence", "at", "actor", "source", "action", "subject_kind", "subject", "reason", "hash")
        return csv_response(
            "audit",
            head,
            (
                (
                    row.sequence,
                    row.at,
                    row.actor_name,
                    row.source_address,
                    row.action,
                    row.subject_kind,
                    row.subject_name,
                    row.reason,
                    bytes(row.hash).hex(),
                )
                for row in listing.rows
            ),
        )
    return render(request, "web/operate/audit.html", {"listing": listing})


@require_GET
def change(request: ConsoleRequest, sequence: int) -> HttpResponse:
    found = changes_of(request.organization.id).filter(sequence=sequence).first()
    if found is None:
        raise Http404
    context = {
        "change": found,
        "facts": _facts(found),
        "hash": bytes(found.hash).hex(),
        "previous_hash": bytes(found.previous_hash).hex() or "none: this is the first entry",
    }
    return render(request, "web/operate/change.html", context)


@require_GET
def audit_verify(request: ConsoleRequest) -> HttpResponse:
    verdict = verify_chain(request.organization.id)
    context = {"verdict": verdict, "is_broken": isinstance(verdict, Broken), "at": timezone.now()}
    return render(request, "web/operate/audit_verdict.html", context)


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
    context = {"form": form, "address": address, "is_public": is_public(address)}
    return render(request, "web/operate/settings.html", context, status=form_status(form.errors))


def _kinds(rows: QuerySet[Change]) -> list[str]:
    return list(rows.order_by("subject_kind").values_list("subject_kind", flat=True).distinct())


def _facts(found: Change) -> list[tuple[str, object, object, bool]]:
    """(field, before, after, whether it changed), by name."""
    before, after = found.before or {}, found.after or {}
    return [
        (name, before.get(name, ""), after.get(name, ""), before.get(name) != after.get(name))
        for name in sorted({*before, *after})
    ]
