"""What the doctor checks on the stores: reachable, of the right version, counters safe, clocks alike."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from deploy.local.findings import Finding, fine, problem, warning
from deploy.local.local_file import NAME as LOCAL_FILE_NAME
from deploy.local.machine_checks import is_up
from deploy.local.surroundings import LocalSettings
from switchyard_contract.store_address import read_store_address

TIMEOUT_S = 3
LEAST_POSTGRESQL = 150000
MOST_CLOCK_DIFFERENCE_S = 2.0


def check_stores(settings: LocalSettings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the stores of the running platform, else those that the environment names. Embedded ones that do not run
    now cannot be asked, and say so."""
    urls = {name: environment.get(name, "") for name in ("DATABASE_URL", "REDIS_URL", "COUNTERS_URL")}
    are_shared = bool(urls["REDIS_URL"]) and urls["COUNTERS_URL"] in ("", urls["REDIS_URL"])
    if is_up(settings):
        running = json.loads((settings.home / LOCAL_FILE_NAME).read_text(encoding="utf-8"))
        urls = {name: str(running[name.lower()]) for name in urls}
    elif are_shared:
        urls["COUNTERS_URL"] = urls["REDIS_URL"]
    if are_shared:
        yield warning(
            "counters",
            "share a server with broker and cache",
            "set COUNTERS_URL to a server of their own: a full queue would stop admission",
        )
    if urls["DATABASE_URL"]:
        yield _database(urls["DATABASE_URL"])
    else:
        yield fine("DATABASE_URL", "embedded; starts with `switchyard up`")
    for name in ("REDIS_URL", "COUNTERS_URL"):
        if urls[name]:
            yield from _redis(name, urls[name])
        else:
            yield fine(name, "embedded; starts with `switchyard up`")


def _database(url: str) -> Finding:
    try:
        with psycopg.connect(url, connect_timeout=TIMEOUT_S) as connection:
            version = connection.info.server_version
            before_s = time.time()
            row = connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    except psycopg.Error as failure:
        return problem("DATABASE_URL", "does not answer", f"check host, user and password ({type(failure).__name__})")
    if version < LEAST_POSTGRESQL:
        return problem("DATABASE_URL", f"PostgreSQL {version // 10000}", "15 or newer is needed")
    assert row is not None
    difference_s = abs(float(row[0]) - before_s)
    if difference_s > MOST_CLOCK_DIFFERENCE_S:
        return problem("clock", f"{difference_s:.1f} s apart from PostgreSQL's", "run a time service on both machines")
    return fine("DATABASE_URL", f"PostgreSQL {version // 10000}, clocks alike")


def _client(url: str) -> redis.Redis:
    """A client for any form that REDIS_URL or COUNTERS_URL may have. Raises ValueError, redis.RedisError."""
    if not url.partition("://")[0].endswith("+sentinel"):
        plain: redis.Redis = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0))
        return plain
    address = read_store_address(url)
    tls: dict[str, Any] = {}
    if address.is_tls:
        checks = "required" if address.checks_certificate else "none"
        tls = {"ssl": True, "ssl_ca_certs": address.ca_file or None, "ssl_cert_reqs": checks}
    sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has not annotated it
        list(address.nodes),
        sentinel_kwargs={"password": address.sentinel_password or None, "socket_timeout": TIMEOUT_S, **tls},
        username=address.username or None,
        password=address.password or None,
        db=address.database,
        socket_timeout=TIMEOUT_S,
        **tls,
    )
    master: redis.Redis = sentinels.master_for(address.service)  # type: ignore[no-untyped-call]  # as above
    return master


def _redis(name: str, url: str) -> Iterator[Finding]:
    try:
        client = _client(url)
        seconds, _ = client.time()
        difference_s = abs(seconds - time.time())
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "unknown")
    except redis.ResponseError:
        # Managed servers often refuse CONFIG.
        yield warning(name, "does not tell its eviction policy", "make sure that maxmemory-policy is noeviction")
        return
    except (redis.RedisError, ValueError) as failure:
        yield problem(name, "does not answer", f"check host and password ({type(failure).__name__})")
        return
    if difference_s > MOST_CLOCK_DIFFERENCE_S:
        yield problem("clock", f"{difference_s:.1f} s apart from {name}'s", "run a time service on both machines")
    if policy != "noeviction":
        what = "counters would be forgotten" if name == "COUNTERS_URL" else "queued work would be forgotten"
        yield problem(name, f"maxmemory-policy is {policy}: {what}", "set it to noeviction")
    else:
        yield fine(name, "answers, noeviction")
