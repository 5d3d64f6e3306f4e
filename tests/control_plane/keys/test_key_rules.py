"""Within what members mint keys, and keys that are replaced by a schedule."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from control_plane.audit.models import Change
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import (
    Rotation,
    key_mint,
    key_revoke,
    key_rotate,
    key_rules_update,
    key_update,
    keys_revoke,
)
from control_plane.keys.services.rules import rules_of
from control_plane.snapshots.compile import compile_keys, key_row
from tests.builders.tenants import Tenant, a_key, a_member, a_service_account, a_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return a_tenant()


def mint_own(tenant: Tenant, **wishes: object) -> VirtualKey:
    return key_mint(
        organization=tenant.organization,
        name="laptop",
        actor=tenant.actor,
        user=tenant.admin,
        team=tenant.team,
        heeds_rules=True,
        **wishes,  # type: ignore[arg-type]
    ).key


def test_without_rules_nothing_is_limited(tenant: Tenant) -> None:
    key = mint_own(tenant)
    assert (key.allowed_models, key.expires_at) == ([], None)


def test_the_rules_fill_in_what_was_left_open(tenant: Tenant) -> None:
    key_rules_update(
        organization=tenant.organization, actor=tenant.actor, max_personal_days=30, personal_models=["claude-haiku-*"]
    )
    key = mint_own(tenant)
    assert key.allowed_models == ["claude-haiku-*"]
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_wish_beyond_the_rules_is_refused_with_every_reason_at_once(tenant: Tenant) -> None:
    key_rules_update(
        organization=tenant.organization,
        actor=tenant.actor,
        max_personal_days=30,
        personal_models=["claude-haiku-*"],
        max_personal_keys=1,
    )
    mint_own(tenant)
    with pytest.raises(ValidationError) as failure:
        mint_own(tenant, models=["claude-opus-4-7"], expires_at=timezone.now() + timedelta(days=31))
    assert set(failure.value.message_dict) == {"owner", "models", "expires_at"}


def test_a_dead_key_makes_room_for_another(tenant: Tenant) -> None:
    key_rules_update(organization=tenant.organization, actor=tenant.actor, max_personal_keys=1)
    key_revoke(key=mint_own(tenant), reason="lost", actor=tenant.actor)
    assert mint_own(tenant).name == "laptop"


def test_nobody_mints_where_members_may_not_but_admins_do_it_for_them(tenant: Tenant) -> None:
    key_rules_update(organization=tenant.organization, actor=tenant.actor, members_may_mint=False)
    with pytest.raises(ValidationError, match="Ask an admin"):
        mint_own(tenant)
    assert a_key(tenant).key.name


def test_rules_about_models_bite_on_keys_that_exist(tenant: Tenant) -> None:
    key = mint_own(tenant, models=["claude-*", "gpt-5.1"])
    rules = key_rules_update(organization=tenant.organization, actor=tenant.actor, personal_models=["claude-haiku-*"])
    [shard] = compile_keys([key_row(key)], 1, rules.personal_models)
    assert list(shard.keys[0].models) == ["claude-haiku-*"]
    [shard] = compile_keys([key_row(mint_own(tenant))], 1, ["nothing-of-that"])
    assert "gpt-5.1" not in shard.keys[0].models


def test_a_change_of_a_key_stays_within_the_rules_too(tenant: Tenant) -> None:
    key_rules_update(organization=tenant.organization, actor=tenant.actor, max_personal_days=30, max_personal_keys=1)
    key = mint_own(tenant)
    with pytest.raises(ValidationError, match="at most 30 days"):
        key_update(key=key, actor=tenant.actor, expires_at=timezone.now() + timedelta(days=60), heeds_rules=True)
    renamed = key_update(key=key, actor=tenant.actor, name="desk", heeds_rules=True)
    assert renamed.name == "desk"


def test_tags_of_the_team_are_not_replaced_by_whoever_the_rules_bind(tenant: Tenant) -> None:
    tenant.team.tags = {"cost": "42"}
    tenant.team.save()
    with pytest.raises(ValidationError, match="only an admin changes it"):
        mint_own(tenant, tags={"cost": "1", "laptop": "yes"})
    key = mint_own(tenant, tags={"laptop": "yes", "cost": "42"})
    with pytest.raises(ValidationError, match="only an admin changes it"):
        key_update(key=key, actor=tenant.actor, tags={"cost": "1"}, heeds_rules=True)
    assert key_update(key=key, actor=tenant.actor, tags={"cost": "1"}).tags == {"cost": "1"}


def test_rules_are_audited_and_unchanged_ones_are_not(tenant: Tenant) -> None:
    key_rules_update(organization=tenant.organization, actor=tenant.actor, max_personal_keys=3, reason="audit 7")
    key_rules_update(organization=tenant.organization, actor=tenant.actor, max_personal_keys=3)
    [change] = Change.objects.filter(organization_id=tenant.organization.id, action="key_rules.updated")
    assert change.reason == "audit 7"
    assert rules_of(tenant.organization).max_personal_keys == 3
    key_rules_update(organization=tenant.organization, actor=tenant.actor, max_personal_keys=None)
    assert rules_of(tenant.organization).max_personal_keys is None


@pytest.mark.parametrize(
    "wish",
    [{"max_personal_keys": 0}, {"max_personal_days": -1}, {"max_personal_days": 10**6}, {"personal_models": [""]}],
)
def test_rules_have_bounds(tenant: Tenant, wish: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        key_rules_update(organization=tenant.organization, actor=tenant.actor, **wish)  # type: ignore[arg-type]


def test_a_key_on_a_schedule_ends_by_itself_after_the_grace(tenant: Tenant) -> None:
    account = a_service_account(tenant)
    key = key_mint(
        organization=tenant.organization,
        name="ci",
        actor=tenant.actor,
        service_account=account,
        routes=["anthropic_messages"],
        source_networks=["10.0.0.0/8"],
        rotation=Rotation(every_days=90, grace_s=86_400),
    ).key
    assert key.rotate_by is not None
    assert key.expires_at == key.rotate_by + timedelta(days=1)
    successor = key_rotate(key=key, grace_seconds=None, actor=tenant.actor).key
    assert (successor.rotation_days, successor.allowed_routes) == (90, ["anthropic_messages"])
    assert successor.source_networks == ["10.0.0.0/8"]
    assert successor.rotate_by is not None
    assert successor.rotate_by >= key.rotate_by
    key.refresh_from_db()
    assert key.expires_at is not None
    assert key.expires_at - timezone.now() <= timedelta(days=1)
    assert not key.is_revoked


def test_a_schedule_is_for_service_accounts_and_is_the_keys_only_end(tenant: Tenant) -> None:
    with pytest.raises(ValidationError, match="service accounts"):
        key_mint(
            organization=tenant.organization, name="x", actor=tenant.actor, user=tenant.admin, team=tenant.team,
            rotation=Rotation(30),
        )  # fmt: skip
    account = a_service_account(tenant)
    with pytest.raises(ValidationError, match="ends by its schedule"):
        key_mint(
            organization=tenant.organization, name="x", actor=tenant.actor, service_account=account,
            rotation=Rotation(30), expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip


def test_a_key_takes_up_and_leaves_a_schedule(tenant: Tenant) -> None:
    account = a_service_account(tenant)
    key = key_mint(organization=tenant.organization, name="x", actor=tenant.actor, service_account=account).key
    key = key_update(key=key, actor=tenant.actor, rotation=Rotation(30, 3600))
    assert key.rotate_by == key.created_at + timedelta(days=30)
    key = key_update(key=key, actor=tenant.actor, clears_rotation=True)
    assert (key.rotate_by, key.expires_at, key.rotation_days) == (None, None, None)


def test_many_keys_are_revoked_together(tenant: Tenant) -> None:
    keys = [a_key(tenant, user=a_member(tenant)).key for _ in range(3)]
    key_revoke(key=keys[0], reason="before", actor=tenant.actor)
    keys[0].refresh_from_db()
    ended = keys_revoke(keys=keys, reason="laptop stolen", actor=tenant.actor, cut_streams=True)
    assert {key.id for key in ended} == {key.id for key in keys[1:]}
    assert not VirtualKey.objects.filter(organization=tenant.organization, revoked_at__isnull=True).exists()
    assert Change.objects.filter(action="key.revoked", reason="laptop stolen").count() == 2
