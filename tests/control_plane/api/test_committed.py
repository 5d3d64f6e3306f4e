"""What only shows when transactions are really committed: pods that wait for a shard, and a flood of new keys."""

import pytest
from django.utils import timezone

from control_plane.fleet.models import Pod, PodShard
from control_plane.keys.models import VirtualKey
from control_plane.keys.services import admin_token_mint
from control_plane.project.api.applied import wait_applied
from control_plane.rest.throttles import PostThrottle
from control_plane.snapshots.models import Snapshot
from control_plane.snapshots.services import global_compile, organization_compile
from control_plane.snapshots.shards import GLOBAL, key_shard
from tests.control_plane.api.world import ACTOR, Tenant, a_tenant, client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(transactional_db: None) -> Tenant:
    """In place of the one that is kept in a transaction."""
    return a_tenant("acme")


def test_a_key_of_a_new_organization_waits_for_pods_that_list_the_organization(acme: Tenant) -> None:
    organization_compile(acme.organization.id)
    key = VirtualKey.objects.get(id=acme.member_key.id)
    shard = key_shard(key.organization_id, 0)
    pod = Pod.objects.create(pod_id="pod-1", connected_at=timezone.now(), last_seen_at=timezone.now())
    PodShard.objects.create(pod=pod, shard=shard, acked_epoch=1, acked_version=1)
    assert wait_applied(key, longest_s=0).acknowledged == 0

    global_compile()
    assert wait_applied(key, longest_s=0).acknowledged == 0

    PodShard.objects.create(pod=pod, shard=GLOBAL, acked_epoch=1, acked_version=1)
    assert wait_applied(key, longest_s=5).acknowledged == 1


def test_a20_a_flood_of_new_keys_is_held_back_and_makes_no_storm(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostThrottle, "rates", {"post": 20})
    monkeypatch.setattr("control_plane.rest.throttles._now_s", lambda: 1_800_000_010.0)
    organization_compile(acme.organization.id, waits=True)
    shard = f"org/{acme.organization.id.hex}/keys/0"
    before = (VirtualKey.objects.count(), Snapshot.objects.filter(shard=shard).count())
    others = [acme.as_admin, client(_another_token(acme))]

    statuses = [
        others[number % 2].post("/api/v1/keys", {"name": f"k{number}", "team": "Platform"}, format="json").status_code
        for number in range(60)
    ]

    # Two tokens of one person share one allowance.
    assert (statuses.count(201), statuses.count(429)) == (20, 40)
    organization_compile(acme.organization.id, waits=True)
    assert VirtualKey.objects.count() == before[0] + 20
    assert Snapshot.objects.filter(shard=shard).count() == before[1] + 1


def _another_token(acme: Tenant) -> str:
    return admin_token_mint(organization=acme.organization, user=acme.admin, name="second", actor=ACTOR).token
