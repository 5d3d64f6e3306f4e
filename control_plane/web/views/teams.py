"""Teams: who leads them, what they are charged to, who is in them."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.keys.models import VirtualKey
from control_plane.keys.reach import keys_within, may_mint_for
from control_plane.organizations.models import Team, TeamMembership
from control_plane.organizations.reach import memberships_within, service_accounts_within, teams_within
from control_plane.organizations.roles import Permission, can
from control_plane.organizations.selectors import members_of_team
from control_plane.organizations.services import team_create, team_member_add, team_member_remove, team_update
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.people import TeamForm, TeamPersonForm, tags_text
from control_plane.web.key_rows import key_rows
from control_plane.web.listing import Sort, list_rows
from control_plane.web.request import ConsoleRequest, actor, month_of
from control_plane.web.respond import form_status, go_to
from control_plane.web.views.rows import MOST_SHOWN, counted, found_or_404


@require_GET
def teams(request: ConsoleRequest) -> HttpResponse:
    members = TeamMembership.objects.filter(organization=request.organization)
    live = VirtualKey.objects.filter(organization=request.organization, revoked_at__isnull=True)
    listing = list_rows(
        request,
        teams_within(request.standing).annotate(
            people=counted(members, "team_id", "id"), live_keys=counted(live, "team_id", "id")
        ),
        sorts=(Sort("name", "name"), Sort("cost_centre", "cost_centre"), Sort("created", "created_at")),
        default="name",
        searched=lambda rows, text: rows.filter(
            Q(name__icontains=text)
            | Q(cost_centre__icontains=text)
            | Q(lead__email__icontains=text)
            | Q(lead__name__icontains=text)
        ),
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
            messages.success(request, f"{made.name} is there. Put people into it.")
            return go_to(request, reverse("web:team", args=[made.id]))
    return render(request, "web/people/team_form.html", {"form": form}, status=form_status(form.errors))


@require_GET
def team(request: ConsoleRequest, team_id: UUID) -> HttpResponse:
    found = _team(request, team_id)
    context = {
        "team": found,
        "people": memberships_within(request.standing).filter(user__in=members_of_team(found))[:MOST_SHOWN],
        "may_fill": can(request.standing, Permission.TEAM_MEMBERS_MANAGE, team_ids=(found.id,)),
        "may_mint": may_mint_for(request.standing, found.id),
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


@require_http_methods(["GET", "POST"])
def team_person_add(request: ConsoleRequest, team_id: UUID) -> HttpResponse:
    found = _team(request, team_id, Permission.TEAM_MEMBERS_MANAGE)
    form = TeamPersonForm(request.organization, request.POST or None)
    if request.method == "POST" and form.is_valid():
        person: User = form.cleaned_data["user"]
        team_member_add(team=found, user=person, actor=actor(request))
        messages.success(request, f"{person.email} is in {found.name} now.")
        return go_to(request, reverse("web:team", args=[found.id]))
    context = {"form": form, "team": found}
    return render(request, "web/people/team_person.html", context, status=form_status(form.errors))


@require_POST
def team_person_remove(request: ConsoleRequest, team_id: UUID, user_id: UUID) -> HttpResponse:
    """Can be undone by adding the person again, so it asks nothing back."""
    found = _team(request, team_id, Permission.TEAM_MEMBERS_MANAGE)
    person = found_or_404(members_of_team(found), user_id)
    team_member_remove(team=found, user=person, actor=actor(request))
    messages.success(request, f"{person.email} is out of {found.name}. Keys charged to it stay as they are.")
    return go_to(request, reverse("web:team", args=[found.id]))


def _team(request: ConsoleRequest, team_id: UUID, right: Permission = Permission.TEAMS_READ) -> Team:
    return found_or_404(teams_within(request.standing, right).select_related("organization", "lead"), team_id)
