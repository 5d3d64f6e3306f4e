"""Tell the gRPC processes that a shard has a new version. A lost message is found by their poll."""

import functools

import redis
import structlog
from django.conf import settings

log = structlog.get_logger()


CHANNEL = "switchyard:snapshots"


def announce(shard: str, epoch: int, version: int) -> None:
    """Publish "<shard> <epoch> <version>"."""
    try:
        _store().publish(CHANNEL, f"{shard} {epoch} {version}")
    except redis.RedisError as failure:
        log.warning("new snapshot not announced, the poll will find it", shard=shard, why=type(failure).__name__)


@functools.cache
def _store() -> redis.Redis:
    return redis.Redis.from_url(settings.SWITCHYARD.redis_url, socket_connect_timeout=0.5, socket_timeout=0.5)
