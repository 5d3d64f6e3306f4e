"""The pages SCIM: tokens for identity providers, and the people and groups that they keep here."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.identity.scim.models import ScimToken
from control_plane.identity.scim.queries import people_of
from control_plane.identity.scim.representation import address
from control_plane.identity.scim.selectors import provisioned_groups, provisioned_of, scim_tokens_of
from control_plane.identity.scim.services import group_role_set, scim_token_mint, scim_token_revoke
from control_plane.organizations.models import Role
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.scim import GroupRoleForm, TokenForm
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to, whole_page

REVOKED_SHOWN = 20


@require_GET
def tokens(request: ConsoleRequest) -> HttpResponse:
    """The endpoint, its tokens, and how many people and groups came through them."""
    own = scim_tokens_of(request.organization)
    live = list(own.filter(revoked_at__isnull=True))
    context = {
        "tokens": [*live, *own.filter(revoked_at__isnull=False)[:REVOKED_SHOWN]],
        "live": len(live),
        "endpoint": address(),
        "provisioned": provisioned_of(request.organization),
        "now": timezone.now(),
    }
    return render(request, "web/scim/tokens.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
def token_add(request: ConsoleRequest) -> HttpResponse:
    form = TokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            minted = scim_token_mint(
                organization=request.organization,
                name=form.cleaned_data["name"],
                expires_at=form.expires_at,
                actor=actor(request),
                by=request.standing,
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            context = {"token": minted.token, "record": minted.record, "endpoint": address()}
            return whole_page(request, "web/scim/token_minted.html", context, address=reverse("web:scim"))
    return render(request, "web/scim/token_add.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def token_revoke(request: ConsoleRequest, token_id: UUID) -> HttpResponse:
    token = _token(request, token_id)
    form = ConfirmForm(token.name, request.POST or None)
    if request.method == "POST" and form.is_valid():
        scim_token_revoke(token=token, actor=actor(request), reason=form.cleaned_data["reason"])
        messages.success(request, f"{token.name} is revoked; the next request with it is refused.")
        return go_to(request, reverse("web:scim"))
    others = scim_tokens_of(request.organization).filter(revoked_at__isnull=True).exclude(id=token.id).count()
    context = {"form": form, "token": token, "others": others}
    return render(request, "web/scim/token_revoke.html", context, status=form_status(form.errors))


@require_GET
def people(request: ConsoleRequest) -> HttpResponse:
    listing = list_rows(
        request,
        people_of(request.organization),
        sorts=(Sort("name", "user_name"), Sort("changed", "updated_at")),
        default="name",
        searched=lambda rows, text: rows.filter(user_name__icontains=text) | rows.filter(user__name__icontains=text),
        filters=(Filter("state", "State", (("active", "Active"), ("deactivated", "Deactivated"))),),
        filtered={"state": lambda rows, value: rows.filter(is_member=value == "active")},
    )
    return render(request, "web/scim/people.html", {"listing": listing})


@require_GET
def groups(request: ConsoleRequest) -> HttpResponse:
    given = tuple((role.value, role.label.capitalize()) for role in Role if role is not Role.OWNER)
    listing = list_rows(
        request,
        provisioned_groups(request.organization).annotate(people=Count("members")),
        sorts=(Sort("name", "display_name"), Sort("changed", "updated_at")),
        default="name",
        searched=lambda rows, text: rows.filter(display_name__icontains=text),
        filters=(Filter("role", "Role", given),),
        filtered={"role": lambda rows, value: rows.filter(role=value)},
    )
    return render(request, "web/scim/groups.html", {"listing": listing})


@require_http_methods(["GET", "POST"])
def group_role(request: ConsoleRequest, group_id: UUID) -> HttpResponse:
    group = provisioned_groups(request.organization).annotate(people=Count("members")).filter(id=group_id).first()
    if group is None:
        raise Http404
    form = GroupRoleForm(request.standing, group.role, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            group_role_set(
                group=group,
                role=form.chosen_role,
                actor=actor(request),
                by=request.standing,
                reason=form.cleaned_data["reason"],
            )
        except ValidationError as failure:
            show_failure(form, failure)
        except PermissionDenied as failure:
            form.add_error("role", str(failure))
        else:
            given = f"gives the role {form.chosen_role.label}" if form.chosen_role else "gives no role"
            messages.success(request, f"{group.display_name} {given} now.")
            return go_to(request, reverse("web:scim-groups"))
    return render(request, "web/scim/group_role.html", {"form": form, "group": group}, status=form_status(form.errors))


def _token(request: ConsoleRequest, token_id: UUID) -> ScimToken:
    """A token of this organization that can still be revoked."""
    found = scim_tokens_of(request.organization).filter(id=token_id, revoked_at__isnull=True).first()
    if found is None:
        raise Http404
    return found
