"""The control plane's client of the counter store, for each form of COUNTERS_URL."""

import pytest
from redis.sentinel import SentinelConnectionPool

from control_plane.keys.counter_store import open_counter_store


def test_a_server_is_asked_directly(counters_url: str) -> None:
    assert open_counter_store(2, counters_url).ping()


def test_sentinels_are_asked_for_the_master() -> None:
    client = open_counter_store(2, "redis+sentinel://:pw@one:1,two:2/money/3")
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert (pool.service_name, pool.connection_kwargs["db"]) == ("money", 3)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        open_counter_store(2, "http://one")
