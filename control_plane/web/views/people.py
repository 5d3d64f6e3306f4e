"""Members: the list, the page of each, and what is done to several at once."""

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Prefetch, Q, QuerySet
from django.forms import Form
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import keys_within
from control_plane.keys.selectors import keys_of_user
from control_plane.keys.services.departures import membership_remove, user_deactivate, user_reactivate
from control_plane.organizations.models import Membership, Role, Team, TeamMembership
from control_plane.organizations.reach import memberships_within
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import organizations_of, teams_of_user
from control_plane.organizations.services import (
    GrantTooWide,
    check_role_change,
    membership_update,
    person_add,
    team_member_add,
    team_member_remove,
)
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.people import BulkRoleForm, BulkTeamForm, MemberAddForm, MemberForm, tags_text
from control_plane.web.key_rows import key_rows
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.views.rows import MOST_SHOWN, counted, found_or_404, team_options

ROLE_OPTIONS = tuple((role.value, role.label.capitalize()) for role in Role)
STATES = (("active", "Active"), ("off", "Deactivated"))
MOST_AT_ONCE = 200
BULK = {"role": "Change role", "team": "Add to a team", "remove": "Remove"}
"""What can be done to several members at once, and the words on its button."""


@require_GET
def members(request: ConsoleRequest) -> HttpResponse:
    live = VirtualKey.objects.filter(organization=request.organization, revoked_at__isnull=True)
    joined = TeamMembership.objects.filter(organization=request.organization).select_related("team")
    listing = list_rows(
        request,
        memberships_within(request.standing)
        .annotate(live_keys=counted(live, "user_id", "user_id"))
        .prefetch_related(Prefetch("user__team_memberships", queryset=joined.order_by("team__name"))),
        sorts=(Sort("email", "user__email"), Sort("role", "role"), Sort("joined", "created_at")),
        default="email",
        searched=lambda rows, text: rows.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text)),
        filters=(
            Filter("role", "Role", ROLE_OPTIONS),
            Filter("team", "Team", team_options(request.standing, request.GET.get("team", ""))),
            Filter("state", "State", STATES),
        ),
        filtered={
            "role": lambda rows, value: rows.filter(role=value),
            "team": lambda rows, value: rows.filter(
                user_id__in=TeamMembership.objects.filter(
                    organization=request.organization, team_id=UUID(value)
                ).values("user_id")
            ),
            "state": lambda rows, value: rows.filter(user__is_active=value == "active"),
        },
    )
    return render(request, "web/people/members.html", {"listing": listing, "bulk": BULK.items()})


@require_http_methods(["GET", "POST"])
def member_add(request: ConsoleRequest) -> HttpResponse:
    form = MemberAddForm(request.organization, request.standing, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            membership = _add_member(request, form)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{membership.user.email} is a member now.")
            return go_to(request, reverse("web:member", args=[membership.id]))
    return render(request, "web/people/member_add.html", {"form": form}, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def member(request: ConsoleRequest, membership_id: UUID) -> HttpResponse:
    membership = _membership(request, membership_id)
    own_teams = list(teams_of_user(request.organization, membership.user))
    may_edit = _may_touch(request, membership)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    initial = {
        "role": membership.role,
        "teams": [team.id for team in own_teams],
        "tags": tags_text(membership.tags),
    }
    form = MemberForm(membership, request.standing, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                membership_update(
                    membership=membership,
                    actor=actor(request),
                    role=Role(form.cleaned_data["role"]),
                    tags=form.cleaned_data["tags"],
                    by=request.standing,
                )
                _set_teams(request, membership.user, own_teams, list(form.cleaned_data["teams"]))
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{membership.user.email} is saved.")
            return go_to(request, reverse("web:member", args=[membership.id]))
    context = {
        "member": membership,
        "own_teams": own_teams,
        "form": form,
        "may_edit": may_edit,
        "keys": key_rows(
            request.organization,
            keys_within(request.standing).filter(user=membership.user)[:MOST_SHOWN],
            since=month_of(request),
        ),
        "is_self": membership.user_id == request.user.id,
        "is_only_here": organizations_of(membership.user).count() == 1,
        "history": changes_of(request.organization.id).filter(subject_kind="membership", subject_id=membership.id.hex)[
            :20
        ],
    }
    return render(request, "web/people/member.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def member_remove(request: ConsoleRequest, membership_id: UUID) -> HttpResponse:
    membership = _membership(request, membership_id, Permission.MEMBERS_MANAGE)
    form = ConfirmForm(membership.user.email, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            membership_remove(
                membership=membership,
                actor=actor(request),
                reason=form.cleaned_data["reason"],
                by=request.standing,
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{membership.user.email} has left; their keys here are revoked.")
            return go_to(request, reverse("web:members"))
    return _leaving(request, membership, form, "remove")


@require_http_methods(["GET", "POST"])
def member_activity(request: ConsoleRequest, membership_id: UUID) -> HttpResponse:
    """Deactivate or let in again. Only for people of this organization alone: another's admin decides there."""
    membership = _membership(request, membership_id, Permission.MEMBERS_MANAGE)
    if organizations_of(membership.user).count() > 1:
        raise Http404
    user = membership.user
    form = ConfirmForm(user.email, request.POST or None)
    if request.method == "POST" and form.is_valid():
        change = user_deactivate if user.is_active else user_reactivate
        try:
            change(user=user, actor=actor(request), reason=form.cleaned_data["reason"], by=request.standing)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            told = "is deactivated; their keys are denied" if user.is_active else "may sign in again"
            messages.success(request, f"{user.email} {told}.")
            return go_to(request, reverse("web:member", args=[membership.id]))
    return _leaving(request, membership, form, "deactivate" if user.is_active else "reactivate")


@require_http_methods(["GET", "POST"])
def members_bulk(request: ConsoleRequest) -> HttpResponse:
    """One change of several members: all of them or none."""
    given = request.POST if request.method == "POST" else request.GET
    what = given.get("do", "")
    chosen = _chosen(request, given.getlist("id"))
    if what not in BULK:
        raise Http404
    if not chosen:
        messages.info(request, "Choose members first: tick the boxes in front of their rows.")
        return go_to(request, reverse("web:members"))
    form = _bulk_form(request, what, chosen)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                for membership in chosen:
                    _do(request, what, membership, form)
        except ValidationError as failure:
            show_failure(form, failure)
        except GrantTooWide as failure:
            form.add_error(None, str(failure))
        else:
            told = {"role": "have another role now", "team": "are in the team now", "remove": "have left"}[what]
            messages.success(request, f"{len(chosen)} member{'' if len(chosen) == 1 else 's'} {told}.")
            return go_to(request, reverse("web:members"))
    context = {"form": form, "what": what, "title": BULK[what], "chosen": chosen}
    return render(request, "web/people/members_bulk.html", context, status=form_status(form.errors))


def _bulk_form(request: ConsoleRequest, what: str, chosen: Sequence[Membership]) -> Form:
    data = request.POST if request.method == "POST" else None
    match what:
        case "role":
            return BulkRoleForm(request.standing, data)
        case "team":
            return BulkTeamForm(request.organization, data)
        case _:
            return ConfirmForm(f"remove {len(chosen)}", data)


def _do(request: ConsoleRequest, what: str, membership: Membership, form: Form) -> None:
    match what:
        case "role":
            membership_update(
                membership=membership,
                role=Role(form.cleaned_data["role"]),
                actor=actor(request),
                by=request.standing,
            )
        case "team":
            team_member_add(team=form.cleaned_data["team"], user=membership.user, actor=actor(request))
        case _:
            membership_remove(
                membership=membership,
                actor=actor(request),
                reason=form.cleaned_data["reason"],
                by=request.standing,
            )


def _chosen(request: ConsoleRequest, ids: Sequence[str]) -> list[Membership]:
    """The members that were ticked; raises Http404 when one of them is not within reach."""
    try:
        wanted = {UUID(text) for text in ids[:MOST_AT_ONCE]}
    except ValueError:
        raise Http404 from None
    found = list(
        memberships_within(request.standing, Permission.MEMBERS_MANAGE)
        .filter(id__in=wanted)
        .select_related("organization", "user")
    )
    if len(found) != len(wanted):
        raise Http404
    return found


def _may_touch(request: ConsoleRequest, membership: Membership) -> bool:
    """Whether this person may change that member at all: an admin may not change an owner."""
    try:
        check_role_change(request.standing, Role(membership.role), Role(membership.role))
    except GrantTooWide:
        return False
    return True


def _add_member(request: ConsoleRequest, form: MemberAddForm) -> Membership:
    """Make the account, the membership and the teams: all of it or nothing."""
    return person_add(
        organization=request.organization,
        email=form.cleaned_data["email"],
        name=form.cleaned_data["name"],
        password=form.cleaned_data["password"],
        role=Role(form.cleaned_data["role"]),
        teams=list(form.cleaned_data["teams"]),
        actor=actor(request),
        by=request.standing,
    )


def _set_teams(request: ConsoleRequest, user: User, before: list[Team], wanted: list[Team]) -> None:
    for added in (one for one in wanted if one not in before):
        team_member_add(team=added, user=user, actor=actor(request))
    for left in (one for one in before if one not in wanted):
        team_member_remove(team=left, user=user, actor=actor(request))


def _leaving(request: ConsoleRequest, membership: Membership, form: ConfirmForm, what: str) -> HttpResponse:
    if not _may_touch(request, membership):
        raise PermissionDenied
    live = _live_keys(request, membership.user)
    context = {"form": form, "member": membership, "what": what, "live": live}
    return render(request, "web/people/member_leave.html", context, status=form_status(form.errors))


def _live_keys(request: ConsoleRequest, user: User) -> int:
    own = keys_of_user(request.organization, user).filter(revoked_at__isnull=True)
    return own.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())).count()


def _membership(
    request: ConsoleRequest, membership_id: UUID, right: Permission = Permission.MEMBERS_READ
) -> Membership:
    rows: QuerySet[Membership] = memberships_within(request.standing, right).select_related("organization", "user")
    return found_or_404(rows, membership_id)
