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
from control_plane.organizations.tags import checked_tags


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


def check_not_last_admin(membership: Membership) -> None:
    """Raise ValidationError when an organization would be left without an active admin."""
    # The lock keeps two admins from stepping down past each other.
    Organization.objects.select_for_update().get(id=membership.organization_id)
    others = Membership.objects.filter(
        organization_id=membership.organization_id, role=Role.ADMIN, user__is_active=True
    ).exclude(id=membership.id)
    if not others.exists():
        raise ValidationError({"role": "This is the organization's last admin. Make somebody else an admin first."})


def _membership_facts(membership: Membership) -> dict[str, Any]:
    return {"user": membership.user.email, "role": str(membership.role), "tags": dict(membership.tags)}
