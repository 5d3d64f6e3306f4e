"""Slows down guessing of user codes, per person. Kept in the cache: a lost cache locks nobody out."""

from uuid import UUID

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

MOST_MISSES = 10
WINDOW_S = 15 * 60


class CodeThrottle:
    """Counts the codes a person typed that were none."""

    def __init__(self, user_id: UUID) -> None:
        self._key = f"device-code:{user_id.hex}"

    def is_exhausted(self) -> bool:
        try:
            return int(cache.get(self._key, 0)) >= MOST_MISSES
        except RedisError:
            log.warning("device code throttle unavailable")
            return False

    def count(self) -> None:
        try:
            cache.add(self._key, 0, WINDOW_S)
            cache.incr(self._key)
        except (RedisError, ValueError):
            # ValueError: the count ran out between the two calls; the next miss starts a new one.
            log.warning("device code throttle unavailable")
