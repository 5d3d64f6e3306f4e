"""What our own code costs per exchange, without sockets: real policy, codecs and ledger, a fake provider and client.

Usage: python -m tests.load.exchange_cost [--profile] [--body BYTES] [--rules] [--at-once COUNT]

--rules: there is a second key, on which six budgets and three rates match, and a real counter store is asked; its CPU
is not counted, being another process. Both keys are asked in turns, and what rules cost is the difference.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import secrets
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import uvloop

from data_plane.counters.connection import Patience
from data_plane.counters.shared import SharedCounters
from data_plane.exchange.identity import make_exchange_id
from data_plane.exchange.ports import Counters, Headers, Limits, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.regulars import sight_of
from data_plane.exchange.run import run
from data_plane.exchange.running import Running
from data_plane.exchange.session_memory import SessionMemory
from data_plane.exchange.stages import Arrival, Buffer, Packed
from data_plane.policy.from_proto import parse_payload, read_policy
from data_plane.policy.grant import Ask, Grant, Spent
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import Route, route
from data_plane.providers.catalog import VENDOR_PROTOCOLS
from data_plane.secrets import HeldSecrets
from data_plane.telemetry.metrics import PodMetrics
from data_plane.upstream.connections import UpstreamRequest
from data_plane.upstream.request import Origin
from deploy.local.engines import Engines
from deploy.local.ports import pick_free_port
from deploy.local.valkey import Valkey
from switchyard_contract.seal import ShardVersion, VerifyKeys, open_sealed
from switchyard_contract.v1 import snapshot_pb2
from switchyard_contract.virtual_key import KeyToken
from tests.builders.rules import ALLOW, a_daily_budget, a_pace, when
from tests.data_plane.exchange.fakes import FakeCounters, granted
from tests.fakes.control_plane import PARTS
from tests.fakes.installation import DEPLOYMENT, Books, Installation, Supplier
from tests.load.referee.bench import make_body

ANSWER = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"bench-model","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"' + b"word " * 180 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":480,"completion_tokens":200,"total_tokens":680}}'
)
HEADERS = (
    (b"content-type", b"application/json"),
    (b"x-request-id", b"req_1"),
    (b"openai-processing-ms", b"12"),
    (b"date", b"Sat, 21 Nov 2026 10:00:00 GMT"),
)


_BATCH = 320
_PATIENT = Patience(answer_s=5.0, stuck_s=10.0)
"""What is measured is not how the store fares on a machine that others use."""


class _Answer:
    status, headers, bytes_expected, origin = 200, HEADERS, len(ANSWER), Origin("http", "127.0.0.1", 1)

    def __init__(self) -> None:
        self._chunks = [ANSWER]

    def header(self, name: bytes) -> bytes | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None

    is_ended, received_bytes = True, len(ANSWER)

    def chunk_nowait(self) -> bytes | None:
        return self._chunks.pop() if self._chunks else None

    def abort(self) -> None: ...


class _Upstream:
    async def send(self, _request: UpstreamRequest) -> _Answer:
        return _Answer()


class _Usage:
    def can_admit(self) -> bool:
        return True

    def admitted(self, _event: bytes, _exchange_id: str, _attempt: int) -> int:
        return 1

    progress = final = admitted

    async def synced(self, _sequence: int) -> None: ...


class _Instant(FakeCounters):
    """Lets everybody in, with an answer that was made before."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, Grant] = {}

    async def reserve(self, packed: Packed, ask: Ask) -> Grant:
        made = self._made.get(id(packed))
        if made is None:
            made = self._made[id(packed)] = granted(packed.claims, ask)
        return Grant(ask, made.claims, made.candidate, made.answer, made.counted, made.fullest, made.posted, "")

    def settle(self, grant: Grant, spent: Spent) -> None: ...


class _Out:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status = 0

    async def read_body(self) -> Buffer:
        return self._body

    is_gone = False

    def when_gone(self, _call: object) -> None: ...

    async def whole(self, status: int, _headers: Headers, _body: bytes, _lines: bytes = b"") -> None:
        self.status = status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--body", type=int, default=2048)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--without-store", action="store_true", help="the rules' own part: answers at once")
    parser.add_argument("--at-once", type=int, default=1)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if not chosen.rules or chosen.without_store:
            runner.run(_measure(chosen, _Instant()))
            return
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o711)
            store = Valkey("counters", Path(folder), Path(folder) / "log", pick_free_port(), secrets.token_hex(8))
            with Engines([store]):
                runner.run(_measure_counting(chosen, store.url))


async def _measure_counting(chosen: argparse.Namespace, url: str) -> None:
    counters = SharedCounters(
        url,
        pod_id="bench",
        live_pods=lambda: 1,
        meters=PodMetrics(lambda _reason, _source: None),
        patience=_PATIENT,
    )
    running = asyncio.create_task(counters.run())
    while not counters.is_up:
        await asyncio.sleep(0.01)
    await _measure(chosen, counters)
    await counters.settled()
    running.cancel()
    await asyncio.wait([running])


def _rules(key_id: str) -> snapshot_pb2.PolicyShard:
    """Six budgets and three rates that match one key's requests, as an organization might have them."""
    about = when(f"key:{key_id}")
    per: tuple[tuple[str, ...], ...] = ((), ("team",), ("principal",), ("key",), ("model",), ("principal", "model"))
    return snapshot_pb2.PolicyShard(
        budgets=[
            a_daily_budget(f"b{number}", 10_000_000, per=each, on_counter_outage=ALLOW, when=about)
            for number, each in enumerate(per)
        ],
        rate_limits=[
            a_pace("requests", 10_000_000, per=("key",), when=about),
            a_pace("tokens", 10**10, unit=snapshot_pb2.RATE_UNIT_TOKENS, per=("team",), when=about),
            a_pace("at once", 10_000, unit=snapshot_pb2.RATE_UNIT_CONCURRENT_REQUESTS, when=about),
        ],
    )


async def _measure(chosen: argparse.Namespace, counters: Counters) -> None:
    rates = snapshot_pb2.Rates(input=3 * 10**9, output=10**10)
    installation = Installation(
        Books(
            suppliers=(Supplier("bench", "openai_compatible", "http://127.0.0.1:1/v1", ("bench-model",)),),
            prices=(snapshot_pb2.PriceRow(id="bench", model="bench-model", rates=rates),),
        )
    )
    key, governed, *_others = [installation.mint() for _ in range(1001)]
    if chosen.rules:
        installation.change(rules=_rules(governed.id))
    keys = VerifyKeys({installation.signing_key.key_id: installation.signing_key.public_bytes})
    sealed = [
        installation.seal(installation.shard(part), installation.payload(part), ShardVersion(1, 1)) for part in PARTS
    ]
    opened = [open_sealed(each, deployment=DEPLOYMENT, keys=keys) for each in sealed]
    policy = read_policy(
        {each.shard: (each.at, parse_payload(each.shard, each.payload)) for each in opened},
        vendor_protocols=VENDOR_PROTOCOLS,
    )
    secrets = HeldSecrets()
    secrets.replace(installation.key_material())
    ports = Ports(
        policy=lambda: policy,
        secrets=secrets,
        is_revoked=lambda _key_id: False,
        beacon_age_ms=lambda: 1000,
        usage=_Usage(),
        counters=counters,
        sessions=SessionMemory(),
        upstream=_Upstream(),  # type: ignore[arg-type]  # only what relay uses
        meters=PodMetrics(lambda _reason, _source: None),
        limits=Limits(client_gone_s=1, keep_alive_s=15, strict_spool=False),
        now_ms=lambda: time.time_ns() // 1_000_000,
        clock_s=time.perf_counter,
        pod_id="bench",
        version="0",
    )
    running, pulses = Running(), Pulses(15, time.perf_counter)
    body = make_body("openai", "bench-model", chosen.body, False)
    lasting = (
        (b"host", b"127.0.0.1:8080"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"user-agent", b"OpenAI/Python 3.52.0"),
        (b"x-stainless-lang", b"python"),
        (b"x-stainless-package-version", b"3.52.0"),
        (b"x-stainless-os", b"Linux"),
        (b"x-stainless-arch", b"x64"),
        (b"x-stainless-runtime", b"CPython"),
        (b"x-stainless-retry-count", b"0"),
        (b"content-length", b"%d" % len(body)),
    )

    def head_of(token: KeyToken) -> tuple[RequestHead, bytes | None]:
        headers = (*lasting, (b"authorization", b"Bearer " + token.text.encode()))
        head = RequestHead("POST", "/v1/chat/completions", "", headers)
        return head, sight_of(head)

    async def once(head: RequestHead, sight: bytes | None) -> None:
        routed = route(head.method, head.path, head.headers, head.query)
        assert isinstance(routed, Route)
        now_ms = time.time_ns() // 1_000_000
        arrival = Arrival(
            make_exchange_id(now_ms, os.urandom(16)),
            routed,
            head,
            "127.0.0.1",
            now_ms,
            time.perf_counter(),
            "00-0-0-01",
            sight,
        )
        out = _Out(body)
        await run(arrival, out, ports, running, pulses)  # type: ignore[arg-type]  # only what relay uses
        assert out.status == 200

    async def some(head: RequestHead, sight: bytes | None) -> float:
        """Give CPU microseconds per exchange of one batch."""
        begun_s = time.process_time()
        for _ in range(_BATCH // chosen.at_once):
            if chosen.at_once == 1:
                await once(head, sight)
            else:
                await asyncio.gather(*[once(head, sight) for _ in range(chosen.at_once)])
        return (time.process_time() - begun_s) / (_BATCH // chosen.at_once * chosen.at_once) * 1e6

    asked = [head_of(key), head_of(governed)] if chosen.rules else [head_of(key)]
    for each in asked:
        await some(*each)
    # As a pod does (application.py).
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    profile = cProfile.Profile()
    spent_us: list[list[float]] = [[] for _ in asked]
    for _ in range(max(2, chosen.count // _BATCH)):
        for place, each in enumerate(asked):
            is_looked_at = chosen.profile and place == len(asked) - 1
            if is_looked_at:
                profile.enable()
            spent_us[place].append(await some(*each))
            profile.disable()
    if chosen.profile:
        pstats.Stats(profile).sort_stats("cumtime").print_stats(60)
    for name, spent in zip(("a request", "with rules"), spent_us, strict=False):
        print(f"{name:10s} {median(spent):6.1f} µs per exchange (median), {quantiles(spent, n=4)[0]:6.1f} (quarter)")
    if chosen.rules:
        plain, ruled = spent_us
        more = [with_rules - without for without, with_rules in zip(plain, ruled, strict=True)]
        print(
            f"{'rules add':10s} {median(more):6.1f} µs per exchange (median), {quantiles(more, n=4)[0]:6.1f} (quarter)"
        )


if __name__ == "__main__":
    main()
