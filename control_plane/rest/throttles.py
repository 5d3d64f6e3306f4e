"""How often one person may ask and change things over the REST API."""

import time
from typing import Any

import structlog
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from control_plane.rest.caller import Caller

log = structlog.get_logger(__name__)

WINDOW_S = 60
_now_s = time.time


class CallerThrottle(BaseThrottle):
    """Counts a person's requests in each minute, whichever tokens carry them; more than `RATES` allow get a 429.

    A runaway script must not fill the audit and keep the compilers busy for every tenant. Kept in the cache; without
    one nobody is held up.
    """

    scope = ""
    methods: frozenset[str] = frozenset()
    rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES
    """Requests a minute, by scope."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.method not in self.methods or not isinstance(request.auth, Caller):
            return True
        window = int(_now_s() // WINDOW_S)
        key = f"throttle:{self.scope}:{request.auth.user.id.hex}:{window}"
        try:
            cache.add(key, 0, timeout=2 * WINDOW_S)
            return int(cache.incr(key)) <= int(self.rates[self.scope])
        except (RedisError, ValueError):
            # ValueError: the counter went between the two. One request more is no harm.
            log.warning("throttle unavailable", scope=self.scope)
            return True

    def wait(self) -> float:
        """Seconds until the next minute begins."""
        return WINDOW_S - _now_s() % WINDOW_S


class PostThrottle(CallerThrottle):
    """What makes things: keys, people, rules."""

    scope = "post"
    methods = frozenset({"POST"})


class ChangeThrottle(CallerThrottle):
    """What changes and removes things."""

    scope = "change"
    methods = frozenset({"PATCH", "PUT", "DELETE"})


class ReadThrottle(CallerThrottle):
    """Everything else."""

    scope = "read"
    methods = frozenset({"GET", "HEAD", "OPTIONS"})
