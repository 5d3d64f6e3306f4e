"""Names of shards, and the order in which they are delivered. Pure."""

from uuid import UUID

GLOBAL = "global"
MANY_KEYS = 10_000
MANY_BUCKETS = 16


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
    """Sort key: denials first; what keys refer to before the keys; the first key shard last.

    When keys spread over more shards, a pod learns from `global` that it is incomplete (and answers "pending") before
    the first shard shrinks: no valid key is ever told that it is unknown.
    """
    match shard.split("/"):
        case ["org", _, "deny"]:
            return (0, 0)
        case ["global"]:
            return (1, 0)
        case ["org", _, "policy"]:
            return (2, 0)
        case ["org", _, "keys", bucket]:
            return (3, -int(bucket))
        case _:
            return (4, 0)
