"""Nobody gives what they do not have: roles and team memberships are judged against whoever hands them out."""

from enum import Enum
from typing import TypeAlias

from django.core.exceptions import PermissionDenied

from control_plane.organizations.roles import (
    Permission,
    Reach,
    Role,
    Standing,
    can,
    is_within,
    reach_of,
    refusal,
    rights_of,
)


class Installation(Enum):
    """Whoever gives without a person who asked: the first run, the operator, a directory that an owner connected.

    Said aloud at every call, so that a check is left out by a decision and never by a forgotten argument.
    """

    INSTALLATION = "installation"


INSTALLATION = Installation.INSTALLATION
Grantor: TypeAlias = Standing | Installation
"""Whose rights bound a grant."""


class GrantTooWide(PermissionDenied):
    """What somebody wants to give, take or touch goes further than their own rights."""


def check_role_change(by: Grantor, before: Role | None, after: Role | None) -> None:
    """Raise GrantTooWide unless somebody may make a person of one role one of another.

    by: INSTALLATION is bound by nobody's rights.
    before: None when the person joins; after: None when they leave or are shut out; both alike for a smaller change.
    Owners are made, unmade and touched by owners only. No role is given that goes further than the giver's own, nor
    further than the scopes of the token that was presented; that of a plain member anybody may give who adds members.
    """
    if isinstance(by, Installation):
        return
    if not can(by, Permission.MEMBERS_MANAGE):
        raise GrantTooWide(refusal(by, Permission.MEMBERS_MANAGE))
    for role in (before, after):
        if role is Role.OWNER and not can(by, Permission.OWNERS_MANAGE):
            raise GrantTooWide(refusal(by, Permission.OWNERS_MANAGE))
        if role is not None and not is_within(role, by.role):
            raise GrantTooWide(f"The role {role.label.lower()} goes further than your own, {by.role.label.lower()}.")
    if after is not None and after != before and by.scopes is not None and not _is_within_scopes(after, by):
        raise GrantTooWide(f"The role {after.label.lower()} goes further than this token's scopes.")


def may_give(by: Standing, role: Role) -> bool:
    """Whether somebody may make a plain member one of that role; for choices."""
    try:
        check_role_change(by, Role.MEMBER, role)
    except GrantTooWide:
        return False
    return True


def _is_within_scopes(role: Role, by: Standing) -> bool:
    plain = rights_of(Role.MEMBER)
    return all(
        reach <= max(reach_of(by, permission), plain[permission])
        for permission, reach in rights_of(role).items()
        if reach is not Reach.NONE
    )
