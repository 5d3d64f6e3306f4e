"""Slows down guessing, per account and per source. Kept in the cache: a lost cache locks nobody out.

Three counters look at a password: one account from one source, which is somebody who forgot or guesses; one source,
which is somebody who tries a password on many accounts; and one account, which is many sources that try one person.
The last is the widest, since it also holds up the person it protects.
"""

import hashlib
import logging
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

QUARTER_S = 15 * 60
HOUR_S = 3600
MOST_TRIES = 10
MOST_TRIES_OF_A_SOURCE = 60
MOST_TRIES_OF_AN_ACCOUNT = 100
MOST_CODES = 10
MOST_BEGINNINGS = 60


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts one thing within a window."""

    key: str
    most: int
    window_s: int

    @classmethod
    def of(cls, kind: str, *what: str, most: int, window_s: int = QUARTER_S) -> "Counter":
        # A digest: the cache should not hold a list of who tried to sign in.
        digest = hashlib.sha256("\x00".join(what).encode()).hexdigest()
        return cls(f"sign-in:{kind}:{digest}", most, window_s)


class Throttle:
    """Several counters; one that is full is enough."""

    def __init__(self, *counters: Counter, forgets: int = 0) -> None:
        """forgets: how many of the counters, from the first on, a success empties."""
        self._counters = counters
        self._forgotten = counters[:forgets]

    def is_exhausted(self) -> bool:
        try:
            counts = cache.get_many([counter.key for counter in self._counters])
        except RedisError:
            log.warning("sign-in throttle unavailable")
            return False
        return any(int(counts.get(counter.key, 0)) >= counter.most for counter in self._counters)

    def count(self) -> None:
        for counter in self._counters:
            try:
                cache.add(counter.key, 0, counter.window_s)
                cache.incr(counter.key)
            except (RedisError, ValueError):
                # ValueError: the count ran out between the two calls; the next try starts a new one.
                log.warning("sign-in throttle unavailable")

    def forget(self) -> None:
        try:
            cache.delete_many([counter.key for counter in self._forgotten])
        except RedisError:
            log.warning("sign-in throttle unavailable")


def password_throttle(email: str, address: str) -> Throttle:
    """For wrong passwords."""
    account = email.strip().lower()
    return Throttle(
        Counter.of("pair", account, address, most=MOST_TRIES),
        Counter.of("source", address, most=MOST_TRIES_OF_A_SOURCE),
        Counter.of("account", account, most=MOST_TRIES_OF_AN_ACCOUNT, window_s=HOUR_S),
        forgets=1,
    )


def code_throttle(user_id: str) -> Throttle:
    """For wrong codes of a second factor: whoever types them knew the password."""
    return Throttle(Counter.of("code", user_id, most=MOST_CODES), forgets=1)


def beginning_throttle(address: str) -> Throttle:
    """For sign-ins begun at an identity provider: each makes the console call out."""
    return Throttle(Counter.of("begin", address, most=MOST_BEGINNINGS))
