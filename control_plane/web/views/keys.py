"""Keys: one's own, everybody's, and the page of each. A key's text leaves the server once, in the answer to minting."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import ModelChoiceField
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.audit.selectors import changes_of
from control_plane.keys.models import KeyNotice, KeyRules, VirtualKey
from control_plane.keys.reach import keys_within, may_manage
from control_plane.keys.selectors import keys_of_user
from control_plane.keys.services import rules_of
from control_plane.keys.services.virtual_keys import (
    MintedKey,
    key_mint,
    key_revoke,
    key_rotate,
    key_update,
    rotation_of,
)
from control_plane.onboarding.recipes.catalog import all_recipes
from control_plane.onboarding.selectors import gateway_url, setup_context
from control_plane.organizations.models import Team
from control_plane.organizations.reach import service_accounts_within, teams_within
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.selectors import teams_of, teams_of_user
from control_plane.usage.selectors.exchanges import newest_exchange_of_key
from control_plane.usage.selectors.scope import Scope
from control_plane.usage.selectors.series import usage_total
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import (
    KeyEditForm,
    MintForm,
    RevokeForm,
    RotateForm,
    ServiceKeyEditForm,
    ServiceKeyForm,
)
from control_plane.web.key_changes import changes_asked
from control_plane.web.key_rows import key_rows, key_state, owner_name, schedule_of
from control_plane.web.key_words import ROUTE_NAMES, rules_note, sentence, wish_of
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to, whole_page
from control_plane.web.setup_panel import SetupPanel, setup_panel
from control_plane.web.undo import read_undo, success_with_undo

OWN_FIELDS = {"expires_at": "expires"}
SERVICE_FIELDS = {
    "owner": "service_account",
    "expires_at": "expires",
    "rotation_days": "every_days",
    "rotation_grace_seconds": "grace_seconds",
    "allowed_models": "models",
}
UNDO = "key"


@require_GET
def my_keys(request: ConsoleRequest) -> HttpResponse:
    keys = keys_of_user(request.organization, request.user)
    rows = key_rows(request.organization, keys, since=month_of(request))
    alive = [row for row in rows if row.state.is_alive]
    context = {
        "alive": alive,
        "ending": [row for row in alive if row.ends_within_a_week],
        "dead": [row for row in rows if not row.state.is_alive],
        "gateway": gateway_url(request.organization),
    }
    return render(request, "web/keys/mine.html", context)


@require_http_methods(["GET", "POST"])
def my_key_mint(request: ConsoleRequest) -> HttpResponse:
    rules = _rules_for(request)
    form = _own_form(request, request.POST or None, rules)
    if request.method == "POST" and form.is_valid():
        try:
            minted = key_mint(
                organization=request.organization,
                name=form.cleaned_data["name"],
                actor=actor(request),
                user=request.user,
                team=form.cleaned_data["team"],
                models=form.cleaned_data["models"],
                routes=form.cleaned_data["routes"],
                source_networks=form.cleaned_data["source_networks"],
                tags=form.cleaned_data["tags"],
                expires_at=form.expires_at,
                created_by=request.user,
                heeds_rules=rules is not None,
            )
        except ValidationError as failure:
            show_failure(form, failure, OWN_FIELDS)
        else:
            return _minted(request, minted)
    context = {
        "form": form,
        "sentence": sentence(form.wish),
        "rules_note": rules_note(rules) if rules else "",
        "may_mint": rules is None or rules.members_may_mint,
    }
    return render(request, "web/keys/mint.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def service_key_mint(request: ConsoleRequest) -> HttpResponse:
    form = _service_form(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            minted = key_mint(
                organization=request.organization,
                name=form.cleaned_data["name"],
                actor=actor(request),
                service_account=form.cleaned_data["service_account"],
                team=form.cleaned_data["team"],
                models=form.cleaned_data["models"],
                routes=form.cleaned_data["routes"],
                source_networks=form.cleaned_data["source_networks"],
                tags=form.cleaned_data["tags"],
                expires_at=None if form.rotation else form.expires_at,
                rotation=form.rotation,
                created_by=request.user,
            )
        except ValidationError as failure:
            show_failure(form, failure, SERVICE_FIELDS)
        else:
            return _minted(request, minted)
    context = {"form": form, "for_service": True, "sentence": sentence(form.wish), "may_mint": True}
    return render(request, "web/keys/mint.html", context, status=form_status(form.errors))


@require_GET
def my_key_sentence(request: ConsoleRequest) -> HttpResponse:
    """What the key would be, while its form is filled in."""
    form = _own_form(request, request.GET, _rules_for(request))
    form.is_valid()
    return render(request, "web/keys/sentence.html", {"sentence": sentence(form.wish)})


@require_GET
def service_key_sentence(request: ConsoleRequest) -> HttpResponse:
    form = _service_form(request, request.GET)
    form.is_valid()
    return render(request, "web/keys/sentence.html", {"sentence": sentence(form.wish)})


@require_GET
def key_page(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key(request, key_id)
    since = month_of(request)
    own = Scope(request.organization.id)
    notices = KeyNotice.objects.filter(organization=request.organization, key=key)
    context = {
        "key": key,
        "sentence": sentence(wish_of(key)),
        "routes": [ROUTE_NAMES[route] for route in key.allowed_routes if route in ROUTE_NAMES],
        "schedule": schedule_of(key, timezone.now()),
        "notices": notices.order_by("-created_at")[:20],
        "owner": owner_name(key),
        "state": key_state(key, timezone.now()),
        "is_own": key.user_id == request.user.id,
        "may_manage": may_manage(request.standing, key),
        "sees_exchanges": can(
            request.standing, Permission.EXCHANGES_READ, owner_id=key.user_id, team_ids=(key.team_id,)
        ),
        "row": key_rows(request.organization, [key], since=since)[0],
        "month": usage_total(own, since=since, until=timezone.now(), filters={"key": [key.key_id]}),
        "panel": _panel(request, key) if key_state(key, timezone.now()).is_alive else None,
        "rotated_to": key.rotated_to.order_by("created_at").first(),
        "history": changes_of(request.organization.id).filter(subject_kind="key", subject_id=key.id.hex)[:20],
    }
    return render(request, "web/keys/key.html", context)


@require_http_methods(["GET", "POST"])
def edit(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key_to_change(request, key_id)
    if key.is_revoked:
        messages.info(request, "A revoked key is not changed any more.")
        return go_to(request, reverse("web:key", args=[key.id]))
    form = _edit_form(request, key, request.POST or None)
    if request.method == "POST" and form.is_valid():
        before = {"name": key.name, "tags": dict(key.tags)}
        try:
            changed = _change(request, key, form)
        except ValidationError as failure:
            show_failure(form, failure, SERVICE_FIELDS)
        else:
            _tell_change(request, key, changed, before)
            return go_to(request, reverse("web:key", args=[key.id]))
    rules = _rules_for(request) if key.user_id else None
    context = {
        "form": form,
        "key": key,
        "changes": changes_asked(key, form) if form.is_bound else [],
        "rules_note": rules_note(rules) if rules else "",
        "for_service": key.service_account_id is not None,
    }
    return render(request, "web/keys/edit.html", context, status=form_status(form.errors))


@require_GET
def edit_changes(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """What saving would change, while the form is filled in."""
    key = _key_to_change(request, key_id)
    form = _edit_form(request, key, request.GET)
    form.is_valid()
    return render(request, "web/keys/changes.html", {"changes": changes_asked(key, form)})


@require_POST
def undo(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """Take a change of name or tags back, from the toast that told of it."""
    key = _key_to_change(request, key_id)
    before = read_undo(UNDO, request.POST.get("token", ""), of=key.id.hex)
    if before is None or before["changed_at"] != key.updated_at.isoformat():
        messages.warning(request, f"{key.name} has been changed since, or it is too long ago. Edit it instead.")
    else:
        key_update(
            key=key,
            actor=actor(request),
            name=before["name"],
            tags=before["tags"],
            heeds_rules=_rules_for(request) is not None,
        )
        messages.success(request, f"{before['name']} is as it was.")
    return go_to(request, reverse("web:key", args=[key.id]))


@require_http_methods(["GET", "POST"])
def rotate(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key_to_change(request, key_id)
    rules = _rules_for(request) if key.user_id else None
    form = RotateForm(key, rules.max_personal_days if rules is not None else None, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            minted = _rotate(request, key, form)
        except ValidationError as failure:
            show_failure(form, failure, OWN_FIELDS)
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


def _rules_for(request: ConsoleRequest) -> KeyRules | None:
    """The rules for personal keys, where they bind this person: whoever manages all keys made them."""
    return None if can(request.standing, Permission.KEYS_MANAGE) else rules_of(request.organization)


def _own_form(request: ConsoleRequest, data: QueryDict | None, rules: KeyRules | None) -> MintForm:
    form = MintForm(request.organization, _chargeable(request), data)
    if rules is not None:
        form.limit_expiry(rules.max_personal_days)
    return form


def _service_form(request: ConsoleRequest, data: QueryDict | None) -> ServiceKeyForm:
    form = ServiceKeyForm(
        request.organization,
        list(teams_within(request.standing, Permission.SERVICE_KEYS_MINT)),
        data,
        initial={"service_account": request.GET.get("service_account")},
    )
    accounts = form.fields["service_account"]
    assert isinstance(accounts, ModelChoiceField)
    accounts.queryset = service_accounts_within(request.standing, Permission.SERVICE_KEYS_MINT).filter(is_active=True)
    # Charged to the account's own team, unless another one is chosen.
    form.fields["team"].required = False
    return form


def _edit_form(request: ConsoleRequest, key: VirtualKey, data: QueryDict | None) -> KeyEditForm:
    if key.service_account_id is not None:
        return ServiceKeyEditForm(key, None, data)
    rules = _rules_for(request)
    return KeyEditForm(key, rules.max_personal_days if rules is not None else None, data)


def _rotate(request: ConsoleRequest, key: VirtualKey, form: RotateForm) -> MintedKey:
    """Mint the successor, and give it another end where one was chosen: both or neither."""
    with transaction.atomic():
        minted = key_rotate(
            key=key,
            grace_seconds=form.cleaned_data["grace_seconds"],
            actor=actor(request),
            created_by=request.user,
        )
        if form.keeps_end:
            return minted
        changed = key_update(
            key=minted.key,
            actor=actor(request),
            expires_at=form.expires_at,
            clears_expiry=form.expires_at is None,
            heeds_rules=_rules_for(request) is not None,
        )
        return replace(minted, key=changed)


def _change(request: ConsoleRequest, key: VirtualKey, form: KeyEditForm) -> VirtualKey:
    given = form.cleaned_data
    on_schedule = form.rotation is not None
    leaves_schedule = key.rotation_days is not None and not on_schedule
    sets_end = not on_schedule and not form.keeps_end
    return key_update(
        key=key,
        actor=actor(request),
        name=given["name"],
        models=given["models"] if given["models"] != key.allowed_models else None,
        routes=given["routes"],
        source_networks=given["source_networks"],
        tags=given["tags"],
        expires_at=form.expires_at if sets_end else None,
        clears_expiry=sets_end and form.expires_at is None,
        rotation=form.rotation if form.rotation != rotation_of(key) else None,
        clears_rotation=leaves_schedule,
        heeds_rules=_rules_for(request) is not None,
    )


def _tell_change(request: ConsoleRequest, key: VirtualKey, changed: VirtualKey, before: Mapping[str, object]) -> None:
    """Say that it is saved. A name and tags can be taken back: nobody was locked out or let in by them."""
    if changed.updated_at == key.updated_at:
        messages.info(request, "Nothing was changed.")
        return
    is_light = wish_of(changed) == wish_of(key)
    if is_light:
        facts = {**before, "changed_at": changed.updated_at.isoformat()}
        success_with_undo(
            request, f"{changed.name} is saved.", reverse("web:key-undo", args=[key.id]), UNDO, facts, of=key.id.hex
        )
    else:
        messages.success(request, f"{changed.name} is saved. Every pod goes by it within a second.")
