"""A counter store of its own for these tests, because they kill it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.engines import Engines
from deploy.local.ports import pick_free_ports
from deploy.local.valkey import Valkey
from tests.data_plane.counters.builders import RawStore


class Store:
    """A real Valkey that may be stopped and started again on the same port."""

    def __init__(self, home: Path) -> None:
        (self._port,) = pick_free_ports(1)
        self._home = home
        self._engines: Engines | None = None
        self.url = ""

    def start(self) -> None:
        engine = Valkey("counters", self._home, self._home / "valkey.log", self._port, "secret")
        self._engines = Engines([engine])
        self._engines.__enter__()
        self.url = engine.url

    def send(self, number: signal.Signals) -> None:
        assert self._engines is not None
        os.kill(self._engines.process_ids()["counters"], number)

    def stop(self) -> None:
        if self._engines is not None:
            self._engines.__exit__(None, None, None)
            self._engines = None


@pytest.fixture(scope="module")
def raw(counters_url: str) -> Iterator[RawStore]:
    store = RawStore(counters_url)
    yield store
    store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.start()
    yield store
    store.stop()
