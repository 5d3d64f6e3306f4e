"""A signer and short constructors for shards, keepers and shelves."""

from pathlib import Path

from data_plane.policy.from_proto import read_policy
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.keeper import Accepted, Keeper, Rejected
from data_plane.snapshots.shards import HeldShards
from data_plane.snapshots.shelf import Shelf
from switchyard_contract.seal import ShardVersion, SigningKey, VerifyKeys, seal
from switchyard_contract.v1 import snapshot_pb2 as pb

DEPLOYMENT = "test-deployment"
SIGNER = SigningKey("k1", bytes(range(32)))
STRANGER = SigningKey("k1", bytes(range(1, 33)))
VERIFY = VerifyKeys({"k1": SIGNER.public_bytes})
ORGANIZATION = "0" * 31 + "1"
OTHER = "0" * 31 + "2"
PREFIX = f"org/{ORGANIZATION}"
SHELF_KEY = bytes(32)
NOW_MS = 1_800_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def listing(*organizations: str, buckets: int = 1, disabled: tuple[str, ...] = ()) -> pb.GlobalShard:
    return pb.GlobalShard(
        organizations=[
            pb.OrganizationEntry(
                id=each,
                name=each[-4:],
                key_buckets=buckets,
                state=pb.ORGANIZATION_STATE_DISABLED if each in disabled else pb.ORGANIZATION_STATE_KNOWN,
            )
            for each in organizations
        ]
    )


def policy_shard(organization: str = ORGANIZATION, name: str = "Acme") -> pb.PolicyShard:
    return pb.PolicyShard(organization_id=organization, name=name)


def key_shard(*ids: str, digest: bytes = bytes(32)) -> pb.KeyShard:
    return pb.KeyShard(keys=[pb.VirtualKey(id=each, digest=digest, pepper_version=1) for each in ids])


def deny_shard(*revoked: tuple[str, bool], principals: tuple[str, ...] = ()) -> pb.DenyShard:
    return pb.DenyShard(
        keys=[pb.Revocation(key_id=key_id, cut_streams=cut) for key_id, cut in revoked], principal_ids=principals
    )


def sealed(
    shard: str,
    message: pb.GlobalShard | pb.PolicyShard | pb.KeyShard | pb.DenyShard | bytes,
    version: int = 1,
    *,
    epoch: int = 1,
    deployment: str = DEPLOYMENT,
    key: SigningKey = SIGNER,
) -> pb.SealedShard:
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    return seal(
        payload, deployment=deployment, shard=shard, at=ShardVersion(epoch, version), issued_at_ms=NOW_MS, key=key
    )


def whole_policy(version: int = 1, *keys: str) -> list[pb.SealedShard]:
    """All shards of a deployment with one organization."""
    return [
        sealed("global", listing(ORGANIZATION), version),
        sealed(f"{PREFIX}/policy", policy_shard(), version),
        sealed(f"{PREFIX}/keys/0", key_shard(*keys), version),
        sealed(f"{PREFIX}/deny", deny_shard(), version),
    ]


def build(shards: HeldShards, previous: PolicySnapshot | None) -> PolicySnapshot:
    """The real builder: what a pod obeys."""
    return read_policy(shards, previous=previous)


def a_keeper(clock: Clock | None = None) -> Keeper[PolicySnapshot]:
    return Keeper(deployment=DEPLOYMENT, keys=VERIFY, build=build, freshness=Freshness(clock or Clock()))


def a_shelf(directory: Path, *, shelf_key: bytes | None = SHELF_KEY) -> Shelf:
    return Shelf(directory, deployment=DEPLOYMENT, keys=VERIFY, shelf_key=shelf_key)


def take(keeper: Keeper[PolicySnapshot], *offers: pb.SealedShard) -> Accepted[PolicySnapshot] | Rejected:
    """Judge and adopt like the subscription does; gives the last verdict."""
    verdict: Accepted[PolicySnapshot] | Rejected | None = None
    for offer in offers:
        verdict = keeper.judge(offer)
        if isinstance(verdict, Accepted):
            keeper.adopt(verdict)
    assert verdict is not None
    return verdict
