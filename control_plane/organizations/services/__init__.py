"""Change tenants: organizations, teams, memberships, service accounts.

What ends keys (a person leaves, a service account is switched off) lives in `control_plane.keys.services`.
"""

from control_plane.organizations.services.arrivals import BelongsElsewhere, person_add, person_rename
from control_plane.organizations.services.grants import (
    INSTALLATION,
    Grantor,
    GrantTooWide,
    Installation,
    check_role_change,
    may_give,
)
from control_plane.organizations.services.memberships import (
    LastOwner,
    check_not_last_owner,
    membership_add,
    membership_update,
)
from control_plane.organizations.services.removals import service_account_delete, team_delete
from control_plane.organizations.services.service_accounts import (
    check_same_organization,
    service_account_create,
    service_account_update,
)
from control_plane.organizations.services.teams import (
    team_create,
    team_member_add,
    team_member_remove,
    team_update,
)
from control_plane.organizations.services.tenants import (
    organization_create,
    organization_disable,
    organization_enable,
    organization_subject,
    organization_update,
)

__all__ = [
    "INSTALLATION",
    "BelongsElsewhere",
    "GrantTooWide",
    "Grantor",
    "Installation",
    "LastOwner",
    "check_not_last_owner",
    "check_role_change",
    "check_same_organization",
    "may_give",
    "membership_add",
    "membership_update",
    "organization_create",
    "organization_disable",
    "organization_enable",
    "organization_subject",
    "organization_update",
    "person_add",
    "person_rename",
    "service_account_create",
    "service_account_delete",
    "service_account_update",
    "team_create",
    "team_delete",
    "team_member_add",
    "team_member_remove",
    "team_update",
]
