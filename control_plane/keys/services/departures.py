"""Whoever leaves loses their keys in the same action."""

from django.db import transaction
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.services import user_activity_set, user_subject
from control_plane.audit.services import Actor, ShardKind, Subject, record_change
from control_plane.keys.models import AdminToken, VirtualKey
from control_plane.keys.services.tombstones import entomb_on_commit, raise_on_commit
from control_plane.keys.services.virtual_keys import key_revoke
from control_plane.organizations.models import Membership, Role, ServiceAccount, Team, TeamMembership
from control_plane.organizations.services import (
    Grantor,
    Installation,
    check_not_last_owner,
    check_role_change,
    team_update,
)

DENIAL = (ShardKind.POLICY, ShardKind.DENY)


@transaction.atomic
def user_deactivate(*, user: User, actor: Actor, reason: str = "", by: Grantor) -> User:
    """Shut a person out: no sign-in, and every key of theirs is denied in every organization, running streams cut.

    The keys stay as they are, so that a mistake can be undone. The last owner of an organization stays; raises
    LastOwner. by: whose rights bound it, in the organization of its own.
    """
    user = User.objects.select_for_update().get(id=user.id)
    if not user.is_active:
        return user
    # Locked like any change of a role, so that nobody is made the only owner meanwhile.
    memberships = list(
        Membership.objects.select_for_update(of=("self",)).filter(user=user).select_related("organization")
    )
    for membership in memberships:
        if not isinstance(by, Installation) and membership.organization_id == by.organization_id:
            check_role_change(by, Role(membership.role), None)
        if membership.role == Role.OWNER:
            check_not_last_owner(membership, field="user")
    user_activity_set(user=user, is_active=False, actor=actor, reason=reason)
    for membership in memberships:
        _record_principal(membership, actor, "user.denied", reason)
        live = VirtualKey.objects.filter(
            organization_id=membership.organization_id, user=user, revoked_at__isnull=True
        ).values_list("key_id", flat=True)
        entomb_on_commit(membership.organization_id, dict.fromkeys(live, True))
    return user


@transaction.atomic
def user_reactivate(*, user: User, actor: Actor, reason: str = "", by: Grantor) -> User:
    """Let a person in again; keys that were not revoked work again. by: whose rights bound it."""
    user = User.objects.select_for_update().get(id=user.id)
    if user.is_active:
        return user
    if not isinstance(by, Installation):
        for membership in Membership.objects.filter(user=user, organization_id=by.organization_id):
            check_role_change(by, None, Role(membership.role))
    user_activity_set(user=user, is_active=True, actor=actor, reason=reason)
    for membership in Membership.objects.filter(user=user):
        _record_principal(membership, actor, "user.admitted", reason)
        live = VirtualKey.objects.filter(
            organization_id=membership.organization_id, user=user, revoked_at__isnull=True
        ).values_list("key_id", flat=True)
        raise_on_commit(membership.organization_id, list(live))
    return user


@transaction.atomic
def membership_remove(*, membership: Membership, actor: Actor, reason: str = "", by: Grantor) -> None:
    """Take a person out of an organization: their keys and admin tokens there are revoked for good.

    Teams they led have no lead then. The last owner stays; raises LastOwner. by: whose rights bound it; somebody who
    leaves by themselves is bound by nobody's.
    """
    membership = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("user")
        .get(id=membership.id, organization_id=membership.organization_id)
    )
    if isinstance(by, Installation) or by.user_id != membership.user_id:
        check_role_change(by, Role(membership.role), None)
    if membership.role == Role.OWNER:
        check_not_last_owner(membership)
    organization_id, user = membership.organization_id, membership.user
    for team in Team.objects.filter(organization_id=organization_id, lead=user).select_related("organization", "lead"):
        team_update(team=team, clears_lead=True, actor=actor)
    membership.refresh_from_db(fields=["role"])
    for key in VirtualKey.objects.filter(organization_id=organization_id, user=user, revoked_at__isnull=True):
        key_revoke(key=key, reason="left the organization", actor=actor, cut_streams=True)
    AdminToken.objects.filter(organization_id=organization_id, user=user, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    TeamMembership.objects.filter(organization_id=organization_id, user=user).delete()
    record_change(
        organization_id=organization_id,
        actor=actor,
        action="membership.removed",
        subject=Subject("membership", membership.id.hex, user.email),
        before={"user": user.email, "role": str(membership.role)},
        reason=reason,
        shards=DENIAL,
    )
    membership.delete()


@transaction.atomic
def service_account_activity_set(
    *, service_account: ServiceAccount, is_active: bool, actor: Actor, reason: str = ""
) -> ServiceAccount:
    """Switch a service account off, which denies all its keys, or on again."""
    account = ServiceAccount.objects.select_for_update().get(
        id=service_account.id, organization_id=service_account.organization_id
    )
    if account.is_active == is_active:
        return account
    account.is_active = is_active
    account.save(update_fields=["is_active", "updated_at"])
    record_change(
        organization_id=account.organization_id,
        actor=actor,
        action="service_account.reactivated" if is_active else "service_account.deactivated",
        subject=Subject("service_account", account.id.hex, account.name),
        before={"is_active": not is_active},
        after={"is_active": is_active},
        reason=reason,
        shards=DENIAL,
    )
    live = list(
        VirtualKey.objects.filter(
            organization_id=account.organization_id, service_account=account, revoked_at__isnull=True
        ).values_list("key_id", flat=True)
    )
    if is_active:
        raise_on_commit(account.organization_id, live)
    else:
        entomb_on_commit(account.organization_id, dict.fromkeys(live, True))
    return account


def _record_principal(membership: Membership, actor: Actor, action: str, reason: str) -> None:
    record_change(
        organization_id=membership.organization_id,
        actor=actor,
        action=action,
        subject=user_subject(membership.user),
        reason=reason,
        shards=DENIAL,
    )
