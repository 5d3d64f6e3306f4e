"""Roles that follow who leads a team, and the last owner, by every way and at the same time."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.keys.services import membership_remove, user_deactivate
from control_plane.organizations.models import Membership, Role
from control_plane.organizations.selectors import membership_of, standing_of
from control_plane.organizations.services import (
    INSTALLATION,
    GrantTooWide,
    LastOwner,
    membership_update,
    organization_update,
    team_create,
    team_delete,
    team_update,
)
from tests.builders.tenants import SYSTEM, Tenant, a_member, a_person_of_role, a_tenant


def role_of(tenant: Tenant, user: User) -> Role:
    return Role(Membership.objects.get(organization=tenant.organization, user=user).role)


def the_membership(tenant: Tenant, user: User) -> Membership:
    return Membership.objects.select_related("organization", "user").get(organization=tenant.organization, user=user)


@pytest.mark.django_db
def test_a_plain_member_who_leads_is_a_team_lead_until_the_last_team_goes() -> None:
    tenant = a_tenant()
    user = a_member(tenant)
    team_update(team=tenant.team, lead=user, actor=tenant.actor)
    assert role_of(tenant, user) is Role.TEAM_LEAD
    second = team_create(organization=tenant.organization, name="second", lead=user, actor=tenant.actor)
    team_update(team=tenant.team, clears_lead=True, actor=tenant.actor)
    assert role_of(tenant, user) is Role.TEAM_LEAD
    team_delete(team=second, actor=tenant.actor)
    assert role_of(tenant, user) is Role.MEMBER
    told = [row.reason for row in changes_of(tenant.organization.id) if row.action == "membership.updated"]
    assert told == ["leads second no longer", "leads platform"]


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.FINANCE, Role.AUDITOR])
def test_whoever_has_another_role_keeps_it(role: Role) -> None:
    tenant = a_tenant()
    user = a_person_of_role(tenant, role)
    team_update(team=tenant.team, lead=user, actor=tenant.actor)
    team_update(team=tenant.team, clears_lead=True, actor=tenant.actor)
    assert role_of(tenant, user) is role


@pytest.mark.django_db
def test_one_lead_follows_another() -> None:
    tenant = a_tenant()
    first, second = a_member(tenant), a_member(tenant)
    team_update(team=tenant.team, lead=first, actor=tenant.actor)
    team_update(team=tenant.team, lead=second, actor=tenant.actor)
    assert (role_of(tenant, first), role_of(tenant, second)) == (Role.MEMBER, Role.TEAM_LEAD)


@pytest.mark.django_db
def test_a_team_whose_lead_leaves_has_none() -> None:
    tenant = a_tenant()
    user = a_member(tenant)
    team_update(team=tenant.team, lead=user, actor=tenant.actor)
    membership_remove(membership=the_membership(tenant, user), actor=tenant.actor, by=INSTALLATION)
    tenant.team.refresh_from_db()
    assert tenant.team.lead is None


@pytest.mark.django_db
def test_a_delegation_holds_from_the_next_reading_and_is_audited() -> None:
    tenant = a_tenant()
    lead = a_person_of_role(tenant, Role.TEAM_LEAD)
    assert standing_of(the_membership(tenant, lead)).delegations == frozenset()
    organization_update(organization=tenant.organization, leads_may_add_members=True, actor=tenant.actor)
    assert {str(one) for one in standing_of(the_membership(tenant, lead)).delegations} == {"add_members"}
    newest = changes_of(tenant.organization.id)[0]
    assert (newest.before or {})["leads_may_add_members"] is False
    assert (newest.after or {})["leads_may_add_members"] is True


@pytest.mark.django_db
@pytest.mark.parametrize(
    "act",
    [
        lambda it, actor: membership_update(membership=it, role=Role.ADMIN, actor=actor, by=INSTALLATION),
        lambda it, actor: membership_remove(membership=it, actor=actor, by=INSTALLATION),
        lambda it, actor: user_deactivate(user=it.user, actor=actor, by=INSTALLATION),
    ],
    ids=["demote", "remove", "deactivate"],
)
def test_the_last_owner_goes_by_no_way_and_one_of_two_by_each(act: Callable[..., object]) -> None:
    tenant = a_tenant()
    with pytest.raises(LastOwner):
        act(the_membership(tenant, tenant.admin), SYSTEM)
    a_person_of_role(tenant, Role.ADMIN)
    with pytest.raises(LastOwner):
        act(the_membership(tenant, tenant.admin), SYSTEM)
    a_person_of_role(tenant, Role.OWNER)
    act(the_membership(tenant, tenant.admin), SYSTEM)


@pytest.mark.django_db
def test_a_deactivated_owner_does_not_count() -> None:
    tenant = a_tenant()
    second = a_person_of_role(tenant, Role.OWNER)
    user_deactivate(user=second, actor=SYSTEM, by=INSTALLATION)
    with pytest.raises(LastOwner):
        membership_update(
            membership=the_membership(tenant, tenant.admin), role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION
        )


@pytest.mark.django_db
def test_a_stale_reading_of_a_role_decides_nothing() -> None:
    tenant = a_tenant()
    second = a_person_of_role(tenant, Role.ADMIN)
    stale = the_membership(tenant, second)
    membership_update(membership=the_membership(tenant, second), role=Role.OWNER, actor=SYSTEM, by=INSTALLATION)
    membership_update(membership=the_membership(tenant, tenant.admin), role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION)
    with pytest.raises(LastOwner):
        membership_update(membership=stale, role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION)


@pytest.mark.django_db
def test_admins_touch_no_owner_in_any_way() -> None:
    tenant = a_tenant()
    a_person_of_role(tenant, Role.OWNER)
    admin = standing_of(the_membership(tenant, a_person_of_role(tenant, Role.ADMIN)))
    owner = the_membership(tenant, tenant.admin)
    with pytest.raises(GrantTooWide):
        membership_update(membership=owner, tags={"a": "b"}, actor=SYSTEM, by=admin)
    with pytest.raises(GrantTooWide):
        membership_remove(membership=owner, actor=SYSTEM, by=admin)
    with pytest.raises(GrantTooWide):
        user_deactivate(user=tenant.admin, actor=SYSTEM, by=admin)
    assert membership_of(tenant.admin, tenant.organization) is not None


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_step_down_at_once_leave_one() -> None:
    tenant = a_tenant()
    second = a_person_of_role(tenant, Role.OWNER)
    memberships = [the_membership(tenant, tenant.admin), the_membership(tenant, second)]
    begin, refused = threading.Barrier(2), []

    def step_down(membership: Membership) -> None:
        begin.wait(timeout=10)
        try:
            membership_update(membership=membership, role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION)
        except LastOwner as failure:
            refused.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=step_down, args=(membership,)) for membership in memberships]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(refused) == 1
    assert Membership.objects.filter(organization=tenant.organization, role=Role.OWNER).count() == 1
