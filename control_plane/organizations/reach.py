"""The rows that a person's right reaches: all of the organization, those of the teams they lead, their own, none.

Lists, look-ups and choices all begin here, so what is out of reach is not there. permission: usually the right to read;
a page that changes rows asks with the right to change them.
"""

from django.db.models import Q, QuerySet

from control_plane.accounts.models import User
from control_plane.organizations.models import Membership, ServiceAccount, Team, TeamMembership
from control_plane.organizations.roles import Permission, Reach, Standing, reach_of


def teams_within(standing: Standing, permission: Permission = Permission.TEAMS_READ) -> QuerySet[Team]:
    """Teams, by name. One's own are those one is in; those one leads count besides."""
    teams = Team.objects.filter(organization_id=standing.organization_id).select_related("lead").order_by("name")
    # A subquery, so that being in a team does not double its row or keep it from being locked.
    joined = TeamMembership.objects.filter(organization_id=standing.organization_id, user_id=standing.user_id)
    match reach_of(standing, permission):
        case Reach.ALL:
            return teams
        case Reach.TEAM if permission is Permission.TEAMS_READ:
            return teams.filter(Q(id__in=standing.led_team_ids) | Q(id__in=joined.values("team_id")))
        case Reach.TEAM:
            return teams.filter(id__in=standing.led_team_ids)
        case Reach.OWN if permission is Permission.TEAMS_READ:
            return teams.filter(id__in=joined.values("team_id"))
        case _:
            return teams.none()


def memberships_within(standing: Standing, permission: Permission = Permission.MEMBERS_READ) -> QuerySet[Membership]:
    """Members, by e-mail: everybody, the people of one's led teams and oneself, oneself, nobody."""
    members = (
        Membership.objects.filter(organization_id=standing.organization_id)
        .select_related("user")
        .order_by("user__email")
    )
    match reach_of(standing, permission):
        case Reach.ALL:
            return members
        case Reach.TEAM:
            led = TeamMembership.objects.filter(
                organization_id=standing.organization_id, team_id__in=standing.led_team_ids
            )
            return members.filter(Q(user_id=standing.user_id) | Q(user_id__in=led.values("user_id")))
        case Reach.OWN:
            return members.filter(user_id=standing.user_id)
        case Reach.NONE:
            return members.none()


def users_within(standing: Standing, permission: Permission = Permission.MEMBERS_READ) -> QuerySet[User]:
    """The people behind the memberships within reach, by e-mail."""
    found = memberships_within(standing, permission).order_by()
    return User.objects.filter(id__in=found.values("user_id")).order_by("email")


def service_accounts_within(
    standing: Standing, permission: Permission = Permission.SERVICE_ACCOUNTS_READ
) -> QuerySet[ServiceAccount]:
    """Service accounts, by name: all, those of one's led teams, none. Nobody owns one."""
    accounts = (
        ServiceAccount.objects.filter(organization_id=standing.organization_id).select_related("team").order_by("name")
    )
    match reach_of(standing, permission):
        case Reach.ALL:
            return accounts
        case Reach.TEAM:
            return accounts.filter(team_id__in=standing.led_team_ids)
        case _:
            return accounts.none()
