"""The embedded Valkey servers: one for broker and cache, one for the counters.

Both keep an append-only file and never evict: a lost counter would let money be spent twice, a lost queue entry would
only be found later by a sweep.
"""

import os
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.binaries import find_valkey
from deploy.local.program import Program

QUIET_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C"}


class Valkey:
    """One embedded server. Its password is in a file that only the owner reads, never on the command line."""

    def __init__(self, name: str, home: Path, log_path: Path, port: int, password: str) -> None:
        self.name = name
        self.port = port
        self._folder = home.resolve() / name
        self._log_path = log_path
        self._password = password

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration. Raises EngineMissing when there is no program to run."""
        find_valkey()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password}",
            f'dir "{self._folder}"',
            "daemonize no",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            "maxmemory-policy noeviction",
        )
        descriptor = os.open(self._configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write("\n".join(lines) + "\n")

    def program(self) -> Program:
        return Program(
            name=self.name,
            arguments=(str(find_valkey()), str(self._configuration)),
            log_path=self._log_path,
            environment=QUIET_ENVIRONMENT,
        )

    def is_ready(self) -> bool:
        """Say whether it answers; while it still reads its file it does not."""
        client = redis.Redis(
            host="127.0.0.1", port=self.port, password=self._password, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()

    @property
    def _configuration(self) -> Path:
        return self._folder / "valkey.conf"
