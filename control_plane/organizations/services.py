"""Change tenants: organizations, teams, memberships, service accounts.

What ends keys (a person leaves, a service account is switched off) lives in `control_plane.keys.services`.
"""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.organizations.models import (
    DEFAULT_MAX_STALE_MS,
    Membership,
    Organization,
    OrganizationState,
    Role,
    ServiceAccount,
    Team,
    TeamMembership,
)
from control_plane.organizations.tags import checked_tags

ALL_SHARDS = (ShardKind.GLOBAL, ShardKind.POLICY, ShardKind.KEYS, ShardKind.DENY)


def organization_subject(organization: Organization) -> Subject:
    return Subject("organization", organization.id.hex, organization.name)


@transaction.atomic
def organization_create(
    *,
    slug: str,
    name: str,
    actor: Actor,
    contact: str = "",
    max_stale_ms: int = DEFAULT_MAX_STALE_MS,
    gateway_public_url: str = "",
) -> Organization:
    """Add a tenant. Its shards are compiled before pods hear of it."""
    organization = Organization(
        slug=slug,
        name=name.strip(),
        contact=contact,
        max_stale_ms=max_stale_ms,
        gateway_public_url=gateway_public_url.rstrip("/"),
    )
    organization.full_clean()
    organization.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.created",
        subject=organization_subject(organization),
        after=_organization_facts(organization),
        shards=ALL_SHARDS,
    )
    return organization


@transaction.atomic
def organization_update(
    *,
    organization: Organization,
    actor: Actor,
    name: str | None = None,
    contact: str | None = None,
    max_stale_ms: int | None = None,
    gateway_public_url: str | None = None,
) -> Organization:
    """Change a tenant's facts; None leaves a fact as it is."""
    before = _organization_facts(organization)
    if name is not None:
        organization.name = name.strip()
    if contact is not None:
        organization.contact = contact
    if max_stale_ms is not None:
        organization.max_stale_ms = max_stale_ms
    if gateway_public_url is not None:
        organization.gateway_public_url = gateway_public_url.rstrip("/")
    after = _organization_facts(organization)
    if after == before:
        return organization
    organization.full_clean()
    organization.save()
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.updated",
        subject=organization_subject(organization),
        before=before,
        after=after,
        shards=(ShardKind.GLOBAL, ShardKind.POLICY),
    )
    return organization


@transaction.atomic
def organization_disable(*, organization: Organization, actor: Actor, reason: str = "") -> Organization:
    """Switch a tenant off: pods refuse all its keys by name. Nothing is deleted."""
    return _organization_state_set(organization, OrganizationState.DISABLED, actor, reason)


@transaction.atomic
def organization_enable(*, organization: Organization, actor: Actor, reason: str = "") -> Organization:
    """Switch a tenant on again."""
    return _organization_state_set(organization, OrganizationState.KNOWN, actor, reason)


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
    before = _team_facts(team)
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
    return team


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


@transaction.atomic
def membership_add(
    *,
    organization: Organization,
    user: User,
    actor: Actor,
    role: Role = Role.MEMBER,
    tags: Mapping[str, str] | None = None,
) -> Membership:
    """Make a person a member."""
    membership = Membership(organization=organization, user=user, role=role, tags=checked_tags(tags))
    membership.full_clean()
    membership.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="membership.added",
        subject=Subject("membership", membership.id.hex, user.email),
        after=_membership_facts(membership),
        # Whoever returns leaves the list of the denied.
        shards=(ShardKind.POLICY, ShardKind.DENY),
    )
    return membership


@transaction.atomic
def membership_update(
    *, membership: Membership, actor: Actor, role: Role | None = None, tags: Mapping[str, str] | None = None
) -> Membership:
    """Change a member's role or tags. The last admin stays one; raises ValidationError."""
    before = _membership_facts(membership)
    if role is not None and role != membership.role:
        if membership.is_admin:
            check_not_last_admin(membership)
        membership.role = role
    if tags is not None:
        membership.tags = checked_tags(tags)
    after = _membership_facts(membership)
    if after == before:
        return membership
    membership.full_clean()
    membership.save()
    record_change(
        organization_id=membership.organization_id,
        actor=actor,
        action="membership.updated",
        subject=Subject("membership", membership.id.hex, membership.user.email),
        before=before,
        after=after,
        shards=(ShardKind.POLICY,),
    )
    return membership


@transaction.atomic
def service_account_create(
    *,
    organization: Organization,
    name: str,
    team: Team,
    actor: Actor,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> ServiceAccount:
    """Add a service account, charged to a team of the same organization."""
    check_same_organization(organization, team, "team")
    account = ServiceAccount(
        organization=organization, name=name.strip(), team=team, description=description, tags=checked_tags(tags)
    )
    account.full_clean()
    account.save(force_insert=True)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="service_account.created",
        subject=Subject("service_account", account.id.hex, account.name),
        after=_service_account_facts(account),
        shards=(ShardKind.POLICY,),
    )
    return account


@transaction.atomic
def service_account_update(
    *,
    service_account: ServiceAccount,
    actor: Actor,
    name: str | None = None,
    team: Team | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> ServiceAccount:
    """Change a service account; None leaves a fact as it is. Its keys keep the team they were minted for."""
    before = _service_account_facts(service_account)
    if name is not None:
        service_account.name = name.strip()
    if team is not None:
        check_same_organization(service_account.organization, team, "team")
        service_account.team = team
    if description is not None:
        service_account.description = description
    if tags is not None:
        service_account.tags = checked_tags(tags)
    after = _service_account_facts(service_account)
    if after == before:
        return service_account
    service_account.full_clean()
    service_account.save()
    record_change(
        organization_id=service_account.organization_id,
        actor=actor,
        action="service_account.updated",
        subject=Subject("service_account", service_account.id.hex, service_account.name),
        before=before,
        after=after,
        shards=(ShardKind.POLICY,),
    )
    return service_account


def check_not_last_admin(membership: Membership) -> None:
    """Raise ValidationError when an organization would be left without an active admin."""
    # The lock keeps two admins from stepping down past each other.
    Organization.objects.select_for_update().get(id=membership.organization_id)
    others = Membership.objects.filter(
        organization_id=membership.organization_id, role=Role.ADMIN, user__is_active=True
    ).exclude(id=membership.id)
    if not others.exists():
        raise ValidationError({"role": "This is the organization's last admin. Make somebody else an admin first."})


def check_same_organization(organization: Organization, owned: Team | ServiceAccount, field: str) -> None:
    """Raise ValidationError when something belongs to another organization; says no more than that it is unknown."""
    if owned.organization_id != organization.id:
        raise ValidationError({field: "There is no such one in this organization."})


def _check_member(organization: Organization, user: User | None, field: str) -> None:
    if user is None:
        return
    if not Membership.objects.filter(organization=organization, user=user).exists():
        raise ValidationError({field: f"{user.email} is no member of this organization."})


def _organization_state_set(
    organization: Organization, state: OrganizationState, actor: Actor, reason: str
) -> Organization:
    before = _organization_facts(organization)
    if organization.state == state:
        return organization
    organization.state = state
    organization.save(update_fields=["state", "updated_at"])
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="organization.disabled" if state == OrganizationState.DISABLED else "organization.enabled",
        subject=organization_subject(organization),
        before=before,
        after=_organization_facts(organization),
        reason=reason,
        shards=(ShardKind.GLOBAL,),
    )
    return organization


def _organization_facts(organization: Organization) -> dict[str, Any]:
    return {
        "slug": organization.slug,
        "name": organization.name,
        "state": str(organization.state),
        "max_stale_ms": organization.max_stale_ms,
        "contact": organization.contact,
        "gateway_public_url": organization.gateway_public_url,
    }


def _team_facts(team: Team) -> dict[str, Any]:
    return {
        "name": team.name,
        "cost_centre": team.cost_centre,
        "lead": None if team.lead is None else team.lead.email,
        "tags": dict(team.tags),
    }


def _membership_facts(membership: Membership) -> dict[str, Any]:
    return {"user": membership.user.email, "role": str(membership.role), "tags": dict(membership.tags)}


def _service_account_facts(account: ServiceAccount) -> dict[str, Any]:
    return {
        "name": account.name,
        "team": account.team.name,
        "description": account.description,
        "tags": dict(account.tags),
        "is_active": account.is_active,
    }
