"""Members, teams and service accounts."""

from typing import TypeVar
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Model, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.keys.reach import keys_within
from control_plane.keys.selectors import keys_of, keys_of_user
from control_plane.keys.services.departures import (
    membership_remove,
    service_account_activity_set,
    user_deactivate,
    user_reactivate,
)
from control_plane.organizations.models import Membership, Role, ServiceAccount, Team
from control_plane.organizations.reach import memberships_within, service_accounts_within, teams_within
from control_plane.organizations.roles import Permission
from control_plane.organizations.selectors import members_of_team, organizations_of, teams_of_user
from control_plane.organizations.services import (
    membership_update,
    person_add,
    service_account_create,
    service_account_update,
    team_create,
    team_member_add,
    team_member_remove,
    team_update,
)
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.people import MemberAddForm, MemberForm, ServiceAccountForm, TeamForm, tags_text
from control_plane.web.key_rows import key_rows
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to

Row = TypeVar("Row", bound=Model)
MOST_SHOWN = 200
"""Rows of a table within a page; the lists have the rest."""


@require_GET
def members(request: ConsoleRequest) -> HttpResponse:
    teams = tuple((team.id.hex, team.name) for team in teams_within(request.standing))
    listing = list_rows(
        request,
        memberships_within(request.standing).annotate(
            live_keys=Count(
                "user__virtual_keys",
                filter=Q(user__virtual_keys__organization=request.organization)
                & Q(user__virtual_keys__revoked_at__isnull=True),
            )
        ),
        sorts=(Sort("email", "user__email"), Sort("joined", "created_at")),
        default="email",
        searched=lambda rows, text: rows.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text)),
        filters=(
            Filter("role", "Role", ((Role.ADMIN, "Admin"), (Role.MEMBER, "Member"))),
            Filter("team", "Team", teams),
        ),
        filtered={
            "role": lambda rows, value: rows.filter(role=value),
            "team": lambda rows, value: rows.filter(user__team_memberships__team_id=UUID(value)),
        },
    )
    return render(request, "web/people/members.html", {"listing": listing})


@require_http_methods(["GET", "POST"])
def member_add(request: ConsoleRequest) -> HttpResponse:
    form = MemberAddForm(request.organization, request.POST or None)
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
    initial = {
        "role": membership.role,
        "teams": [team.id for team in own_teams],
        "tags": tags_text(membership.tags),
    }
    form = MemberForm(request.organization, request.POST or None, initial=initial)
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
        "form": form,
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


@require_GET
def teams(request: ConsoleRequest) -> HttpResponse:
    listing = list_rows(
        request,
        teams_within(request.standing).annotate(
            people=Count("memberships", distinct=True),
            live_keys=Count("virtual_keys", filter=Q(virtual_keys__revoked_at__isnull=True), distinct=True),
        ),
        sorts=(Sort("name", "name"), Sort("created", "created_at")),
        default="name",
        searched=lambda rows, text: rows.filter(Q(name__icontains=text) | Q(cost_centre__icontains=text)),
    )
    return render(request, "web/people/teams.html", {"listing": listing})


@require_http_methods(["GET", "POST"])
def team_add(request: ConsoleRequest) -> HttpResponse:
    form = TeamForm(request.organization, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = team_create(organization=request.organization, actor=actor(request), **form.cleaned_data)
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{made.name} is there. Add people to it under Members.")
            return go_to(request, reverse("web:team", args=[made.id]))
    return render(request, "web/people/team_form.html", {"form": form}, status=form_status(form.errors))


@require_GET
def team(request: ConsoleRequest, team_id: UUID) -> HttpResponse:
    found = _team(request, team_id)
    context = {
        "team": found,
        "people": memberships_within(request.standing).filter(user__in=members_of_team(found))[:MOST_SHOWN],
        "accounts": service_accounts_within(request.standing).filter(team=found)[:MOST_SHOWN],
        "keys": key_rows(
            request.organization, keys_within(request.standing).filter(team=found)[:MOST_SHOWN], since=month_of(request)
        ),
        "history": changes_of(request.organization.id).filter(subject_kind="team", subject_id=found.id.hex)[:20],
    }
    return render(request, "web/people/team.html", context)


@require_http_methods(["GET", "POST"])
def team_edit(request: ConsoleRequest, team_id: UUID) -> HttpResponse:
    found = _team(request, team_id, Permission.TEAMS_MANAGE)
    initial = {
        "name": found.name,
        "cost_centre": found.cost_centre,
        "lead": found.lead_id,
        "tags": tags_text(found.tags),
    }
    form = TeamForm(request.organization, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            team_update(
                team=found,
                actor=actor(request),
                clears_lead=form.cleaned_data["lead"] is None,
                **form.cleaned_data,
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, f"{form.cleaned_data['name']} is saved.")
            return go_to(request, reverse("web:team", args=[found.id]))
    return render(request, "web/people/team_form.html", {"form": form, "team": found}, status=form_status(form.errors))


@require_GET
def service_accounts(request: ConsoleRequest) -> HttpResponse:
    all_teams = tuple((row.id.hex, row.name) for row in teams_within(request.standing))
    listing = list_rows(
        request,
        service_accounts_within(request.standing).annotate(
            live_keys=Count("virtual_keys", filter=Q(virtual_keys__revoked_at__isnull=True))
        ),
        sorts=(Sort("name", "name"), Sort("created", "created_at")),
        default="name",
        searched=lambda rows, text: rows.filter(Q(name__icontains=text) | Q(description__icontains=text)),
        filters=(
            Filter("team", "Team", all_teams),
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
    form = ServiceAccountForm(request.organization, request.POST or None)
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
        ServiceAccountForm(request.organization, request.POST)
        if request.method == "POST"
        else ServiceAccountForm.of(found)
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
    live = keys_of(request.organization).filter(service_account=found, revoked_at__isnull=True)
    context = {"form": form, "account": found, "live": live.count()}
    return render(request, "web/people/service_account_activity.html", context, status=form_status(form.errors))


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
    live = _live_keys(request, membership.user)
    context = {"form": form, "member": membership, "what": what, "live": live}
    return render(request, "web/people/member_leave.html", context, status=form_status(form.errors))


def _live_keys(request: ConsoleRequest, user: User) -> int:
    own = keys_of_user(request.organization, user).filter(revoked_at__isnull=True)
    return own.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())).count()


def _membership(
    request: ConsoleRequest, membership_id: UUID, right: Permission = Permission.MEMBERS_READ
) -> Membership:
    return _found(memberships_within(request.standing, right).select_related("organization", "user"), membership_id)


def _team(request: ConsoleRequest, team_id: UUID, right: Permission = Permission.TEAMS_READ) -> Team:
    return _found(teams_within(request.standing, right).select_related("organization", "lead"), team_id)


def _account(
    request: ConsoleRequest, account_id: UUID, right: Permission = Permission.SERVICE_ACCOUNTS_READ
) -> ServiceAccount:
    return _found(service_accounts_within(request.standing, right).select_related("organization", "team"), account_id)


def _found(rows: QuerySet[Row], row_id: UUID) -> Row:
    """One row within the right's reach. What is out of it answers 404, like one that never was."""
    found = rows.filter(id=row_id).first()
    if found is None:
        raise Http404
    return found
