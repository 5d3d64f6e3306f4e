"""Tenants, teams, members and service accounts."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction

from control_plane.audit.models import Change, ShardKind
from control_plane.audit.selectors import changes_of, open_outbox
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import Membership, Organization, Role, TeamMembership
from control_plane.organizations.selectors import (
    membership_of,
    organizations_of,
    service_accounts_of,
    teams_of,
    teams_of_user,
)
from control_plane.organizations.services import (
    INSTALLATION,
    LastOwner,
    membership_add,
    membership_update,
    organization_create,
    organization_disable,
    organization_enable,
    organization_update,
    service_account_create,
    team_create,
    team_member_add,
    team_member_remove,
    team_update,
)
from tests.builders.tenants import SYSTEM, a_key, a_member, a_service_account, a_tenant, a_user

pytestmark = pytest.mark.django_db


def test_a_new_organization_asks_for_all_its_shards() -> None:
    organization = organization_create(slug="acme", name="Acme", actor=SYSTEM)
    kinds = {kind for kind in ShardKind if kind != ShardKind.GLOBAL and open_outbox(kind, organization.id).exists()}
    assert kinds == {ShardKind.POLICY, ShardKind.KEYS, ShardKind.DENY}
    assert open_outbox(ShardKind.GLOBAL, None).exists()


def test_disabling_and_enabling_are_told_apart_in_the_audit() -> None:
    tenant = a_tenant()
    organization_disable(organization=tenant.organization, actor=tenant.actor, reason="unpaid")
    organization_disable(organization=tenant.organization, actor=tenant.actor)
    organization_enable(organization=tenant.organization, actor=tenant.actor)
    actions = [row.action for row in changes_of(tenant.organization.id)[:2]]
    assert actions == ["organization.enabled", "organization.disabled"]


def test_an_update_that_changes_nothing_leaves_no_trace() -> None:
    tenant = a_tenant()
    before = Change.objects.count()
    organization_update(organization=tenant.organization, name=tenant.organization.name, actor=tenant.actor)
    team_update(team=tenant.team, name="platform", actor=tenant.actor)
    assert Change.objects.count() == before


@pytest.mark.parametrize("max_stale_ms", [0, -2, 1000])
def test_a_policy_that_is_stale_at_once_is_refused(max_stale_ms: int) -> None:
    with pytest.raises(ValidationError):
        organization_create(slug="acme", name="Acme", max_stale_ms=max_stale_ms, actor=SYSTEM)


def test_names_are_unique_within_an_organization_only() -> None:
    one, other = a_tenant(), a_tenant()
    team_create(organization=other.organization, name="payments", actor=SYSTEM)
    team_create(organization=one.organization, name="payments", actor=SYSTEM)
    with pytest.raises(ValidationError):
        team_create(organization=one.organization, name="payments", actor=SYSTEM)


def test_nobody_of_another_organization_can_lead_or_join_a_team() -> None:
    one, other = a_tenant(), a_tenant()
    with pytest.raises(ValidationError):
        team_update(team=one.team, lead=other.admin, actor=one.actor)
    with pytest.raises(ValidationError):
        team_member_add(team=one.team, user=other.admin, actor=one.actor)
    with pytest.raises(ValidationError):
        service_account_create(organization=one.organization, name="ci", team=other.team, actor=one.actor)


def test_the_database_itself_keeps_references_inside_an_organization() -> None:
    one, other = a_tenant(), a_tenant()
    key = a_key(one).key
    for rows in (VirtualKey.objects.filter(id=key.id), TeamMembership.objects.filter(team=one.team)):
        savepoint = transaction.savepoint()
        rows.update(team=other.team)
        with pytest.raises(DatabaseError):
            connection.check_constraints()
        transaction.savepoint_rollback(savepoint)


def test_the_first_member_of_an_organization_is_its_owner() -> None:
    organization = organization_create(slug="acme", name="Acme", actor=SYSTEM)
    for role in set(Role) - {Role.OWNER}:
        with pytest.raises(ValidationError, match="no owner yet"):
            membership_add(organization=organization, user=a_user(), role=role, actor=SYSTEM, by=INSTALLATION)
    membership_add(organization=organization, user=a_user(), role=Role.OWNER, actor=SYSTEM, by=INSTALLATION)
    membership_add(organization=organization, user=a_user(), role=Role.MEMBER, actor=SYSTEM, by=INSTALLATION)


def test_the_last_owner_stays_one() -> None:
    tenant = a_tenant()
    membership = membership_of(tenant.admin, tenant.organization)
    assert membership is not None
    with pytest.raises(ValidationError):
        membership_update(membership=membership, role=Role.MEMBER, actor=tenant.actor, by=INSTALLATION)
    second = a_member(tenant)
    other = membership_of(second, tenant.organization)
    assert other is not None
    membership_update(membership=other, role=Role.ADMIN, actor=tenant.actor, by=INSTALLATION)
    with pytest.raises(LastOwner):
        membership_update(membership=membership, role=Role.MEMBER, actor=tenant.actor, by=INSTALLATION)
    membership_update(membership=other, role=Role.OWNER, actor=tenant.actor, by=INSTALLATION)
    membership_update(membership=membership, role=Role.MEMBER, actor=tenant.actor, by=INSTALLATION)
    assert Membership.objects.get(id=membership.id).role == Role.MEMBER


def test_team_members_come_and_go_once() -> None:
    tenant = a_tenant()
    user = a_member(tenant)
    before = changes_of(tenant.organization.id).count()
    team_member_add(team=tenant.team, user=user, actor=tenant.actor)
    assert changes_of(tenant.organization.id).count() == before
    team_member_remove(team=tenant.team, user=user, actor=tenant.actor)
    team_member_remove(team=tenant.team, user=user, actor=tenant.actor)
    assert changes_of(tenant.organization.id).count() == before + 1
    assert not teams_of_user(tenant.organization, user).exists()


def test_selectors_show_one_organization_only() -> None:
    one, other = a_tenant(), a_tenant()
    account = a_service_account(one)
    assert [team.id for team in teams_of(one.organization)] == [one.team.id]
    assert list(service_accounts_of(other.organization)) == []
    assert [row.id for row in service_accounts_of(one.organization)] == [account.id]
    assert list(organizations_of(one.admin)) == [Organization.objects.get(id=one.organization.id)]


@pytest.mark.parametrize("tags", [{"": "x"}, {"-bad": "x"}, {"ok": "x" * 300}, {f"t{n}": "" for n in range(40)}])
def test_malformed_tags_are_refused(tags: dict[str, str]) -> None:
    tenant = a_tenant()
    with pytest.raises(ValidationError) as failure:
        membership_add(organization=tenant.organization, user=a_user(), tags=tags, actor=SYSTEM, by=INSTALLATION)
    assert "tags" in failure.value.message_dict
