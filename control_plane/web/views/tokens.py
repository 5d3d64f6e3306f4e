"""Tokens of the admin API: one's own, and everybody's for whoever manages them."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.keys.models import AdminToken
from control_plane.keys.reach import admin_tokens_within
from control_plane.keys.services import admin_token_mint, admin_token_revoke, token_days, token_expiry
from control_plane.organizations.roles import Permission, can
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.tokens import TokenForm, TokenRevokeForm
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to, whole_page

EVERYBODY = "everybody"


@require_GET
def tokens(request: ConsoleRequest) -> HttpResponse:
    rows = admin_tokens_within(request.standing)
    sees_all = can(request.standing, Permission.TOKENS_MANAGE)
    if not (sees_all and request.GET.get("which") == EVERYBODY):
        rows = rows.filter(user=request.user)
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("created", "created_at"), Sort("name", "name")),
        default="-created",
        searched=lambda found, text: found.filter(name__icontains=text),
        filters=(Filter("which", "Mine", ((EVERYBODY, "Everybody's"),)),) if sees_all else (),
        filtered={"which": lambda found, value: found},
    )
    context = {"listing": listing, "now": timezone.now(), "whose": request.GET.get("which", "")}
    return render(request, "web/tokens/list.html", context)


@require_http_methods(["GET", "POST"])
def token_mint(request: ConsoleRequest) -> HttpResponse:
    form = TokenForm(request.standing, token_days(request.organization), _posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            minted = admin_token_mint(
                organization=request.organization,
                user=request.user,
                name=form.cleaned_data["name"],
                actor=actor(request),
                expires_at=token_expiry(request.organization, form.expires_at),
                scopes=form.chosen,
            )
        except ValidationError as failure:
            show_failure(form, failure, {"expires_at": "expires"})
        else:
            context = {"token": minted.record, "text": minted.token}
            return whole_page(request, "web/tokens/minted.html", context, address=reverse("web:tokens"))
    return render(request, "web/tokens/mint.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def token_revoke(request: ConsoleRequest, token_id: UUID) -> HttpResponse:
    token = _token(request, token_id)
    form = TokenRevokeForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        admin_token_revoke(token=token, actor=actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"{token.name} is revoked. The next request with it is refused.")
        return go_to(request, reverse("web:tokens"))
    context = {"form": form, "token": token}
    return render(request, "web/tokens/revoke.html", context, status=form_status(form.errors))


def _token(request: ConsoleRequest, token_id: UUID) -> AdminToken:
    token = admin_tokens_within(request.standing).filter(id=token_id, revoked_at__isnull=True).first()
    if token is None:
        raise Http404
    return token


def _posted(request: ConsoleRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None
