"""A client of the counter store, whichever form COUNTERS_URL has.

This plane writes revocations there, and removes what it has booked of attempts that were lost; nothing else.
"""

import redis
from django.conf import settings
from redis.sentinel import Sentinel

from switchyard_contract.store_address import StoreAddress, read_store_address


def open_counter_store(timeout_s: float, url: str = "") -> redis.Redis:
    """Make a client; it connects when it is used. url: COUNTERS_URL unless given.

    Raises ValueError when the URL is none of a counter store.
    """
    url = url or settings.SWITCHYARD.counters_url
    address = read_store_address(url)
    timeouts = {"socket_connect_timeout": timeout_s, "socket_timeout": timeout_s}
    if not address.service:
        return redis.Redis.from_url(url, **timeouts)
    tls = _tls(address)
    sentinels = Sentinel(
        list(address.nodes),
        sentinel_kwargs={"password": address.sentinel_password or None, **tls, **timeouts},
        username=address.username or None,
        password=address.password or None,
        db=address.database,
        **tls,
        **timeouts,
    )
    client: redis.Redis = sentinels.master_for(address.service)
    return client


def _tls(address: StoreAddress) -> dict[str, object]:
    if not address.is_tls:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": address.ca_file or None,
        "ssl_cert_reqs": "required" if address.checks_certificate else "none",
    }
