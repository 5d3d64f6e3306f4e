"""Find tenants and what belongs to them. Every look-up names its organization."""

from uuid import UUID

from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.organizations.models import Membership, Organization, ServiceAccount, Team
from control_plane.organizations.roles import Permission, Role, Standing


def organization_by_id(organization_id: UUID) -> Organization | None:
    return Organization.objects.filter(id=organization_id).first()


def organization_ids() -> list[UUID]:
    """All tenants, for sweeps."""
    return list(Organization.objects.order_by("id").values_list("id", flat=True))


def is_first_organization(organization_id: UUID) -> bool:
    """Whether it is the installation's oldest: that of whoever runs it."""
    return first_organization_id() == organization_id


def first_organization_id() -> UUID | None:
    """The installation's oldest organization; None: there is none yet."""
    return Organization.objects.order_by("created_at", "id").values_list("id", flat=True).first()


def organizations_of(user: User) -> QuerySet[Organization]:
    """The organizations a person is a member of."""
    return Organization.objects.filter(memberships__user=user).order_by("name")


def membership_of(user: User, organization: Organization) -> Membership | None:
    return Membership.objects.filter(organization=organization, user=user).select_related("user").first()


def memberships_of(organization: Organization) -> QuerySet[Membership]:
    return Membership.objects.filter(organization=organization).select_related("user").order_by("user__email")


def teams_of(organization: Organization) -> QuerySet[Team]:
    return Team.objects.filter(organization=organization).select_related("lead").order_by("name")


def teams_of_user(organization: Organization, user: User) -> QuerySet[Team]:
    """The teams of one organization that a person is in."""
    return Team.objects.filter(organization=organization, memberships__user=user).order_by("name")


def members_of_team(team: Team) -> QuerySet[User]:
    return User.objects.filter(
        team_memberships__team=team, team_memberships__organization_id=team.organization_id
    ).order_by("email")


def service_accounts_of(organization: Organization) -> QuerySet[ServiceAccount]:
    return ServiceAccount.objects.filter(organization=organization).select_related("team").order_by("name")


def standing_of(membership: Membership, *, scopes: frozenset[Permission] | None = None) -> Standing:
    """What decides this member's rights, as it is now. scopes: of the API token presented, if one was."""
    role = Role(membership.role)
    led: frozenset[UUID] = frozenset()
    if role is Role.TEAM_LEAD:
        led = frozenset(
            Team.objects.filter(organization_id=membership.organization_id, lead_id=membership.user_id).values_list(
                "id", flat=True
            )
        )
    return Standing(
        user_id=membership.user_id,
        organization_id=membership.organization_id,
        role=role,
        led_team_ids=led,
        delegations=membership.organization.delegations,
        scopes=scopes,
    )
