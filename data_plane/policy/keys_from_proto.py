"""From a bucket of keys to key records."""

from collections.abc import Mapping
from ipaddress import ip_network
from types import MappingProxyType

from data_plane.policy.decision import KeyScope
from data_plane.policy.snapshot import InvalidSnapshot, KeyPart, KeyRecord
from switchyard_contract.v1 import snapshot_pb2 as pb

DIGEST_BYTES = 32
_NO_TAGS: Mapping[str, str] = MappingProxyType({})


def read_keys(shard: str, message: pb.KeyShard) -> KeyPart:
    """Read one bucket; raises InvalidSnapshot."""
    _, organization_id, _, bucket = shard.split("/")
    if not bucket.isdecimal():
        raise InvalidSnapshot(shard, "is no shard this pod knows")
    keys: dict[str, KeyRecord] = {}
    newest_pepper = 1
    for key in message.keys:
        key_id = key.id
        if len(key.digest) != DIGEST_BYTES:
            raise InvalidSnapshot(f"{shard}.keys[{key_id}].digest", f"is {len(key.digest)} bytes long")
        tags = key.tags
        keys[key_id] = KeyRecord(
            key_id,
            organization_id,
            key.digest,
            key.pepper_version,
            key.principal_id,
            key.team_id,
            tuple(key.models),
            key.expires_at_ms,
            dict(tags) if tags else _NO_TAGS,
            key.name,
            key.prefix,
            _read_scope(shard, key) if key.routes or key.source_networks else None,
        )
        newest_pepper = max(newest_pepper, key.pepper_version)
    if len(keys) != len(message.keys):
        raise InvalidSnapshot(f"{shard}.keys", "holds a key id twice")
    return KeyPart(organization_id, int(bucket), keys, newest_pepper)


def _read_scope(shard: str, key: pb.VirtualKey) -> KeyScope:
    networks = []
    for text in key.source_networks:
        try:
            networks.append(ip_network(text))
        except ValueError as failure:
            raise InvalidSnapshot(f"{shard}.keys[{key.id}].source_networks", str(failure)) from failure
    return KeyScope(frozenset(key.routes), tuple(networks))
