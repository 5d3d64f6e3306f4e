"""Change who is a member, and as what. Leaving ends keys and lives in `control_plane.keys.services`."""

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
)
from control_plane.organizations.services.grants import Grantor, check_role_change
from control_plane.organizations.tags import checked_tags


class LastOwner(ValidationError):
    """An organization would be left without anybody who may do everything."""

    is_conflict = True
    """Said as 409: the input is well-formed, things stand against it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__({field: text})


@transaction.atomic
def membership_add(
    *,
    organization: Organization,
    user: User,
    actor: Actor,
    role: Role = Role.MEMBER,
    tags: Mapping[str, str] | None = None,
    by: Grantor,
) -> Membership:
    """Make a person a member. by: whose rights bound the role (check_role_change).

    An organization's first member is its owner, so that there is always somebody who may do everything.
    """
    role = Role(role)
    check_role_change(by, None, role)
    if role is not Role.OWNER and not _has_owner(organization):
        raise ValidationError({"role": f"{organization.name} has no owner yet. Make its first member one."})
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
    *,
    membership: Membership,
    actor: Actor,
    role: Role | None = None,
    tags: Mapping[str, str] | None = None,
    by: Grantor,
    reason: str = "",
) -> Membership:
    """Change a member's role or tags; None leaves a fact as it is. by: whose rights bound the change.

    The last owner stays one; raises LastOwner.
    """
    had = _role_now(membership)
    check_role_change(by, had, had if role is None else Role(role))
    before = _membership_facts(membership)
    if role is not None and role != had:
        if had is Role.OWNER:
            check_not_last_owner(membership)
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
        reason=reason,
        shards=(ShardKind.POLICY,),
    )
    return membership


def check_not_last_owner(membership: Membership, field: str = "role") -> None:
    """Raise LastOwner when an organization would be left without an active owner. For members who are one."""
    # The lock keeps two owners from stepping down past each other; what they see was read after it.
    organization = Organization.objects.select_for_update().get(id=membership.organization_id)
    others = Membership.objects.filter(
        organization_id=membership.organization_id, role=Role.OWNER, user__is_active=True
    ).exclude(id=membership.id)
    if not others.exists():
        raise LastOwner(field, f"This is the last owner of {organization.name}. Make somebody else an owner first.")


def _has_owner(organization: Organization) -> bool:
    return Membership.objects.filter(organization=organization, role=Role.OWNER).exists()


def _role_now(membership: Membership) -> Role:
    """The role as it is in the database, locked: a caller may have read it before somebody else changed it."""
    membership.role = (
        Membership.objects.select_for_update(of=("self",))
        .values_list("role", flat=True)
        .get(id=membership.id, organization_id=membership.organization_id)
    )
    return Role(membership.role)


def _membership_facts(membership: Membership) -> dict[str, Any]:
    return {"user": membership.user.email, "role": str(membership.role), "tags": dict(membership.tags)}
