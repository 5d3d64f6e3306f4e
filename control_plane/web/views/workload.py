"""CI jobs that a service account trusts: their own tokens in place of a stored key."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from control_plane.identity.workload.models import WorkloadTrust
from control_plane.identity.workload.selectors import trusts_of_account
from control_plane.identity.workload.services import trust_add, trust_remove, trust_update
from control_plane.organizations.models import ServiceAccount
from control_plane.organizations.reach import service_accounts_within
from control_plane.organizations.roles import Permission
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.workload import TrustForm
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

FIELDS = {"lifetime_s": "lifetime"}


@require_http_methods(["GET", "POST"])
def trust_new(request: ConsoleRequest, account_id: UUID) -> HttpResponse:
    account = _account(request, account_id)
    form = TrustForm(request.POST or None, initial={"audience": settings.SWITCHYARD.console_public_url.rstrip("/")})
    if request.method == "POST" and form.is_valid():
        try:
            made = trust_add(service_account=account, facts=form.facts, actor=actor(request))
        except ValidationError as failure:
            show_failure(form, failure, FIELDS)
        else:
            messages.success(request, f"Jobs of {made.name} get keys of {account.name} by their own tokens now.")
            return go_to(request, _page_of(account))
    return _form_page(request, form, account)


@require_http_methods(["GET", "POST"])
def trust_edit(request: ConsoleRequest, account_id: UUID, trust_id: UUID) -> HttpResponse:
    account = _account(request, account_id)
    trust = _trust(account, trust_id)
    form = TrustForm(request.POST) if request.method == "POST" else TrustForm.of(trust)
    form.offer(trust.lifetime_s)
    if request.method == "POST" and form.is_valid():
        try:
            trust_update(trust=trust, facts=form.facts, actor=actor(request))
        except ValidationError as failure:
            show_failure(form, failure, FIELDS)
        else:
            messages.success(request, f"{trust.name} is saved.")
            return go_to(request, _page_of(account))
    return _form_page(request, form, account, _trust(account, trust_id))


@require_http_methods(["GET", "POST"])
def trust_delete(request: ConsoleRequest, account_id: UUID, trust_id: UUID) -> HttpResponse:
    account = _account(request, account_id)
    trust = _trust(account, trust_id)
    form = ConfirmForm(trust.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        trust_remove(trust=trust, actor=actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"{trust.name} is no longer trusted. Keys its jobs hold end within the hour.")
        return go_to(request, _page_of(account))
    context = {"form": form, "account": account, "trust": trust}
    return render(request, "web/people/workload_trust_delete.html", context, status=form_status(form.errors))


def _form_page(
    request: ConsoleRequest, form: TrustForm, account: ServiceAccount, trust: WorkloadTrust | None = None
) -> HttpResponse:
    context = {"form": form, "account": account, "trust": trust}
    return render(request, "web/people/workload_trust_form.html", context, status=form_status(form.errors))


def _account(request: ConsoleRequest, account_id: UUID) -> ServiceAccount:
    """An account for which this person may mint keys: whoever trusts a job gives it keys."""
    rows = service_accounts_within(request.standing, Permission.SERVICE_KEYS_MINT)
    found = rows.select_related("organization", "team").filter(id=account_id).first()
    if found is None:
        raise Http404
    return found


def _trust(account: ServiceAccount, trust_id: UUID) -> WorkloadTrust:
    found = trusts_of_account(account).filter(id=trust_id).first()
    if found is None:
        raise Http404
    return found


def _page_of(account: ServiceAccount) -> str:
    return reverse("web:service-account", args=[account.id])
