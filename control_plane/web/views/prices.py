"""Models and prices: what each costs and since when, own prices, discounts, and what has no price."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.selectors import changes_of
from control_plane.catalog.models import Discount, KnownModel, OrganizationPrice, PriceFields, PriceListLoad
from control_plane.catalog.price_row import RATE_NAMES
from control_plane.catalog.selectors import (
    discounts_standing,
    known_models,
    list_prices,
    organization_prices,
    price_for,
    price_loads,
    prices_of_model,
    prices_standing,
    unknown_models_of,
)
from control_plane.catalog.services import (
    discount_end,
    discount_set,
    organization_price_end,
    organization_price_set,
    unknown_models_set,
)
from control_plane.credentials.selectors import providers_of
from control_plane.credentials.vendors import vendors
from control_plane.organizations.roles import Permission, can
from control_plane.usage.selectors.unpriced import UnpricedModel, models_without_price
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.price_steps import bands_text, tiers_text, typed_usd
from control_plane.web.forms.prices import DiscountForm, EndForm, OwnPriceForm, UnknownModelsForm
from control_plane.web.listing import Filter, Sort, csv_response, list_rows, wants_csv
from control_plane.web.price_view import (
    LOOKED_BACK,
    load_changes,
    meaning_of_discount,
    meaning_of_price,
    steps_of,
    versions_of,
)
from control_plane.web.prices import PriceRow, prices_by_model
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to
from switchyard_contract.pricing import Price

ANY_VENDOR = "any"
PRICE_FIELDS = {"rates": "rate_input", "units": "web_search", "models": "models"}


@require_GET
def models(request: ConsoleRequest) -> HttpResponseBase:
    """What is known of models and what they cost: those that the vendors in use offer, unless asked for more."""
    used = sorted({row.vendor for row in providers_of(request.organization)})
    choices = tuple(
        (name, vendors()[name].display_name if name in vendors() else name)
        for name in known_models().order_by("vendor").values_list("vendor", flat=True).distinct()
    )
    rows = known_models()
    is_narrowed = bool(used) and not any(request.GET.get(name) for name in ("vendor", "q", "which"))
    if is_narrowed:
        rows = rows.filter(vendor__in=used, is_offered=True)
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("model", "model"), Sort("context", "context_tokens")),
        default="model",
        searched=_model_searched,
        filters=(Filter("vendor", "Vendor", choices), Filter("which", "Models", (("all", "All that are known"),))),
        filtered={
            "vendor": lambda found, value: found.filter(vendor=value),
            "which": lambda found, value: found,
        },
        limit=20_000 if wants_csv(request) else 50,
    )
    now = timezone.now()
    prices = prices_by_model(request.organization.id, [(row.vendor, row.model) for row in listing.rows], now)
    priced = [(row, prices.get((row.vendor, row.model))) for row in listing.rows]
    if wants_csv(request):
        return csv_response("models", PriceRow.CSV_HEAD, (_price_csv(row, price) for row, price in priced))
    context = {
        "listing": listing,
        "rows": [(row, price, row.vendor or ANY_VENDOR) for row, price in priced],
        "own": list(prices_standing(request.organization.id, now)[:50]),
        "discounts": list(discounts_standing(request.organization.id, now)[:50]),
        "own_prices": organization_prices(request.organization.id).count(),
        "list_prices": list_prices().count(),
        "is_narrowed": is_narrowed,
        "load": next(iter(price_loads(1)), None),
        "any_vendor": ANY_VENDOR,
        **_about_unknown(request, now),
    }
    return render(request, "web/prices/models.html", context)


@require_GET
def model(request: ConsoleRequest, vendor: str, model: str) -> HttpResponseBase:
    """One model: the price that counts, and every row of it that ever stood in the book."""
    name = "" if vendor == ANY_VENDOR else vendor
    rows = prices_of_model(request.organization.id, name, model)
    known = KnownModel.objects.filter(vendor=name, model=model).first()
    if not rows and known is None:
        raise Http404
    now = timezone.now()
    price = price_for(request.organization.id, name, model, now)
    versions = versions_of(rows, price, now)
    if wants_csv(request):
        return csv_response("prices", VERSION_HEAD, (_version_csv(row) for row in rows))
    context = {
        "vendor": vendor,
        "model": model,
        "known": known,
        "price": price,
        "versions": versions,
        "may_manage": can(request.standing, Permission.PRICES_MANAGE),
        "history": changes_of(request.organization.id).filter(
            subject_kind="price", subject_id__in=[row.id.hex for row in rows if isinstance(row, OrganizationPrice)]
        )[:20],
    }
    return render(request, "web/prices/model.html", context)


@require_http_methods(["GET", "POST"])
def price_set(request: ConsoleRequest) -> HttpResponse:
    """Set an own price; first shows what it would have meant."""
    vendor, name = request.GET.get("vendor", ""), request.GET.get("model", "")
    if request.method == "POST":
        vendor, name = request.POST.get("vendor", ""), request.POST.get("model", "").strip()
    now = timezone.now()
    base = price_for(request.organization.id, vendor, name, now) if name and "\x00" not in name + vendor else None
    form = OwnPriceForm(request.POST or None, initial=_initial(vendor, name, base))
    meaning = None
    if request.method == "POST" and form.is_valid():
        draft = form.draft
        if "preview" in request.POST:
            meaning = meaning_of_price(request.organization.id, draft, now)
        else:
            try:
                organization_price_set(organization=request.organization, draft=draft, actor=actor(request))
            except ValidationError as failure:
                show_failure(form, failure, PRICE_FIELDS)
            else:
                messages.success(request, f"{draft.model} has a price of your own. Pods bill by it within seconds.")
                return go_to(request, _address_of(draft.vendor, draft.model))
    context = {
        "form": form,
        "base": base,
        "meaning": meaning,
        "known": known_models().values_list("model", flat=True)[:400],
        "begins_earlier": form.is_bound and not form.errors and _is_past(form.cleaned_data["valid_from"], now),
    }
    return render(request, "web/prices/price_form.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def price_end(request: ConsoleRequest, price_id: UUID) -> HttpResponse:
    found = prices_standing(request.organization.id, timezone.now()).filter(id=price_id).first()
    if found is None:
        raise Http404
    form = EndForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        at = form.cleaned_data["at"]
        if at and found.valid_from and at <= found.valid_from:
            form.add_error("at", "It begins later than that. Leave it empty to take it away.")
        else:
            organization_price_end(price=found, actor=actor(request), at=at)
            messages.success(request, f"The price of {found.model} ends. From then on the list counts.")
            return go_to(request, _address_of(found.vendor, found.model))
    context = {"form": form, "row": found, "what": f"the own price of {found.model}", "back": reverse("web:models")}
    return render(request, "web/prices/end.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def discount_add(request: ConsoleRequest) -> HttpResponse:
    form = DiscountForm(request.POST or None)
    meaning = None
    if request.method == "POST" and form.is_valid():
        draft = form.draft
        if "preview" in request.POST:
            meaning = meaning_of_discount(
                request.organization.id, draft.model_glob, draft.vendor, draft.per_mille, timezone.now()
            )
        else:
            try:
                discount_set(organization=request.organization, draft=draft, actor=actor(request))
            except ValidationError as failure:
                show_failure(form, failure, {"per_mille": "percent"})
            else:
                messages.success(request, "The discount is set. Pods bill by it within seconds.")
                return go_to(request, reverse("web:models"))
    context = {
        "form": form,
        "meaning": meaning,
        "begins_earlier": form.is_bound
        and not form.errors
        and _is_past(form.cleaned_data["valid_from"], timezone.now()),
    }
    return render(request, "web/prices/discount_form.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def discount_stop(request: ConsoleRequest, discount_id: UUID) -> HttpResponse:
    found: Discount | None = discounts_standing(request.organization.id, timezone.now()).filter(id=discount_id).first()
    if found is None:
        raise Http404
    form = EndForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        at = form.cleaned_data["at"]
        if at and found.valid_from and at <= found.valid_from:
            form.add_error("at", "It begins later than that. Leave it empty to take it away.")
        else:
            discount_end(discount=found, actor=actor(request), at=at)
            messages.success(request, "The discount ends. From then on the list counts as it stands.")
            return go_to(request, reverse("web:models"))
    what = f"the discount on {found.model_glob} of {found.vendor or 'any vendor'}"
    context = {"form": form, "row": found, "what": what, "back": reverse("web:models")}
    return render(request, "web/prices/end.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def unknown_models(request: ConsoleRequest) -> HttpResponse:
    """What happens with models that have no price, and which they were."""
    now = timezone.now()
    form = UnknownModelsForm(
        request.POST or None, initial={"unknown_models": unknown_models_of(request.organization.id)}
    )
    if request.method == "POST" and form.is_valid():
        unknown_models_set(
            organization=request.organization, choice=form.cleaned_data["unknown_models"], actor=actor(request)
        )
        messages.success(request, "Saved. Pods follow within seconds.")
        return go_to(request, reverse("web:unknown-models"))
    context = {"form": form, **_about_unknown(request, now)}
    return render(request, "web/prices/unknown.html", context, status=form_status(form.errors))


@require_GET
def loads(request: ConsoleRequest) -> HttpResponse:
    return render(request, "web/prices/loads.html", {"loads": price_loads(50)})


@require_GET
def load(request: ConsoleRequest, load_id: int) -> HttpResponse:
    """What a load of the shipped list changed."""
    found = PriceListLoad.objects.filter(id=load_id).first()
    if found is None:
        raise Http404
    changes, count = load_changes(found)
    context = {"load": found, "changes": changes, "count": count, "any_vendor": ANY_VENDOR}
    return render(request, "web/prices/load.html", context)


VERSION_HEAD = (
    "version",
    "is_own",
    "valid_from",
    "valid_to",
    *(f"{name}_nano_usd_per_million" for name in RATE_NAMES),
    "per_web_search_nano_usd",
    "source",
    "checked_on",
    "set_by",
    "created_at",
    "superseded_at",
)


def _about_unknown(request: ConsoleRequest, now: datetime) -> dict[str, object]:
    """Models without a price are the business of those who keep prices."""
    if not can(request.standing, Permission.PRICES_MANAGE):
        return {"may_manage": False, "unpriced": [], "unknown_choice": ""}
    found: list[UnpricedModel] = models_without_price(request.organization.id, now - LOOKED_BACK)
    return {
        "may_manage": True,
        "unpriced": found,
        "unpriced_requests": sum(one.requests for one in found),
        "unpriced_nano_usd": sum(one.cost_nano_usd for one in found),
        "unpriced_since": now - timedelta(days=LOOKED_BACK.days),
        "unknown_choice": unknown_models_of(request.organization.id),
    }


def _initial(vendor: str, model: str, base: Price | None) -> dict[str, object]:
    """The price that counts now, as somebody would type it."""
    if base is None:
        return {"vendor": vendor, "model": model}
    steps = steps_of(base)
    rates = {f"rate_{name}": typed_usd(rate) for name, rate in steps.rates.items()}
    fees = {f"unit_{kind}": typed_usd(fee) for kind, fee in base.unit_nano_usd.items()}
    more = {"bands": bands_text(steps.bands), "tiers": tiers_text(steps.tiers)}
    if base.per_web_search:
        more["web_search"] = typed_usd(base.per_web_search)
    if steps.us_geo_per_mille:
        more["us_percent"] = f"{(Decimal(steps.us_geo_per_mille - 1000) / 10).normalize():f}"
    return {"vendor": vendor, "model": model, **rates, **fees, **more}


def _address_of(vendor: str, model: str) -> str:
    return reverse("web:model", args=[vendor or ANY_VENDOR, model])


def _is_past(at: datetime | None, now: datetime) -> bool:
    return at is None or at < now


def _model_searched(rows: QuerySet[KnownModel], text: str) -> QuerySet[KnownModel]:
    return rows.filter(Q(model__icontains=text) | Q(display_name__icontains=text))


def _price_csv(row: KnownModel, price: PriceRow | None) -> tuple[object, ...]:
    facts = (row.vendor, row.model, row.display_name, row.context_tokens, row.max_output_tokens)
    return (*facts, *(price.csv if price else ("",) * (len(PriceRow.CSV_HEAD) - len(facts))))


def _version_csv(row: PriceFields) -> tuple[object, ...]:
    return (
        row.version,
        isinstance(row, OrganizationPrice),
        row.valid_from,
        row.valid_to,
        *(row.rates.get(name) for name in RATE_NAMES),
        row.per_web_search_nano_usd,
        row.source,
        row.checked_on,
        row.set_by,
        row.created_at,
        row.superseded_at,
    )
