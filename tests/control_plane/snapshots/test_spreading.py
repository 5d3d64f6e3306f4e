"""Keys of an organization spread over more shards, and a pod that follows loses none of them for a moment."""

from collections.abc import Callable

import pytest
from django.conf import settings as django_settings

from control_plane.audit.models import Change
from control_plane.snapshots import services as snapshot_services
from control_plane.snapshots.delivery import Delivery
from control_plane.snapshots.selectors import sealed_shard, shard_heads
from control_plane.snapshots.services import everything_compile, organization_compile
from control_plane.snapshots.shards import GLOBAL
from data_plane.policy.from_proto import read_policy
from data_plane.policy.snapshot import OrganizationState, PolicySnapshot
from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.keeper import Accepted, Keeper
from data_plane.snapshots.shards import HeldShards
from switchyard_contract.seal import VerifyKeys
from switchyard_contract.v1 import snapshot_pb2
from tests.builders.tenants import Tenant, a_key, a_tenant

pytestmark = pytest.mark.django_db(transaction=True)


def build(shards: HeldShards, previous: PolicySnapshot | None) -> PolicySnapshot:
    return read_policy(shards, previous=previous)


class Follower:
    """The data plane's own keeper, fed in the control plane's own order."""

    def __init__(self) -> None:
        key = django_settings.SWITCHYARD.signing_key
        self.keeper: Keeper[PolicySnapshot] = Keeper(
            deployment=django_settings.SWITCHYARD.deployment_id,
            keys=VerifyKeys({key.key_id: key.public_bytes}),
            build=build,
            freshness=Freshness(lambda: 0),
        )
        self._delivery = Delivery({})

    def follow(self, check: Callable[[], object]) -> list[str]:
        """Take over what is due, checking after each shard; gives what came."""
        due = self._delivery.due(shard_heads())
        for shard in due:
            sealed = sealed_shard(shard)
            assert sealed is not None
            self._delivery.sent(shard, sealed.at, b"n", 0)
            verdict = self.keeper.judge(sealed.message)
            assert isinstance(verdict, Accepted), verdict
            self.keeper.adopt(verdict)
            self._delivery.acknowledged(shard, b"n")
            check()
        return due


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_no_key_is_lost_while_keys_spread(monkeypatch: pytest.MonkeyPatch, is_interrupted: bool) -> None:
    """is_interrupted: the compiler dies before the list of shards says that there are more."""
    tenant: Tenant = a_tenant()
    other = a_key(a_tenant()).key.key_id
    ids = {a_key(tenant).key.key_id for _ in range(30)} | {other}
    everything_compile()
    pod = Follower()
    pod.follow(lambda: None)

    def all_are_served() -> None:
        assert set(pod.keeper.policy.keys) == ids
        assert pod.keeper.policy.organizations[tenant.organization.id.hex].state is OrganizationState.KNOWN

    all_are_served()
    monkeypatch.setattr("control_plane.snapshots.shards.MANY_KEYS", 3)
    if is_interrupted:
        with monkeypatch.context() as cut:
            cut.setattr(snapshot_services, "global_compile", lambda **_: None)
            organization_compile(tenant.organization.id, force=True)
        assert len(pod.follow(all_are_served)) == 16
        everything_compile()
        assert pod.follow(all_are_served) == [GLOBAL]
    else:
        organization_compile(tenant.organization.id, force=True)
        assert len(pod.follow(all_are_served)) == 17
    sealed = sealed_shard(GLOBAL)
    assert sealed is not None
    assert pod.keeper.missing == frozenset()
    assert snapshot_pb2.SealHeader.FromString(sealed.message.header).version == 2
    change = Change.objects.get(action="snapshots.keys_spread")
    assert (change.before, change.after) == ({"key_shards": 1}, {"key_shards": 16})
    everything_compile()
    assert pod.follow(all_are_served) == []
