"""Which stores are embedded here and which are servers elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.engines import Engine
from deploy.local.installation import Installation
from deploy.local.ports import pick_free_ports
from deploy.local.postgresql import Postgresql
from deploy.local.surroundings import StoreUrls
from deploy.local.valkey import Valkey


@dataclass(frozen=True, slots=True)
class Stores:
    """embedded: the engines to start, in order. are_counters_shared: they live with broker and cache."""

    urls: StoreUrls
    embedded: tuple[Engine, ...]
    are_counters_shared: bool


def choose_stores(
    environment: Mapping[str, str], installation: Installation, home: Path, *, avoid: frozenset[int] = frozenset()
) -> Stores:
    """A URL that is set is used; what is not set is embedded. avoid: ports that others will want.

    With only REDIS_URL set the counters share that server: whoever brings a server of their own decides about its
    neighbours, and `switchyard doctor` warns.
    """
    logs = home / "logs"
    passwords = installation.passwords
    database_port, broker_port, counters_port = pick_free_ports(3, avoid)
    embedded: list[Engine] = []

    database_url = environment.get("DATABASE_URL", "")
    if not database_url:
        database = Postgresql(home, logs / "postgresql.log", database_port, passwords["postgresql"])
        embedded.append(database)
        database_url = database.url

    redis_url = environment.get("REDIS_URL", "")
    counters_url = environment.get("COUNTERS_URL", "")
    are_shared = bool(redis_url) and counters_url in ("", redis_url)
    if not counters_url and redis_url:
        counters_url = redis_url
    if not redis_url:
        broker = Valkey("broker", home, logs / "broker.log", broker_port, passwords["broker"])
        embedded.append(broker)
        redis_url = broker.url
    if not counters_url:
        counters = Valkey("counters", home, logs / "counters.log", counters_port, passwords["counters"])
        embedded.append(counters)
        counters_url = counters.url
    return Stores(StoreUrls(database_url, redis_url, counters_url), tuple(embedded), are_shared)
