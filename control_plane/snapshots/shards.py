"""Names of shards, and the order in which they are delivered. Pure."""

from uuid import UUID

from control_plane.keys.buckets import KEY_BUCKETS

GLOBAL = "global"
MANY_KEYS = 10_000
MANY_BUCKETS = KEY_BUCKETS


def policy_shard(organization_id: UUID) -> str:
    return f"org/{organization_id.hex}/policy"


def key_shard(organization_id: UUID, bucket: int) -> str:
    return f"org/{organization_id.hex}/keys/{bucket}"


def deny_shard(organization_id: UUID) -> str:
    return f"org/{organization_id.hex}/deny"


def buckets_for(keys: int, held: int) -> int:
    """How many key shards an organization gets. Never fewer than it has: keys would move twice for nothing."""
    return max(held, MANY_BUCKETS if keys > MANY_KEYS else 1)


def delivery_order(shard: str) -> tuple[int, int]:
    """Sort key: denials first; what keys refer to before the keys; then what lists the shards; the first one last.

    When keys spread over more shards, a pod has the new ones before `global` counts them, and the first one shrinks
    when it does: at every step each valid key is found, and none is told to wait. A new organization is listed when
    nearly everything of it is there, so it is pending only while its first key shard is on its way.
    """
    match shard.split("/"):
        case ["org", _, "deny"]:
            return (0, 0)
        case ["org", _, "policy"]:
            return (1, 0)
        case ["org", _, "keys", bucket] if bucket != "0":
            return (2, -int(bucket))
        case ["global"]:
            return (3, 0)
        case ["org", _, "keys", _]:
            return (4, 0)
        case _:
            return (5, 0)
