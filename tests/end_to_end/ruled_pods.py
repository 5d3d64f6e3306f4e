"""Pods under rules that a test seals itself: counter store, provider and pods are real processes, as in production.

The counter store may be frozen, killed and flushed; calls go to all pods in turn.
"""

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import redis

from deploy.local.engines import Engines
from deploy.local.ports import pick_free_port
from deploy.local.valkey import Valkey
from switchyard_contract.counters import EXPECTED, POSTED, WORST
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import STRICT, a_daily_budget, a_price
from tests.fakes.control_plane import ControlPlane
from tests.fakes.installation import Books, Installation, Supplier
from tests.gateway.prices import DOLLAR
from tests.gateway.processes import Pod, Provider

MODEL, SMALL = "penny-large", "penny-small"
PRICES = (
    snapshot_pb2.PriceRow(id="large", model=MODEL, rates=snapshot_pb2.Rates(input=10 * DOLLAR, output=100 * DOLLAR)),
    snapshot_pb2.PriceRow(id="small", model=SMALL, rates=snapshot_pb2.Rates(input=DOLLAR, output=10 * DOLLAR)),
    # With caches, as dear as Opus and Haiku, and as two sizes of GPT.
    a_price("penny-opus", 5, 25),
    a_price("penny-haiku", 1, 5),
    a_price("penny-gpt", 1.25, 10),
    a_price("penny-mini", 0.25, 2),
    a_price("penny-near", 1.2, 9.6),
)
DIME = "sim-usage-in1000-out900"
"""1,000 x $10/M + 900 x $100/M: ten cents."""
DIME_TOKENS = 900


class Store:
    """A counter store of the test's own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        self._home = home
        self._valkey = Valkey("counters", home, home / "counters.log", pick_free_port(), secrets.token_hex(16))
        self._engines = Engines([self._valkey])

    @property
    def url(self) -> str:
        return self._valkey.url

    @property
    def folder(self) -> Path:
        """Where it keeps its data."""
        return self._home / "counters"

    def start(self) -> None:
        self._engines.start()

    def stop(self) -> None:
        self._engines.stop()

    @property
    def client(self) -> "redis.Redis[bytes]":
        return redis.Redis.from_url(self.url)

    @property
    def pid(self) -> int:
        return int(self.client.info("server")["process_id"])

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def budget(self, organization_id: str, budget_id: str) -> dict[str, dict[str, int]]:
        """Every counter of a budget: what is posted, expected and reserved, in micro-USD, by its key."""
        client = self.client
        found: dict[str, dict[str, int]] = {}
        for key in client.scan_iter(f"b:{{{organization_id}}}:{budget_id}:*"):
            fields = {name.decode(): int(value) for name, value in client.hgetall(key).items() if value.isdigit()}
            found[key.decode()] = {name: fields.get(name, 0) for name in (POSTED, EXPECTED, WORST)}
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as its caller saw it."""

    pod: int
    status: int
    """0: the connection broke."""
    began_s: float
    took_s: float
    body: bytes
    headers: dict[str, str]


@dataclass
class RuledPods:
    """Several pods under one policy."""

    control: ControlPlane
    provider: Provider
    store: Store
    pods: list[Pod]
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def organization_id(self) -> str:
        return self.control.installation.organization_id

    def obey(self, rules: snapshot_pb2.PolicyShard) -> None:
        """Publish rules; returns when all pods hold them."""
        self.control.installation.change(rules=rules)
        self.control.publish("policy")

    def mint(self) -> KeyToken:
        return self.control.mint()

    def warm_up(self) -> None:
        """Have each pod ask the counters until they answer in time: what is new is slow on a busy machine."""
        budget = a_daily_budget(f"warm-{time.monotonic_ns()}", 1_000.0, bound=STRICT)
        self.obey(snapshot_pb2.PolicyShard(budgets=[budget]))
        key, served = self.mint(), Counter[int]()
        ends_s = time.monotonic() + 60
        while min(served[number] for number in range(len(self.pods))) < 3:
            assert time.monotonic() < ends_s, f"the counters do not answer in time: {served}"
            seen = asyncio.run(self.burst(8 * len(self.pods), key))
            served.update(one.pod for one in seen if one.status == 200)

    async def call(
        self,
        session: aiohttp.ClientSession,
        key: KeyToken,
        *,
        behaviour: str = DIME,
        model: str = MODEL,
        pod: int | None = None,
        max_tokens: int = DIME_TOKENS,
        streams: bool = False,
        headers: dict[str, str] | None = None,
        prompt: str = "hi",
    ) -> Seen:
        chosen = next(self._turn) % len(self.pods) if pod is None else pod
        body = {
            "model": model,
            "max_tokens": max_tokens,
            "stream": streams,
            "messages": [{"role": "user", "content": prompt}],
        }
        sent = {
            "x-api-key": key.text,
            "content-type": "application/json",
            "anthropic-version": "2023-06-01",
            "x-sim-behaviour": behaviour,
            **(headers or {}),
        }
        began_s = time.monotonic()
        try:
            url = f"{self.pods[chosen].url}/v1/messages"
            async with session.post(url, data=json.dumps(body), headers=sent) as answer:
                text = await answer.read()
                told = {name.lower(): value for name, value in answer.headers.items()}
                return Seen(chosen, answer.status, began_s, time.monotonic() - began_s, text, told)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Seen(chosen, 0, began_s, time.monotonic() - began_s, b"", {})

    async def burst(self, count: int, key: KeyToken, **wishes: Any) -> list[Seen]:
        """So many calls at once, shared out over the pods."""
        async with client_session() as session:
            return list(await asyncio.gather(*(self.call(session, key, **wishes) for _ in range(count))))

    def spent(self, key: KeyToken, count: int) -> int:
        """Nano-USD of a key's events, once so many have come."""
        return sum(row.cost_nano_usd for row in self.control.rows_of(key, count, 30.0))


def client_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60, connect=20)
    )


def was_disturbed(seen: Sequence[Seen]) -> bool:
    """Whether a pod decided alone meanwhile: on a busy machine the store misses its 50 ms; other rules hold then."""
    return any("x-switchyard-degraded" in one.headers for one in seen)


def _prefer(pid: int, niceness: int) -> None:
    """Pods and store have machines of their own elsewhere; here other work is to wait for them, if it may be told."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)


def statuses(seen: Sequence[Seen]) -> Counter[int]:
    return Counter(one.status for one in seen)


@contextlib.contextmanager
def ruled_pods(home: Path, *, count: int = 4, **settings: str) -> Iterator[RuledPods]:
    """Everything up when the block begins, and gone when it ends."""
    provider = Provider(home)
    store = Store(home / "store")
    pods: list[Pod] = []
    try:
        store.start()
        books = Books(
            suppliers=(Supplier("bank", "anthropic", provider.url, ("penny-*",)),),
            catalogue=tuple(("bank", price.model) for price in PRICES),
            prices=PRICES,
            contact="finance@example.com",
        )
        with ControlPlane(Installation(books)) as control:
            pods += [Pod(control, store.url, home / f"pod-{number}", **settings) for number in range(count)]
            for pod in pods:
                pod.launch()
            for pod in pods:
                pod.wait_until_complete()
                _prefer(pod.pid, -5)
            _prefer(store.pid, -10)
            running = RuledPods(control, provider, store, pods)
            running.warm_up()
            yield running
    finally:
        for pod in pods:
            pod.end()
        store.stop()
        provider.stop()
