"""Change teams and who is in them."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import (
    Membership,
    Organization,
    Role,
    Team,
    TeamMembership,
)
from control_plane.organizations.services.grants import INSTALLATION
from control_plane.organizations.services.memberships import membership_update
from control_plane.organizations.tags import checked_tags


@transaction.atomic
def team_create(
    *,
    organization: Organization,
    name: str,
    actor: Actor,
    cost_centre: str = "",
    lead: User | None = None,
    tags: Mapping[str, str] | None = None,
) -> Team:
    """Add a team. Its lead must be a member of the organization."""
    _check_member(organization, lead, "lead")
    team = Team(
        organization=organization, name=name.strip(), cost_centre=cost_centre, lead=lead, tags=checked_tags(tags)
    )
    team.full_clean()
    team.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="team.created",
        subject=Subject("team", team.id.hex, team.name),
        after=_team_facts(team),
        shards=(ShardKind.POLICY,),
    )
    lead_follow(team, before=None, actor=actor)
    return team


@transaction.atomic
def team_update(
    *,
    team: Team,
    actor: Actor,
    name: str | None = None,
    cost_centre: str | None = None,
    lead: User | None = None,
    clears_lead: bool = False,
    tags: Mapping[str, str] | None = None,
) -> Team:
    """Change a team; None leaves a fact as it is, `clears_lead` takes the lead away. History keeps the old facts."""
    before, lead_before = _team_facts(team), team.lead
    if name is not None:
        team.name = name.strip()
    if cost_centre is not None:
        team.cost_centre = cost_centre
    if lead is not None or clears_lead:
        _check_member(team.organization, lead, "lead")
        team.lead = lead
    if tags is not None:
        team.tags = checked_tags(tags)
    after = _team_facts(team)
    if after == before:
        return team
    team.full_clean()
    team.save()
    record_change(
        organization_id=team.organization_id,
        actor=actor,
        action="team.updated",
        subject=Subject("team", team.id.hex, team.name),
        before=before,
        after=after,
        shards=(ShardKind.POLICY,),
    )
    lead_follow(team, before=lead_before, actor=actor)
    return team


def lead_follow(team: Team, *, before: User | None, actor: Actor) -> None:
    """Let roles follow who leads a team: a plain member becomes a team lead, and one again with the last led team.

    Whoever has another role keeps it. To be called once the team names its new lead, or is gone.
    """
    now = team.lead if team.pk and not team._state.adding else None
    if now == before:
        return
    for user, had, gets in ((now, Role.MEMBER, Role.TEAM_LEAD), (before, Role.TEAM_LEAD, Role.MEMBER)):
        if user is None:
            continue
        if had is Role.TEAM_LEAD and Team.objects.filter(organization_id=team.organization_id, lead=user).exists():
            continue
        membership = (
            Membership.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(organization_id=team.organization_id, user=user, role=had)
            .first()
        )
        if membership is not None:
            told = f"leads {team.name}" if gets is Role.TEAM_LEAD else f"leads {team.name} no longer"
            membership_update(membership=membership, role=gets, actor=actor, reason=told, by=INSTALLATION)


@transaction.atomic
def team_member_add(*, team: Team, user: User, actor: Actor) -> TeamMembership:
    """Put a member of the organization into a team; one who is in it already stays."""
    _check_member(team.organization, user, "user")
    membership, is_new = TeamMembership.objects.get_or_create(
        organization_id=team.organization_id, team=team, user=user
    )
    if is_new:
        record_change(
            organization_id=team.organization_id,
            actor=actor,
            action="team.member_added",
            subject=Subject("team", team.id.hex, team.name),
            after={"user": user.email},
        )
    return membership


@transaction.atomic
def team_member_remove(*, team: Team, user: User, actor: Actor) -> None:
    """Take a person out of a team. Keys charged to it stay as they are."""
    removed, _ = TeamMembership.objects.filter(organization_id=team.organization_id, team=team, user=user).delete()
    if removed:
        record_change(
            organization_id=team.organization_id,
            actor=actor,
            action="team.member_removed",
            subject=Subject("team", team.id.hex, team.name),
            before={"user": user.email},
        )


def _check_member(organization: Organization, user: User | None, field: str) -> None:
    if user is None:
        return
    if not Membership.objects.filter(organization=organization, user=user).exists():
        raise ValidationError({field: f"{user.email} is no member of this organization."})


def _team_facts(team: Team) -> dict[str, Any]:
    return {
        "name": team.name,
        "cost_centre": team.cost_centre,
        "lead": None if team.lead is None else team.lead.email,
        "tags": dict(team.tags),
    }
