"""What follows from a provider's word, for accounts, memberships, teams, roles and keys."""

from control_plane.identity.scim.services.accounts import Directory
from control_plane.identity.scim.services.group_roles import group_role_set
from control_plane.identity.scim.services.groups import (
    group_create,
    group_delete,
    group_locked,
    group_patch,
    group_replace,
)
from control_plane.identity.scim.services.people import (
    person_create,
    person_delete,
    person_locked,
    person_patch,
    person_replace,
)
from control_plane.identity.scim.services.tokens import (
    MintedScimToken,
    scim_request_note,
    scim_token_authenticate,
    scim_token_mint,
    scim_token_revoke,
)

__all__ = [
    "Directory",
    "MintedScimToken",
    "group_create",
    "group_delete",
    "group_locked",
    "group_patch",
    "group_replace",
    "group_role_set",
    "person_create",
    "person_delete",
    "person_locked",
    "person_patch",
    "person_replace",
    "scim_request_note",
    "scim_token_authenticate",
    "scim_token_mint",
    "scim_token_revoke",
]
