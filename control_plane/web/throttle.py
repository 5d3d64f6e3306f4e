"""Slows down guessing of passwords, per account and address. Kept in the cache: a lost cache locks nobody out."""

import hashlib
import logging

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

MOST_TRIES = 10
WINDOW_S = 15 * 60


class SignInThrottle:
    """Counts failed tries of one account from one address."""

    def __init__(self, email: str, address: str) -> None:
        # A digest: the cache should not hold a list of who tried to sign in.
        digest = hashlib.sha256(f"{email.strip().lower()}\x00{address}".encode()).hexdigest()
        self._key = f"sign-in:{digest}"

    def is_exhausted(self) -> bool:
        try:
            return int(cache.get(self._key, 0)) >= MOST_TRIES
        except RedisError:
            log.warning("sign-in throttle unavailable")
            return False

    def count(self) -> None:
        try:
            cache.add(self._key, 0, WINDOW_S)
            cache.incr(self._key)
        except (RedisError, ValueError):
            # ValueError: the count ran out between the two calls; the next try starts a new one.
            log.warning("sign-in throttle unavailable")

    def forget(self) -> None:
        try:
            cache.delete(self._key)
        except RedisError:
            log.warning("sign-in throttle unavailable")
