"""Names of shards, what each carries, and which ones a pod must hold."""

import re
from collections.abc import Mapping

from google.protobuf.message import DecodeError, Message

from switchyard_contract.audit_head import SignedHead
from switchyard_contract.seal import ShardVersion, Unreadable, WrongShard
from switchyard_contract.v1 import snapshot_pb2

GLOBAL = "global"
MAX_KEY_BUCKETS = 4096
_OF_ORGANIZATION = re.compile(r"org/(?P<organization>[0-9a-f]{32})/(?P<part>policy|deny|keys/(0|[1-9][0-9]{0,3}))")

HeldShards = Mapping[str, tuple[ShardVersion, Message]]


def read_header(sealed: snapshot_pb2.SealedShard) -> snapshot_pb2.SealHeader:
    """What a shard says of itself; nothing of it is verified here. Raises Unreadable."""
    header = snapshot_pb2.SealHeader()
    try:
        header.ParseFromString(sealed.header)
    except DecodeError as failure:
        raise Unreadable("the header does not parse") from failure
    return header


def parse_shard(shard: str, payload: bytes) -> Message:
    """The message a verified shard carries. Raises WrongShard for a name we do not know, Unreadable, and WrongShard
    where the content belongs to another organization than the name says."""
    named = _OF_ORGANIZATION.fullmatch(shard)
    message: Message
    if shard == GLOBAL:
        message = snapshot_pb2.GlobalShard()
    elif named is None:
        raise WrongShard(f"{shard[:100]!r} is no shard that pods know")
    elif named["part"] == "policy":
        message = snapshot_pb2.PolicyShard()
    elif named["part"] == "deny":
        message = snapshot_pb2.DenyShard()
    else:
        message = snapshot_pb2.KeyShard()
    try:
        message.ParseFromString(payload)
    except DecodeError as failure:
        raise Unreadable(f"{shard}: the payload does not parse") from failure
    if isinstance(message, snapshot_pb2.PolicyShard) and named and message.organization_id != named["organization"]:
        raise WrongShard(f"{shard}: the policy inside is of organization {message.organization_id[:40]!r}")
    return message


def required_shards(listing: snapshot_pb2.GlobalShard) -> frozenset[str]:
    """Every shard that the signed list promises. A disabled organization needs none: it is refused by name."""
    required = {GLOBAL}
    for organization in listing.organizations:
        if organization.state != snapshot_pb2.ORGANIZATION_STATE_KNOWN:
            continue
        prefix = f"org/{organization.id}"
        buckets = min(max(organization.key_buckets, 1), MAX_KEY_BUCKETS)
        required |= {f"{prefix}/policy", f"{prefix}/deny", *(f"{prefix}/keys/{each}" for each in range(buckets))}
    return frozenset(required)


def organizations_of(listing: snapshot_pb2.GlobalShard) -> tuple[str, ...]:
    return tuple(organization.id for organization in listing.organizations)


def heads_of(listing: snapshot_pb2.GlobalShard, deployment: str) -> tuple[SignedHead, ...]:
    """The signed heads of audit chains that the list carries."""
    return tuple(
        SignedHead(
            deployment, head.organization, head.sequence, head.hash, head.at_ms, head.signing_key_id, head.signature
        )
        for head in listing.audit_heads
    )
