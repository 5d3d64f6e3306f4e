"""Virtual keys: minting, changing, rotating, revoking."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils import timezone

from control_plane.audit.models import ShardKind
from control_plane.audit.selectors import changes_of, open_outbox
from control_plane.keys.models import VirtualKey
from control_plane.keys.selectors import keys_of, keys_of_user, keys_told_to_pods
from control_plane.keys.services import key_mint, key_revoke, key_rotate, key_update
from control_plane.organizations.services import organization_disable, team_create
from switchyard_contract.virtual_key import KeyKind, digest, read
from tests.builders.tenants import a_key, a_member, a_service_account, a_tenant, a_user

pytestmark = pytest.mark.django_db


def test_only_the_digest_of_a_key_is_stored() -> None:
    tenant = a_tenant()
    minted = a_key(tenant)
    token = read(minted.token)
    assert token is not None
    assert token.kind is KeyKind.PERSONAL
    row = VirtualKey.objects.get(id=minted.key.id)
    assert (row.key_id, row.prefix, row.pepper_version) == (token.id, token.prefix, 1)
    assert bytes(row.digest) == digest(token, settings.SWITCHYARD.peppers.by_version[1])
    secret = minted.token[len(token.prefix) + 8 :]
    assert secret not in str([str(change.after) for change in changes_of(tenant.organization.id)])
    assert minted.token not in repr(minted)


def test_a_service_account_gets_a_key_of_its_own_kind_charged_to_its_team() -> None:
    tenant = a_tenant()
    account = a_service_account(tenant)
    key = key_mint(organization=tenant.organization, name="nightly", service_account=account, actor=tenant.actor).key
    assert (key.kind, key.team_id) == ("sysvc", tenant.team.id)


def test_a_key_belongs_to_exactly_one() -> None:
    tenant = a_tenant()
    account = a_service_account(tenant)
    owners: list[dict[str, Any]] = [{}, {"user": tenant.admin, "service_account": account}]
    for owner in owners:
        with pytest.raises(ValidationError) as failure:
            key_mint(organization=tenant.organization, name="x", actor=tenant.actor, **owner)
        assert "owner" in failure.value.message_dict
    key = a_key(tenant).key
    with pytest.raises(DatabaseError), transaction.atomic():
        VirtualKey.objects.filter(id=key.id).update(service_account=account)


def test_nothing_of_another_organization_makes_a_key() -> None:
    one, other = a_tenant(), a_tenant()
    account = a_service_account(other)
    owners: list[dict[str, Any]] = [{"user": other.admin}, {"user": a_user()}, {"service_account": account}]
    for owner in owners:
        with pytest.raises(ValidationError):
            key_mint(organization=one.organization, name="x", actor=one.actor, **owner)
    with pytest.raises(ValidationError):
        key_mint(organization=one.organization, name="x", user=one.admin, team=other.team, actor=one.actor)


def test_the_team_may_be_left_out_where_there_is_only_one_to_choose() -> None:
    tenant = a_tenant()
    other = team_create(organization=tenant.organization, name="payments", actor=tenant.actor)
    member = a_member(tenant, team=other)
    assert key_mint(organization=tenant.organization, name="x", user=member, actor=tenant.actor).key.team == other
    outsider = a_member(tenant, team=other)
    outsider.team_memberships.all().delete()
    with pytest.raises(ValidationError) as failure:
        key_mint(organization=tenant.organization, name="x", user=outsider, actor=tenant.actor)
    assert "team" in failure.value.message_dict


def test_a_disabled_organization_gets_no_keys() -> None:
    tenant = a_tenant()
    organization_disable(organization=tenant.organization, actor=tenant.actor)
    with pytest.raises(ValidationError):
        a_key(tenant)


def test_an_expiry_in_the_past_is_refused() -> None:
    tenant = a_tenant()
    with pytest.raises(ValidationError):
        a_key(tenant, expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("models", [[""], ["x" * 300], ["a\x00b"], "claude-*", ["m"] * 300])
def test_malformed_globs_are_refused(models: list[str]) -> None:
    tenant = a_tenant()
    with pytest.raises(ValidationError):
        key_mint(organization=tenant.organization, name="x", user=tenant.admin, models=models, actor=tenant.actor)


def test_updating_a_key_touches_only_the_key_shards() -> None:
    tenant = a_tenant()
    key = a_key(tenant).key
    open_outbox(ShardKind.KEYS, tenant.organization.id).delete()
    open_outbox(ShardKind.DENY, tenant.organization.id).delete()
    key_update(key=key, models=["claude-*"], tags={"env": "dev"}, actor=tenant.actor)
    assert open_outbox(ShardKind.KEYS, tenant.organization.id).count() == 1
    assert not open_outbox(ShardKind.DENY, tenant.organization.id).exists()
    assert VirtualKey.objects.get(id=key.id).allowed_models == ["claude-*"]


def test_rotation_keeps_everything_but_the_secret_and_lets_the_old_key_live_on_for_the_grace() -> None:
    tenant = a_tenant()
    old = a_key(tenant).key
    key_update(key=old, models=["claude-*"], tags={"env": "dev"}, actor=tenant.actor)
    minted = key_rotate(key=old, grace_seconds=3600, actor=tenant.actor)
    new, old = minted.key, VirtualKey.objects.get(id=old.id)
    assert (new.user, new.team, new.allowed_models, new.tags) == (old.user, old.team, ["claude-*"], {"env": "dev"})
    assert new.key_id != old.key_id
    assert new.rotated_from == old
    assert not old.is_revoked
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=1)
    assert new.expires_at is None


def test_rotation_without_grace_revokes_the_old_key() -> None:
    tenant = a_tenant()
    old = a_key(tenant).key
    key_rotate(key=old, grace_seconds=0, actor=tenant.actor)
    assert VirtualKey.objects.get(id=old.id).is_revoked


def test_the_grace_never_lengthens_a_life() -> None:
    tenant = a_tenant()
    end = timezone.now() + timedelta(minutes=5)
    old = a_key(tenant, expires_at=end).key
    key_rotate(key=old, grace_seconds=3600, actor=tenant.actor)
    assert VirtualKey.objects.get(id=old.id).expires_at == end


def test_a_revoked_key_is_neither_changed_nor_rotated() -> None:
    tenant = a_tenant()
    key = a_key(tenant).key
    key_revoke(key=key, reason="lost laptop", actor=tenant.actor)
    with pytest.raises(ValidationError):
        key_update(key=key, name="other", actor=tenant.actor)
    with pytest.raises(ValidationError):
        key_rotate(key=key, grace_seconds=0, actor=tenant.actor)


def test_revoking_twice_changes_nothing_but_may_add_the_cut() -> None:
    tenant = a_tenant()
    key = a_key(tenant).key
    first = key_revoke(key=key, reason="lost laptop", actor=tenant.actor)
    changes = changes_of(tenant.organization.id).count()
    assert key_revoke(key=key, reason="again", actor=tenant.actor).revoked_at == first.revoked_at
    assert changes_of(tenant.organization.id).count() == changes
    cut = key_revoke(key=key, reason="compromised", cut_streams=True, actor=tenant.actor)
    assert (cut.revoked_at, cut.revoke_reason, cut.cut_streams) == (first.revoked_at, "lost laptop", True)


def test_a_revocation_names_who_and_why() -> None:
    tenant = a_tenant()
    key = key_revoke(key=a_key(tenant).key, reason="lost laptop", actor=tenant.actor)
    change = changes_of(tenant.organization.id)[0]
    assert (change.action, change.reason, change.actor_name) == ("key.revoked", "lost laptop", tenant.admin.email)
    assert (key.revoke_reason, key.revoked_by) == ("lost laptop", tenant.admin.email)


def test_pods_forget_keys_that_have_been_dead_for_a_month() -> None:
    tenant = a_tenant()
    alive, revoked, expired = (a_key(tenant).key for _ in range(3))
    now = timezone.now()
    VirtualKey.objects.filter(id=revoked.id).update(revoked_at=now)
    VirtualKey.objects.filter(id=expired.id).update(expires_at=now)
    told = keys_told_to_pods(tenant.organization.id, now + timedelta(days=29))
    assert {key.id for key in told} == {alive.id, revoked.id, expired.id}
    assert [key.id for key in keys_told_to_pods(tenant.organization.id, now + timedelta(days=31))] == [alive.id]


def test_selectors_show_one_organization_only() -> None:
    one, other = a_tenant(), a_tenant()
    mine = a_key(one).key
    a_key(other)
    assert [key.id for key in keys_of(one.organization)] == [mine.id]
    assert [key.id for key in keys_of_user(one.organization, one.admin)] == [mine.id]
    assert not keys_of_user(one.organization, other.admin).exists()
