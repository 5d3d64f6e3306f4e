"""How often one caller may change things over the REST API."""

from typing import Any

import structlog
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from control_plane.rest.caller import Caller

log = structlog.get_logger(__name__)


class PostThrottle(SimpleRateThrottle):
    """Counts a caller's POSTs, per token or person; more than `DEFAULT_THROTTLE_RATES["post"]` get a 429.

    A runaway script must not fill the audit and keep the compilers busy for every tenant. Kept in the cache; without
    one nobody is held up.
    """

    scope = "post"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if request.method != "POST" or not isinstance(request.auth, Caller):
            return None
        return f"throttle:post:{request.auth.actor.id}"

    def allow_request(self, request: Request, view: Any) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError:
            log.warning("post throttle unavailable")
            return True
