"""A simulated provider on a free port, in a thread of its own, so that the SDKs' blocking clients can call it."""

import asyncio
import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

from deploy.simulated_provider.server import SimulatedProvider, start_server
from tests.fakes.scripted_provider import scripted_provider as scripted_provider

REQUESTS = Path(__file__).parent / "client_requests"


@dataclass(frozen=True, slots=True)
class Running:
    """A provider that serves."""

    url: str

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def send(self, method: str, path: str, value: object = None) -> Any:
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def record(self, marker: str) -> Any:
        """Return the one ended record with that marker; waits for it, since a client sees the end before the books."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            records = self.get(f"/ledger?marker={marker}")["requests"]
            if records and all(record["ended_at_ms"] for record in records):
                assert len(records) == 1
                return records[0]
            time.sleep(0.01)
        raise AssertionError(f"no ended record with marker {marker}")


@pytest.fixture(scope="session")
def provider() -> Iterator[Running]:
    ready, addresses = threading.Event(), list[int]()

    async def serve(stop: asyncio.Event) -> None:
        simulated = SimulatedProvider()
        runner, port = await start_server(simulated, "127.0.0.1", 0)
        addresses.append(port)
        ready.set()
        await stop.wait()
        await runner.cleanup()
        simulated.close()

    loop = uvloop.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stop)), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield Running(f"http://127.0.0.1:{addresses[0]}")
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


_numbers = itertools.count(1)


@pytest.fixture
def marker() -> str:
    """A name that no other test has; also used as a credential, so that prompt caches and scripts are one's own."""
    return f"marker-{next(_numbers):012d}"


@pytest.fixture(scope="session")
def client_request() -> Any:
    """Read the first request of a coding client as it was recorded, with shortened texts."""

    def read(name: str) -> Any:
        return json.loads((REQUESTS / f"{name}.json").read_text())

    return read
