"""The worker's sign of life, for the supervisor and `switchyard doctor`.

`switchyard:worker:heartbeat` in the broker's store, written at start and every ten seconds, gone after thirty.
"""

import os
import threading
import time

import redis
import structlog

log = structlog.get_logger()

KEY = "switchyard:worker:heartbeat"
INTERVAL_S = 10.0
EXPIRY_S = 30


class Heartbeat:
    """A thread that writes the key until it is stopped."""

    def __init__(self, redis_url: str, *, interval_s: float = INTERVAL_S) -> None:
        self._store = redis.Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=2)
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take the key away: whoever waits for a worker must not see one that has gone."""
        self._stopped.set()
        self._thread.join(timeout=5)
        try:
            self._store.delete(KEY)
        except redis.RedisError as failure:
            log.warning("heartbeat not taken away; it expires", why=type(failure).__name__)

    def _run(self) -> None:
        while True:
            try:
                self._store.set(KEY, f"{os.getpid()} {int(time.time())}", ex=EXPIRY_S)
            except redis.RedisError as failure:
                log.warning("heartbeat not written", why=type(failure).__name__)
            if self._stopped.wait(self._interval_s):
                return
