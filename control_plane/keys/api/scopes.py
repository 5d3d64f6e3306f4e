"""What a caller may name: the rows of the own organization, all for an admin, the own ones for a member."""

from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.keys.models import VirtualKey
from control_plane.keys.selectors import keys_of, keys_of_user
from control_plane.organizations.models import Membership, ServiceAccount, Team
from control_plane.organizations.selectors import memberships_of, service_accounts_of, teams_of, teams_of_user
from control_plane.rest.caller import Caller


def teams_for(caller: Caller) -> QuerySet[Team]:
    return teams_of(caller.organization) if caller.is_admin else teams_of_user(caller.organization, caller.user)


def users_for(caller: Caller) -> QuerySet[User]:
    users = User.objects.filter(memberships__organization=caller.organization)
    return users if caller.is_admin else users.filter(id=caller.user.id)


def memberships_for(caller: Caller) -> QuerySet[Membership]:
    memberships = memberships_of(caller.organization)
    return memberships if caller.is_admin else memberships.filter(user=caller.user)


def service_accounts_for(caller: Caller) -> QuerySet[ServiceAccount]:
    accounts = service_accounts_of(caller.organization)
    return accounts if caller.is_admin else accounts.filter(team__in=teams_for(caller))


def keys_for(caller: Caller) -> QuerySet[VirtualKey]:
    return keys_of(caller.organization) if caller.is_admin else keys_of_user(caller.organization, caller.user)
