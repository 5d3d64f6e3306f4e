"""Service accounts: tools, CI jobs and applications with keys of their own."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.selectors import changes_of
from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import keys_within, may_mint_for
from control_plane.keys.services.departures import service_account_activity_set
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.organizations.reach import service_accounts_within, teams_within
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.services import service_account_create, service_account_update
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.people import ServiceAccountForm
from control_plane.web.key_rows import key_rows
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.views.rows import MOST_SHOWN, counted, found_or_404, team_options


@require_GET
def service_accounts(request: ConsoleRequest) -> HttpResponse:
    live = VirtualKey.objects.filter(organization=request.organization, revoked_at__isnull=True)
    listing = list_rows(
        request,
        service_accounts_within(request.standing).annotate(live_keys=counted(live, "service_account_id", "id")),
        sorts=(Sort("name", "name"), Sort("created", "created_at")),
        default="name",
        searched=lambda rows, text: rows.filter(Q(name__icontains=text) | Q(description__icontains=text)),
        filters=(
            Filter("team", "Team", team_options(request.standing, request.GET.get("team", ""))),
            Filter("state", "State", (("on", "Active"), ("off", "Switched off"))),
        ),
        filtered={
            "team": lambda rows, value: rows.filter(team_id=UUID(value)),
            "state": lambda rows, value: rows.filter(is_active=value == "on"),
        },
    )
    return render(request, "web/people/service_accounts.html", {"listing": listing})


@require_http_methods(["GET", "POST"])
def service_account_add(request: ConsoleRequest) -> HttpResponse:
    form = ServiceAccountForm(_chargeable(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = service_account_create(organization=request.organization, actor=actor(request), **form.cleaned_data)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{made.name} is there. Mint a key for it.")
            return go_to(request, reverse("web:service-account", args=[made.id]))
    return render(request, "web/people/service_account_form.html", {"form": form}, status=form_status(form.errors))


@require_GET
def service_account(request: ConsoleRequest, account_id: UUID) -> HttpResponse:
    found = _account(request, account_id)
    context = {
        "account": found,
        "may_manage": can(request.standing, Permission.SERVICE_ACCOUNTS_MANAGE, team_ids=(found.team_id,)),
        "may_mint": may_mint_for(request.standing, found.team_id),
        "keys": key_rows(
            request.organization,
            keys_within(request.standing).filter(service_account=found)[:MOST_SHOWN],
            since=month_of(request),
        ),
        "history": changes_of(request.organization.id).filter(subject_kind="service_account", subject_id=found.id.hex)[
            :20
        ],
    }
    return render(request, "web/people/service_account.html", context)


@require_http_methods(["GET", "POST"])
def service_account_edit(request: ConsoleRequest, account_id: UUID) -> HttpResponse:
    found = _account(request, account_id, Permission.SERVICE_ACCOUNTS_MANAGE)
    form = (
        ServiceAccountForm(_chargeable(request), request.POST)
        if request.method == "POST"
        else ServiceAccountForm.of(found, _chargeable(request))
    )
    if request.method == "POST" and form.is_valid():
        try:
            service_account_update(service_account=found, actor=actor(request), **form.cleaned_data)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return go_to(request, reverse("web:service-account", args=[found.id]))
    context = {"form": form, "account": found}
    return render(request, "web/people/service_account_form.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def service_account_activity(request: ConsoleRequest, account_id: UUID) -> HttpResponse:
    found = _account(request, account_id, Permission.SERVICE_ACCOUNTS_MANAGE)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        service_account_activity_set(
            service_account=found,
            is_active=not found.is_active,
            actor=actor(request),
            reason=form.cleaned_data["reason"],
        )
        told = "is switched off; its keys are denied" if found.is_active else "is on again"
        messages.success(request, f"{found.name} {told}.")
        return go_to(request, reverse("web:service-account", args=[found.id]))
    live = VirtualKey.objects.filter(organization=request.organization, service_account=found, revoked_at__isnull=True)
    context = {"form": form, "account": found, "live": live.count()}
    return render(request, "web/people/service_account_activity.html", context, status=form_status(form.errors))


def _chargeable(request: ConsoleRequest) -> QuerySet[Team]:
    """The teams this person may make accounts for."""
    return teams_within(request.standing, Permission.SERVICE_ACCOUNTS_MANAGE)


def _account(
    request: ConsoleRequest, account_id: UUID, right: Permission = Permission.SERVICE_ACCOUNTS_READ
) -> ServiceAccount:
    rows = service_accounts_within(request.standing, right).select_related("organization", "team")
    return found_or_404(rows, account_id)
