"""Keys: one's own, everybody's, and the page of each. A key's text leaves the server once, in the answer to minting."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms import ModelChoiceField
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.audit.selectors import changes_of
from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import keys_within, may_manage
from control_plane.keys.selectors import keys_of_user
from control_plane.keys.services.virtual_keys import MintedKey, key_mint, key_revoke, key_rotate
from control_plane.onboarding.recipes.catalog import all_recipes
from control_plane.onboarding.selectors import gateway_url, setup_context
from control_plane.organizations.models import Team
from control_plane.organizations.reach import service_accounts_within, teams_within
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import teams_of, teams_of_user
from control_plane.usage.selectors.exchanges import newest_exchange_of_key
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import usage_total
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import MintForm, RevokeForm, RotateForm, ServiceKeyForm
from control_plane.web.key_rows import key_rows, key_state, owner_name
from control_plane.web.listing import Filter, Sort, csv_response, list_rows, wants_csv
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to, whole_page
from control_plane.web.setup_panel import SetupPanel, setup_panel

SERVICE_FIELDS = {"owner": "service_account", "expires_at": "expires"}


@require_GET
def my_keys(request: ConsoleRequest) -> HttpResponse:
    keys = keys_of_user(request.organization, request.user)
    rows = key_rows(request.organization, keys, since=month_of(request))
    alive = [row for row in rows if row.state.is_alive]
    context = {
        "alive": alive,
        "dead": [row for row in rows if not row.state.is_alive],
        "gateway": gateway_url(request.organization),
    }
    return render(request, "web/keys/mine.html", context)


@require_http_methods(["GET", "POST"])
def my_key_mint(request: ConsoleRequest) -> HttpResponse:
    form = MintForm(request.organization, _chargeable(request), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            minted = key_mint(
                organization=request.organization,
                name=form.cleaned_data["name"],
                actor=actor(request),
                user=request.user,
                team=form.cleaned_data["team"],
                models=form.cleaned_data["models"],
                tags=form.cleaned_data["tags"],
                expires_at=form.expires_at,
                created_by=request.user,
            )
        except ValidationError as failure:
            show_failure(form, failure, {"expires_at": "expires"})
        else:
            return _minted(request, minted)
    return render(request, "web/keys/mint.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def service_key_mint(request: ConsoleRequest) -> HttpResponse:
    form = ServiceKeyForm(
        request.organization,
        list(teams_within(request.standing, Permission.SERVICE_KEYS_MINT)),
        request.POST or None,
        initial={"service_account": request.GET.get("service_account")},
    )
    accounts = form.fields["service_account"]
    assert isinstance(accounts, ModelChoiceField)
    accounts.queryset = service_accounts_within(request.standing, Permission.SERVICE_KEYS_MINT).filter(is_active=True)
    # Charged to the account's own team, unless another one is chosen.
    form.fields["team"].required = False
    if request.method == "POST" and form.is_valid():
        try:
            minted = key_mint(
                organization=request.organization,
                name=form.cleaned_data["name"],
                actor=actor(request),
                service_account=form.cleaned_data["service_account"],
                team=form.cleaned_data["team"],
                models=form.cleaned_data["models"],
                tags=form.cleaned_data["tags"],
                expires_at=form.expires_at,
                created_by=request.user,
            )
        except ValidationError as failure:
            show_failure(form, failure, SERVICE_FIELDS)
        else:
            return _minted(request, minted)
    return render(request, "web/keys/mint.html", {"form": form, "for_service": True}, status=form_status(form.errors))


@require_GET
def key_page(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key(request, key_id)
    since = month_of(request)
    own = Scope(request.organization.id)
    context = {
        "key": key,
        "owner": owner_name(key),
        "state": key_state(key, timezone.now()),
        "is_own": key.user_id == request.user.id,
        "may_manage": may_manage(request.standing, key),
        "row": key_rows(request.organization, [key], since=since)[0],
        "month": usage_total(own, since=since, until=timezone.now(), filters={"key": [key.key_id]}),
        "panel": _panel(request, key) if key_state(key, timezone.now()).is_alive else None,
        "rotated_to": key.rotated_to.order_by("created_at").first(),
        "history": changes_of(request.organization.id).filter(subject_kind="key", subject_id=key.id.hex)[:20],
    }
    return render(request, "web/keys/key.html", context)


@require_http_methods(["GET", "POST"])
def rotate(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key_to_change(request, key_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            minted = key_rotate(
                key=key,
                grace_seconds=form.cleaned_data["grace_seconds"],
                actor=actor(request),
                created_by=request.user,
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            return _minted(request, minted, rotated=key)
    return render(request, "web/keys/rotate.html", {"form": form, "key": key}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key_to_change(request, key_id)
    form = RevokeForm(key.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        key_revoke(
            key=key,
            reason=form.cleaned_data["reason"],
            actor=actor(request),
            cut_streams=form.cleaned_data["cut_streams"],
        )
        messages.success(request, f"{key.name} is revoked. Every pod refuses it within a second.")
        return go_to(request, reverse("web:key", args=[key.id]))
    row = key_rows(request.organization, [key], since=month_of(request))[0]
    context = {"form": form, "key": key, "row": row, "owner": owner_name(key)}
    return render(request, "web/keys/revoke.html", context, status=form_status(form.errors))


@require_GET
def check(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """Has a request of this key arrived? Asked every two seconds while somebody looks."""
    key = _key(request, key_id)
    since = _since(request.GET.get("since", "")) or key.created_at
    exchange = newest_exchange_of_key(request.organization.id, key.key_id, since=since)
    return render(request, "web/keys/check.html", {"key": key, "exchange": exchange, "since": since.isoformat()})


STATES = (("alive", "Active"), ("revoked", "Revoked"), ("expired", "Expired"))


@require_GET
def keys(request: ConsoleRequest) -> HttpResponseBase:
    teams = tuple((team.id.hex, team.name) for team in teams_within(request.standing))
    filters = (
        Filter("state", "State", STATES),
        Filter("team", "Team", teams),
        Filter("kind", "Kind", (("sypat", "Personal"), ("sysvc", "Service"))),
    )
    rows = keys_within(request.standing)
    sorts = (Sort("created", "created_at"), Sort("name", "name"))
    listing = list_rows(
        request,
        rows,
        sorts=sorts,
        default="-created",
        searched=_searched,
        filters=filters,
        filtered={
            "state": _in_state,
            "team": lambda found, team: found.filter(team_id=UUID(team)),
            "kind": lambda found, kind: found.filter(kind=kind),
        },
        limit=100_000 if wants_csv(request) else 50,
    )
    listed = key_rows(request.organization, listing.rows, since=month_of(request))
    if wants_csv(request):
        head = ("name", "prefix", "owner", "team", "state", "created", "expires", "last_used", "spent_nano_usd")
        return csv_response(
            "keys",
            head,
            (
                (
                    row.key.name,
                    row.key.prefix,
                    row.owner_name,
                    row.key.team.name,
                    row.state.word,
                    row.key.created_at,
                    row.key.expires_at,
                    row.last_use.used_at if row.last_use else None,
                    row.spent_nano_usd,
                )
                for row in listed
            ),
        )
    return render(request, "web/keys/all.html", {"listing": listing, "rows": listed})


def _minted(request: ConsoleRequest, minted: MintedKey, rotated: VirtualKey | None = None) -> HttpResponse:
    context = {
        "key": minted.key,
        "token": minted.token,
        "rotated": rotated,
        "panel": _panel(request, minted.key, minted.token),
        "owner": owner_name(minted.key),
        "since": minted.key.created_at.isoformat(),
    }
    return whole_page(request, "web/keys/minted.html", context, address=reverse("web:key", args=[minted.key.id]))


def _panel(request: ConsoleRequest, key: VirtualKey, token: str = "") -> SetupPanel:
    return setup_panel(all_recipes(), setup_context(key, token), chosen=request.GET.get("tool", ""))


def _key(request: ConsoleRequest, key_id: UUID) -> VirtualKey:
    """A key within this person's reach: their own, those of teams they lead, or any."""
    key = keys_within(request.standing).filter(id=key_id).first()
    if key is None:
        raise Http404
    return key


def _key_to_change(request: ConsoleRequest, key_id: UUID) -> VirtualKey:
    """A key this person sees and may rotate and revoke."""
    key = _key(request, key_id)
    if not may_manage(request.standing, key):
        raise Http404
    return key


def _chargeable(request: ConsoleRequest) -> list[Team]:
    """Teams a person may charge: the own ones; all, for somebody who is in none."""
    return list(teams_of_user(request.organization, request.user)) or list(teams_of(request.organization))


def _since(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def _searched(found: QuerySet[VirtualKey], text: str) -> QuerySet[VirtualKey]:
    return found.filter(
        Q(name__icontains=text)
        | Q(prefix__startswith=text[:10])
        | Q(user__email__icontains=text)
        | Q(service_account__name__icontains=text)
    )


def _in_state(found: QuerySet[VirtualKey], state: str) -> QuerySet[VirtualKey]:
    now = timezone.now()
    match state:
        case "revoked":
            return found.filter(revoked_at__isnull=False)
        case "expired":
            return found.filter(revoked_at__isnull=True, expires_at__lte=now)
        case _:
            return found.filter(Q(revoked_at__isnull=True), Q(expires_at__isnull=True) | Q(expires_at__gt=now))
