"""What a caller may name: the rows within the reach of the right to read them."""

from django.db.models import QuerySet

from control_plane.accounts.models import User
from control_plane.keys.models import AdminToken, VirtualKey
from control_plane.keys.reach import admin_tokens_within, keys_within
from control_plane.organizations.models import Membership, ServiceAccount, Team
from control_plane.organizations.reach import memberships_within, service_accounts_within, teams_within, users_within
from control_plane.rest.caller import Caller


def teams_for(caller: Caller) -> QuerySet[Team]:
    return teams_within(caller.standing)


def users_for(caller: Caller) -> QuerySet[User]:
    return users_within(caller.standing)


def memberships_for(caller: Caller) -> QuerySet[Membership]:
    return memberships_within(caller.standing)


def service_accounts_for(caller: Caller) -> QuerySet[ServiceAccount]:
    return service_accounts_within(caller.standing)


def keys_for(caller: Caller) -> QuerySet[VirtualKey]:
    return keys_within(caller.standing)


def admin_tokens_for(caller: Caller) -> QuerySet[AdminToken]:
    return admin_tokens_within(caller.standing)
