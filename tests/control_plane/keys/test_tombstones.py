"""Tombstones in a real counter store, and the departures that write them."""

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.core.exceptions import ValidationError

from control_plane.accounts.models import User
from control_plane.audit.selectors import changes_of
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import (
    key_mint,
    key_revoke,
    membership_remove,
    service_account_activity_set,
    tombstones,
    tombstones_repair,
    user_deactivate,
    user_reactivate,
)
from control_plane.keys.services.tombstones import CHANNEL, VERSION_KEY, tombstones_key
from control_plane.organizations.models import Membership
from control_plane.organizations.selectors import membership_of
from control_plane.organizations.services import INSTALLATION
from tests.builders.tenants import Tenant, a_key, a_member, a_service_account, a_tenant

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    store = redis.Redis.from_url(settings.SWITCHYARD.counters_url, decode_responses=True)
    store.flushdb()
    yield store
    store.close()


def entombed(store: redis.Redis, tenant: Tenant) -> set[str]:
    return {str(member) for member in store.smembers(tombstones_key(tenant.organization.id))}


def test_the_names_in_the_store_are_those_that_pods_watch() -> None:
    tenant = a_tenant()
    assert tombstones_key(tenant.organization.id) == "rev:{" + tenant.organization.id.hex + "}"
    assert (VERSION_KEY, CHANNEL) == ("rev:version", "switchyard:revoked")


def test_a_revocation_writes_and_announces_its_tombstone(store: redis.Redis) -> None:
    tenant = a_tenant()
    plain, cut = a_key(tenant).key, a_key(tenant).key
    with store.pubsub() as heard:
        heard.subscribe(CHANNEL)
        assert heard.get_message(timeout=2)["type"] == "subscribe"
        key_revoke(key=plain, reason="x", actor=tenant.actor)
        key_revoke(key=cut, reason="x", cut_streams=True, actor=tenant.actor)
        messages = [heard.get_message(timeout=2)["data"] for _ in range(2)]
    organization = tenant.organization.id.hex
    assert messages == [f"{organization} {plain.key_id} 0", f"{organization} {cut.key_id} 1"]
    assert entombed(store, tenant) == {plain.key_id, cut.key_id}
    assert store.get(VERSION_KEY) == "2"


def test_a_store_that_is_away_does_not_stop_a_revocation(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = a_tenant()
    key = a_key(tenant).key
    nowhere = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    with monkeypatch.context() as patched:
        patched.setattr(tombstones, "_store", lambda: nowhere)
        key_revoke(key=key, reason="x", actor=tenant.actor)
    assert VirtualKey.objects.get(id=key.id).is_revoked
    assert entombed(store, tenant) == set()
    assert tombstones_repair() == 1
    assert entombed(store, tenant) == {key.key_id}
    assert tombstones_repair() == 0


def test_the_sweep_fills_an_emptied_store_and_removes_what_is_too_much(store: redis.Redis) -> None:
    tenant, other = a_tenant(), a_tenant()
    mine, theirs = a_key(tenant).key, a_key(other).key
    key_revoke(key=mine, reason="x", actor=tenant.actor)
    key_revoke(key=theirs, reason="x", actor=other.actor)
    store.flushdb()
    store.sadd(tombstones_key(tenant.organization.id), "nobodyskey00")
    assert tombstones_repair() == 3
    assert (entombed(store, tenant), entombed(store, other)) == ({mine.key_id}, {theirs.key_id})


def test_a_deactivated_person_loses_every_key_and_gets_them_back(store: redis.Redis) -> None:
    tenant, other = a_tenant(), a_tenant()
    user = a_member(tenant)
    Membership.objects.create(organization=other.organization, user=user)
    here = a_key(tenant, user=user).key
    there = key_mint(organization=other.organization, name="x", user=user, team=other.team, actor=other.actor).key
    revoked = key_revoke(key=a_key(tenant, user=user).key, reason="x", actor=tenant.actor)
    user_deactivate(user=user, actor=tenant.actor, reason="left", by=INSTALLATION)
    assert entombed(store, tenant) == {here.key_id, revoked.key_id}
    assert entombed(store, other) == {there.key_id}
    assert not User.objects.get(id=user.id).is_active
    assert tombstones_repair() == 0
    user_reactivate(user=user, actor=tenant.actor, by=INSTALLATION)
    assert entombed(store, tenant) == {revoked.key_id}
    assert entombed(store, other) == set()
    actions = {row.action for row in changes_of(other.organization.id)}
    assert {"user.denied", "user.admitted"} <= actions


def test_the_last_owner_is_not_deactivated(store: redis.Redis) -> None:
    tenant = a_tenant()
    with pytest.raises(ValidationError):
        user_deactivate(user=tenant.admin, actor=tenant.actor, by=INSTALLATION)
    assert User.objects.get(id=tenant.admin.id).is_active


def test_a_leavers_keys_in_that_organization_are_revoked_for_good(store: redis.Redis) -> None:
    tenant = a_tenant()
    user = a_member(tenant)
    key = a_key(tenant, user=user).key
    membership = membership_of(user, tenant.organization)
    assert membership is not None
    membership_remove(membership=membership, actor=tenant.actor, by=INSTALLATION)
    row = VirtualKey.objects.get(id=key.id)
    assert (row.is_revoked, row.cut_streams) == (True, True)
    assert entombed(store, tenant) == {key.key_id}
    assert membership_of(user, tenant.organization) is None


def test_a_service_account_is_switched_off_and_on(store: redis.Redis) -> None:
    tenant = a_tenant()
    account = a_service_account(tenant)
    key = key_mint(organization=tenant.organization, name="x", service_account=account, actor=tenant.actor).key
    account = service_account_activity_set(service_account=account, is_active=False, actor=tenant.actor)
    assert entombed(store, tenant) == {key.key_id}
    with pytest.raises(ValidationError):
        key_mint(organization=tenant.organization, name="y", service_account=account, actor=tenant.actor)
    service_account_activity_set(service_account=account, is_active=True, actor=tenant.actor)
    assert entombed(store, tenant) == set()
