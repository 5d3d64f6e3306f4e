"""Tokens of the admin API and of the fleet."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.keys.models import AdminToken, PodToken
from control_plane.keys.services import (
    admin_token_authenticate,
    admin_token_mint,
    admin_token_revoke,
    membership_remove,
    pod_token_authenticate,
    pod_token_mint,
    pod_token_revoke,
)
from control_plane.organizations.selectors import membership_of
from control_plane.organizations.services import INSTALLATION
from switchyard_contract.virtual_key import KeyKind, mint
from tests.builders.tenants import SYSTEM, a_key, a_member, a_tenant

pytestmark = pytest.mark.django_db


def test_an_admin_token_speaks_for_its_user_in_its_organization() -> None:
    tenant = a_tenant()
    minted = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="ci", actor=tenant.actor)
    found = admin_token_authenticate(minted.token)
    assert found is not None
    assert (found.user, found.organization) == (tenant.admin, tenant.organization)
    assert AdminToken.objects.get().last_used_at is not None
    assert minted.token not in repr(minted)


def test_every_other_kind_and_every_wrong_character_is_refused() -> None:
    tenant = a_tenant()
    token = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="ci", actor=tenant.actor).token
    other = "A" if token[20] != "A" else "B"
    for text in (
        "",
        "syapi_",
        a_key(tenant).token,
        mint(KeyKind.ADMIN).text,
        token[:20] + other + token[21:],
        token[:-1],
    ):
        assert admin_token_authenticate(text) is None


def test_a_known_id_with_another_secret_is_refused() -> None:
    tenant = a_tenant()
    minted = admin_token_mint(organization=tenant.organization, user=tenant.admin, name="ci", actor=tenant.actor)
    foreign = mint(KeyKind.ADMIN)
    AdminToken.objects.filter(id=minted.record.id).update(token_id=foreign.id)
    assert admin_token_authenticate(foreign.text) is None


def test_a_revoked_expired_or_orphaned_admin_token_is_refused() -> None:
    tenant = a_tenant()

    def fresh(user: User = tenant.admin) -> tuple[AdminToken, str]:
        minted = admin_token_mint(organization=tenant.organization, user=user, name="x", actor=tenant.actor)
        return minted.record, minted.token

    revoked, text = fresh()
    admin_token_revoke(token=revoked, actor=tenant.actor)
    assert admin_token_authenticate(text) is None

    expired, text = fresh()
    AdminToken.objects.filter(id=expired.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert admin_token_authenticate(text) is None

    member = a_member(tenant)
    _, text = fresh(member)
    User.objects.filter(id=member.id).update(is_active=False)
    assert admin_token_authenticate(text) is None

    leaver = a_member(tenant)
    _, text = fresh(leaver)
    membership = membership_of(leaver, tenant.organization)
    assert membership is not None
    membership_remove(membership=membership, actor=tenant.actor, by=INSTALLATION)
    assert admin_token_authenticate(text) is None


def test_nobody_gets_a_token_of_an_organization_they_are_not_in() -> None:
    one, other = a_tenant(), a_tenant()
    with pytest.raises(ValidationError):
        admin_token_mint(organization=one.organization, user=other.admin, name="x", actor=one.actor)


def test_two_pod_tokens_are_valid_during_a_rotation() -> None:
    first = pod_token_mint(name="2026", actor=SYSTEM)
    second = pod_token_mint(name="2027", actor=SYSTEM)
    assert pod_token_authenticate(first.token) == first.record
    assert pod_token_authenticate(second.token) == second.record
    pod_token_revoke(token=PodToken.objects.get(id=first.record.id), actor=SYSTEM)
    assert pod_token_authenticate(first.token) is None
    assert pod_token_authenticate(second.token) == second.record


def test_no_other_kind_joins_the_fleet() -> None:
    tenant = a_tenant()
    for text in (a_key(tenant).token, mint(KeyKind.POD).text, "sypod_", "x" * 56):
        assert pod_token_authenticate(text) is None
