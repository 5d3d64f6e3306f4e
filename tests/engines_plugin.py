"""Loaded by pytest before Django: settles where the engines of this process will be, and starts them on demand.

Fixtures, all for the session, one set per xdist worker: `postgresql_url`, `redis_url`, `counters_url`, and `engines`
for all three. A run that names only folders without Django does not load Django at all.
"""

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.engines import Engine, Engines
from tests.environment import TestPlaces, choose_places, install

FOLDERS_WITHOUT_DJANGO = ("architecture", "contract", "data_plane", "fakes", "gateway")
PLACES = choose_places()
install(PLACES)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Before pytest-django looks: an empty name of the settings module tells it to stay out."""
    here = Path(__file__).resolve().parent
    named = [Path(argument.partition("::")[0]).resolve() for argument in args if not argument.startswith("-")]
    named = [path for path in named if path.exists()]
    free = [here / folder for folder in FOLDERS_WITHOUT_DJANGO]
    if named and all(any(path.is_relative_to(folder) for folder in free) for path in named):
        os.environ["DJANGO_SETTINGS_MODULE"] = ""
    return (yield)


@pytest.fixture(scope="session")
def test_places() -> TestPlaces:
    """Where this process's engines are, started or not."""
    return PLACES


@pytest.fixture(scope="session")
def engines_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="switchyard-tests-", ignore_cleanup_errors=True) as folder:
        # The server's unprivileged user id must be able to step through.
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgresql_url(engines_home: Path) -> Iterator[str]:
    from deploy.local.postgresql import Postgresql

    password = PLACES.installation.passwords["postgresql"]
    log = engines_home / "postgresql.log"
    with _running(Postgresql(engines_home, log, PLACES.postgresql_port, password, durable=False)) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(engines_home: Path) -> Iterator[str]:
    """The broker and cache."""
    with _valkey("broker", engines_home, PLACES.broker_port) as url:
        yield url


@pytest.fixture(scope="session")
def counters_url(engines_home: Path) -> Iterator[str]:
    with _valkey("counters", engines_home, PLACES.counters_port) as url:
        yield url


@pytest.fixture(scope="session")
def engines(postgresql_url: str, redis_url: str, counters_url: str) -> TestPlaces:
    """All three run."""
    return PLACES


@contextmanager
def _valkey(name: str, home: Path, port: int) -> Iterator[str]:
    from deploy.local.valkey import Valkey

    password = PLACES.installation.passwords[name]
    with _running(Valkey(name, home, home / f"{name}.log", port, password)) as url:
        yield url


@contextmanager
def _running(engine: Engine) -> Iterator[str]:
    with Engines([engine]):
        yield engine.url
