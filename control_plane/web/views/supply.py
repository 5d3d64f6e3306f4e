"""Providers, and the names that lead to them."""

from collections import Counter
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.audit.selectors import changes_of
from control_plane.catalog.models import KnownModel
from control_plane.credentials.models import Provider
from control_plane.credentials.selectors import provider_by_id, providers_of
from control_plane.credentials.services import (
    credential_replace,
    provider_create,
    provider_delete,
    provider_update,
)
from control_plane.credentials.vendors import vendors
from control_plane.routing.models import VirtualModel
from control_plane.routing.selectors import short_names_offered, virtual_models_of
from control_plane.routing.services import virtual_model_delete, virtual_model_set, virtual_models_offer
from control_plane.usage.selectors.exchanges import ExchangeSearch, exchanges_page
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.supply import LIMITS, CredentialForm, ProviderEditForm, ProviderForm, VirtualModelForm
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.names import Names
from control_plane.web.prices import prices_by_model
from control_plane.web.provider_test import Reached, try_provider
from control_plane.web.ranges import read_range
from control_plane.web.request import ConsoleRequest, actor, scope, zone_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.usage_view import group_rows

CREDENTIAL_FIELDS = {"credential": "secret"}
LIMIT_FIELDS = {f"limits.{name}": name for name in LIMITS}


@require_GET
def providers(request: ConsoleRequest) -> HttpResponse:
    zone = zone_of(request)
    span = read_range("30d", "", "", now=timezone.now(), zone=zone, default="30d")
    used = {
        row.value: row.measures
        for row in group_rows(scope(request), span, "provider", Names(request.organization), short=True)
    }
    routes = Counter(virtual_models_of(request.organization).values_list("target__provider_id", flat=True))
    rows = [
        (provider, vendors().get(provider.vendor), used.get(provider.id.hex), routes[provider.id])
        for provider in providers_of(request.organization)
    ]
    return render(request, "web/providers/list.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
def provider_add(request: ConsoleRequest) -> HttpResponse:
    form = ProviderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            provider = provider_create(
                organization=request.organization,
                name=form.cleaned_data["name"],
                vendor=form.cleaned_data["vendor"],
                actor=actor(request),
                base_url=form.cleaned_data["base_url"],
                credential=form.choice,
                models=form.cleaned_data["models"],
                region=form.cleaned_data["region"],
                account=form.cleaned_data["account"],
                limits=form.limits,
                external=form.cleaned_data["external"],
            )
        except ValidationError as failure:
            show_failure(form, failure, CREDENTIAL_FIELDS | LIMIT_FIELDS)
        else:
            messages.success(request, f"{provider.name} is added. Pods use it within seconds.")
            offers_names = any(offer.is_free for offer in short_names_offered(provider))
            return go_to(request, reverse("web:provider-offer" if offers_names else "web:provider", args=[provider.id]))
    return render(request, "web/providers/add.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def provider_offer(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    """Short names for a provider's known models: chosen by the admin, all of them at first."""
    provider = _provider(request, provider_id)
    offers = short_names_offered(provider)
    if request.method == "POST":
        made = virtual_models_offer(provider=provider, actor=actor(request), names=request.POST.getlist("names"))
        messages.success(request, f"{len(made)} name{'' if len(made) == 1 else 's'} can be used now.")
        return go_to(request, reverse("web:provider", args=[provider.id]))
    return render(request, "web/providers/offer.html", {"provider": provider, "offers": offers})


@require_GET
def provider(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    found = _provider(request, provider_id)
    newest = exchanges_page(ExchangeSearch(scope(request), provider_id=found.id), limit=1).exchanges
    context = {
        "provider": found,
        "vendor": vendors().get(found.vendor),
        "routes": _routes_to(found),
        "free_names": sum(offer.is_free for offer in short_names_offered(found)),
        "newest": next(iter(newest), None),
        "history": changes_of(request.organization.id).filter(subject_kind="provider", subject_id=found.id.hex)[:20],
    }
    return render(request, "web/providers/provider.html", context)


@require_POST
def provider_test(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    found = _provider(request, provider_id)
    result = try_provider(
        found.base_url,
        private_networks=settings.SWITCHYARD.private_networks,
        is_private=found.allows_private_address,
    )
    context = {"provider": found, "result": result, "is_reached": isinstance(result, Reached), "at": timezone.now()}
    return render(request, "web/providers/test_result.html", context)


@require_http_methods(["GET", "POST"])
def provider_edit(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    found = _provider(request, provider_id)
    form = ProviderEditForm(request.POST) if request.method == "POST" else ProviderEditForm.of(found)
    if request.method == "POST" and form.is_valid():
        try:
            provider_update(provider=found, actor=actor(request), **form.facts)
        except ValidationError as failure:
            show_failure(form, failure, LIMIT_FIELDS)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved. Pods take it over within seconds.")
            return go_to(request, reverse("web:provider", args=[found.id]))
    return render(
        request, "web/providers/edit.html", {"form": form, "provider": found}, status=form_status(form.errors)
    )


@require_http_methods(["GET", "POST"])
def provider_credential(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    found = _provider(request, provider_id)
    form = CredentialForm(request.POST or None, initial={"base_url": found.base_url, "source": found.credential_source})
    if request.method == "POST" and form.is_valid():
        try:
            credential_replace(
                provider=found, credential=form.choice, actor=actor(request), base_url=form.cleaned_data["base_url"]
            )
        except ValidationError as failure:
            show_failure(form, failure, CREDENTIAL_FIELDS)
        else:
            messages.success(request, "The credential is replaced. Running requests end with the old one.")
            return go_to(request, reverse("web:provider", args=[found.id]))
    return render(
        request, "web/providers/credential.html", {"form": form, "provider": found}, status=form_status(form.errors)
    )


@require_http_methods(["GET", "POST"])
def provider_remove(request: ConsoleRequest, provider_id: UUID) -> HttpResponse:
    found = _provider(request, provider_id)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            provider_delete(provider=found, actor=actor(request), reason=form.cleaned_data["reason"])
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{found.name} is deleted.")
            return go_to(request, reverse("web:providers"))
    context = {"form": form, "provider": found, "routes": _routes_to(found)}
    return render(request, "web/providers/delete.html", context, status=form_status(form.errors))


@require_GET
def virtual_models(request: ConsoleRequest) -> HttpResponseBase:
    all_providers = tuple((row.id.hex, row.name) for row in providers_of(request.organization))
    listing = list_rows(
        request,
        virtual_models_of(request.organization),
        sorts=(Sort("name", "name"), Sort("created", "created_at")),
        default="name",
        searched=lambda rows, text: rows.filter(Q(name__icontains=text) | Q(target__model__icontains=text)),
        filters=(Filter("provider", "Provider", all_providers),),
        filtered={"provider": lambda rows, value: rows.filter(target__provider_id=UUID(value))},
    )
    prices = prices_by_model(
        request.organization.id,
        [(row.target.provider.vendor, row.target.model) for row in listing.rows],
        timezone.now(),
    )
    rows = [(row, prices.get((row.target.provider.vendor, row.target.model))) for row in listing.rows]
    return render(request, "web/routes/list.html", {"listing": listing, "rows": rows})


@require_http_methods(["GET", "POST"])
def virtual_model_add(request: ConsoleRequest) -> HttpResponse:
    return _virtual_model_form(request, None)


@require_http_methods(["GET", "POST"])
def virtual_model_edit(request: ConsoleRequest, virtual_model_id: UUID) -> HttpResponse:
    return _virtual_model_form(request, _virtual_model(request, virtual_model_id))


@require_http_methods(["GET", "POST"])
def virtual_model_remove(request: ConsoleRequest, virtual_model_id: UUID) -> HttpResponse:
    found = _virtual_model(request, virtual_model_id)
    form = ConfirmForm(found.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        virtual_model_delete(virtual_model=found, actor=actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"{found.name} is taken away. Tools that ask for it are told the closest names.")
        return go_to(request, reverse("web:virtual-models"))
    return render(
        request, "web/routes/delete.html", {"form": form, "virtual_model": found}, status=form_status(form.errors)
    )


def _virtual_model_form(request: ConsoleRequest, found: VirtualModel | None) -> HttpResponse:
    initial = (
        {"provider": request.GET.get("provider")}
        if found is None
        else {"name": found.name, "provider": found.target.provider_id, "model": found.target.model}
    )
    form = VirtualModelForm(request.organization, request.POST or None, initial=initial)
    if found is not None:
        form.fields["name"].disabled = True
        form.fields["name"].help_text = "The name stays; tools know it. Make another name and take this one away."
    if request.method == "POST" and form.is_valid():
        try:
            saved = virtual_model_set(
                organization=request.organization,
                name=form.cleaned_data["name"],
                provider=form.cleaned_data["provider"],
                model=form.cleaned_data["model"],
                actor=actor(request),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{saved.name} is saved. Pods route it so within seconds.")
            return go_to(request, reverse("web:virtual-models"))
    known = KnownModel.objects.filter(vendor__in=providers_of(request.organization).values("vendor"))
    context = {"form": form, "virtual_model": found, "known": known.order_by("model")[:400]}
    return render(request, "web/routes/form.html", context, status=form_status(form.errors))


def _provider(request: ConsoleRequest, provider_id: UUID) -> Provider:
    found = provider_by_id(request.organization, provider_id)
    if found is None:
        raise Http404
    return found


def _virtual_model(request: ConsoleRequest, virtual_model_id: UUID) -> VirtualModel:
    found = virtual_models_of(request.organization).filter(id=virtual_model_id).first()
    if found is None:
        raise Http404
    return found


def _routes_to(provider: Provider) -> QuerySet[VirtualModel]:
    return virtual_models_of(provider.organization).filter(target__provider=provider)
