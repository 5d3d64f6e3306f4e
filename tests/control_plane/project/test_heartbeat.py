"""The worker's sign of life."""

import time

import redis
from django.conf import settings

from control_plane.project.heartbeat import EXPIRY_S, KEY, Heartbeat
from tests.environment import TestPlaces


def test_a_heartbeat_is_there_while_it_beats_and_gone_after(engines: TestPlaces) -> None:
    store = redis.Redis.from_url(settings.SWITCHYARD.redis_url, decode_responses=True)
    heartbeat = Heartbeat(settings.SWITCHYARD.redis_url, interval_s=0.05)
    heartbeat.start()
    deadline = time.monotonic() + 5
    while store.get(KEY) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert 0 < store.ttl(KEY) <= EXPIRY_S
    store.delete(KEY)
    while store.get(KEY) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heartbeat.stop()
    assert store.get(KEY) is None
