"""The embedded engines: real servers, quickly there, kept data, nothing left over."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.engines import EngineFailed, Engines
from deploy.local.ports import pick_free_port, pick_free_ports
from deploy.local.postgresql import Postgresql
from deploy.local.program import Program
from deploy.local.valkey import Valkey


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for path in (folder, *folder.parents[:3]):
        path.chmod(path.stat().st_mode | 0o111)
    return folder


def a_postgresql(home: Path, password: str = "secret") -> Postgresql:
    return Postgresql(home, home / "postgresql.log", pick_free_port(), password, durable=False)


def test_postgresql_keeps_its_data_over_a_restart(home: Path) -> None:
    server = a_postgresql(home)
    with Engines([server]), psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    with Engines([server]), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_postgresql_starts_over_the_lock_of_a_server_that_was_killed(home: Path) -> None:
    server = a_postgresql(home)
    with Engines([server]):
        lock = (server.placement.folder / "data" / "postmaster.pid").read_text()
    # A lock whose process id belongs to somebody else by now, as after a restart of a container.
    (server.placement.folder / "data" / "postmaster.pid").write_text(lock.replace(lock.split()[0], str(os.getpid()), 1))
    with Engines([server]), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgresql_speaks_utf8_and_refuses_a_wrong_password(home: Path) -> None:
    server = a_postgresql(home)
    with Engines([server]):
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url.replace("secret", "guess"))


def test_the_counters_survive_a_kill_and_are_never_evicted(home: Path) -> None:
    server = Valkey("counters", home, home / "counters.log", pick_free_port(), "secret")
    with Engines([server]) as engines:
        client = redis.Redis.from_url(server.url)
        client.set("spent", 41)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        # The file is synchronised each second; a killed process leaves its written bytes to the operating system.
        os.kill(engines.process_ids()["counters"], signal.SIGKILL)
        engines.stop()
        engines.start()
        assert client.get("spent") == b"41"


def test_valkey_answers_only_with_its_password(home: Path) -> None:
    server = Valkey("broker", home, home / "broker.log", pick_free_port(), "secret")
    with Engines([server]), pytest.raises(redis.AuthenticationError):
        redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)).ping()


def test_an_engine_that_ends_at_once_is_reported_with_its_last_words(home: Path) -> None:
    class Broken:
        url = ""

        def prepare(self) -> None:
            return None

        def program(self) -> Program:
            return Program("broken", ("/bin/sh", "-c", "echo the disk is on fire; exit 3"), home / "broken.log")

        def is_ready(self) -> bool:
            return False

    with pytest.raises(EngineFailed, match=r"broken ended with 3:\nthe disk is on fire"), Engines([Broken()]):
        raise AssertionError("never entered")


def test_nothing_is_left_running(home: Path) -> None:
    first, second = pick_free_ports(2)
    servers = [Valkey(name, home, home / "log", port, "x") for name, port in (("one", first), ("two", second))]
    with Engines(servers) as engines:
        process_ids = engines.process_ids()
    assert set(process_ids) == {"one", "two"}
    for process_id in process_ids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)
