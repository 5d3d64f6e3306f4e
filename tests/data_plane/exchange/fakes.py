"""A client, a provider and a spool that do as they are told, and the ports that join them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from data_plane.exchange.ports import ClientGone, Headers, Limits, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.regulars import sight_of
from data_plane.exchange.run import run
from data_plane.exchange.running import Running
from data_plane.exchange.session_memory import SessionMemory
from data_plane.exchange.stages import Arrival, Buffer, Packed
from data_plane.policy.claims import FIRST, Amounts, Claims
from data_plane.policy.grant import Ask, Denial, Grant, Refused, Restart, Spent
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import Route
from data_plane.telemetry.metrics import PodMetrics
from data_plane.upstream.connections import UpstreamRequest, UpstreamResponse
from data_plane.upstream.failure import UpstreamError
from data_plane.upstream.framing import Head, RestOfConnectionBody
from data_plane.upstream.request import Origin
from switchyard_contract.counters import (
    HEAD_NUMBERS,
    MICRO,
    BudgetNumbers,
    CountersAnswer,
    RateNumbers,
    Verdict,
    write_answer,
)
from switchyard_contract.routes import OPENAI_CHAT
from switchyard_contract.v1 import usage_pb2
from switchyard_contract.v1.snapshot_pb2 import SealedCredential
from switchyard_contract.virtual_key import KeyToken
from tests.data_plane.policy.builders import NOW_MS, digest_of

ORIGIN = Origin("https", "api.example", 443)
EXCHANGE_ID = "01ARYZ6S410000000000000000"
Step = bytes | Exception | Callable[[], None]


class FakeSecrets:
    """Digests by the builders' pepper; opens what says it can be opened."""

    def __init__(self) -> None:
        self.revision = 1
        self.opened = 0

    def digest_of(self, token: KeyToken, pepper_version: int) -> bytes | None:
        return digest_of(token, pepper_version)

    def open_credential(self, sealed: SealedCredential, organization_id: str, provider_id: str) -> str:
        self.opened += 1
        return sealed.ciphertext.decode()


class FakeUsage:
    """A spool in a list."""

    def __init__(self) -> None:
        self.admissions: list[usage_pb2.UsageEvent] = []
        self.finals: list[usage_pb2.UsageEvent] = []
        self.progressed: list[usage_pb2.UsageEvent] = []
        self.is_full = False

    def can_admit(self) -> bool:
        return not self.is_full

    def admitted(self, event: bytes, exchange_id: str, attempt: int) -> int:
        self.admissions.append(usage_pb2.UsageEvent.FromString(event))
        return len(self.admissions)

    def progress(self, event: bytes, exchange_id: str, attempt: int) -> int:
        self.progressed.append(usage_pb2.UsageEvent.FromString(event))
        return 0

    def final(self, event: bytes, exchange_id: str, attempt: int) -> int:
        self.finals.append(usage_pb2.UsageEvent.FromString(event))
        return len(self.finals)

    async def synced(self, sequence: int) -> None: ...


class FakePacked:
    """Claims as they are."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims


class FakeCounters:
    """Lets everybody in, unless it was told what to say; keeps in mind what it was asked and what was settled."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.asked: list[tuple[Claims, Ask]] = []
        self.answers: list[Callable[[Claims, Ask], Grant | Denial | Restart]] = []
        self.settled: list[tuple[Grant, Spent]] = []
        self.withdrawn = 0
        self.extended: list[Amounts] = []
        self.extends_at_most = 1000

    def pack(self, claims: Claims) -> FakePacked:
        return FakePacked(claims)

    async def reserve(self, packed: Packed, ask: Ask) -> Grant | Denial | Restart:
        self.asked.append((packed.claims, ask))
        await asyncio.sleep(0)
        return self.answers.pop(0)(packed.claims, ask) if self.answers else granted(packed.claims, ask)

    def withdraw(self, answer: Awaitable[Grant | Denial | Restart]) -> None:
        self.withdrawn += 1

    async def extend(self, grant: Grant, amounts: Amounts) -> bool:
        self.extended.append(amounts)
        await asyncio.sleep(0)
        return len(self.extended) <= self.extends_at_most

    def settle(self, grant: Grant, spent: Spent) -> None:
        self.settled.append((grant, spent))


def answer_about(claims: Claims, ask: Ask, **changes: Any) -> CountersAnswer:
    """An answer about these claims, with nothing spent and nothing used."""
    fields: dict[str, Any] = {
        "verdict": Verdict.ADMITTED,
        "candidate": FIRST,
        "index": len(claims.rates) if claims.budgets else -1,
        "retry_after_ms": 0,
        "now_ms": NOW_MS,
        "generation": claims.generation,
        "sequence": 1,
        "expected": ask.first.expected // MICRO,
        "calibrated": ask.first.calibrated // MICRO,
        "worst": ask.first.worst // MICRO,
        "rates": tuple(RateNumbers(True, False, 0, 0) for _ in claims.rates),
        "budgets": tuple(BudgetNumbers(True, False, 0, 0, 0, 0) for _ in claims.budgets),
    }
    return CountersAnswer(**fields | changes)


def granted(claims: Claims, ask: Ask, *, degraded: str = "", **changes: Any) -> Grant:
    answer = answer_about(claims, ask, **changes)
    numbers, place = write_answer(answer), answer.index - len(claims.rates)
    posted = answer.budgets[place].posted if 0 <= place < len(answer.budgets) else 0
    text, counted = msgspec.msgpack.encode(numbers), numbers[HEAD_NUMBERS - 1]
    return Grant(ask, claims, answer.candidate, text, counted, answer.index, posted, degraded)


def denied(claims: Claims, ask: Ask, refused: Refused, index: int, **changes: Any) -> Denial:
    """index: into rates and then budgets."""
    answer = answer_about(claims, ask, verdict=Verdict.DENIED, index=index, **changes)
    claim = (*claims.rates, *claims.budgets)[index]
    return Denial(refused, claim, answer.retry_after_ms or None, msgspec.msgpack.encode(write_answer(answer)), answer)


class _Source:
    """A connection that a response thinks it arrives on."""

    def __init__(self) -> None:
        self.pauses = self.resumes = self.aborts = 0

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.resumes += 1

    def answer_ended(self, is_reusable: bool) -> None: ...

    def abort(self) -> None:
        self.aborts += 1


class FakeProvider:
    """Answers with steps, one per turn of the loop: bytes, a failure, or something to do. Then it closes."""

    def __init__(self, *steps: Step, status: int = 200, streams: bool = False, refuses: UpstreamError | None = None):
        self._steps, self._status, self._streams, self._refuses = steps, status, streams, refuses
        self.asked: list[UpstreamRequest] = []
        self.source = _Source()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self._refuses is not None:
            raise self._refuses
        kind = b"text/event-stream" if self._streams else b"application/json"
        head = Head(self._status, ((b"Content-Type", kind), (b"x-request-id", b"req_1")), False, RestOfConnectionBody())
        response = UpstreamResponse(
            source=self.source,
            head=head,
            origin=ORIGIN,
            host_address="192.0.2.1",
            connect_us=0,
            first_byte_us=1,
            is_reused=False,
            clock=asyncio.get_running_loop().time,
        )
        asyncio.get_running_loop().call_soon(self._go_on, response, list(self._steps))
        return response

    def _go_on(self, response: UpstreamResponse, steps: list[Step]) -> None:
        if not steps:
            response.end_of_connection()
            return
        step = steps.pop(0)
        if isinstance(step, bytes):
            response.take(step)
        elif isinstance(step, UpstreamError):
            response.fail(step)
            return
        elif callable(step):
            step()
        asyncio.get_running_loop().call_soon(self._go_on, response, steps)


class FakeClient:
    """A caller who takes everything, until it is told to be gone or slow."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.received = b""
        self.has_clean_end = self.was_aborted = self.is_gone = self.is_slow = False
        self.drains = 0
        self._when_gone: Callable[[], None] | None = None

    def leave(self) -> None:
        self.is_gone = True
        if self._when_gone is not None:
            self._when_gone()

    async def read_body(self) -> Buffer:
        if self.is_gone:
            raise ClientGone
        return self._body

    async def whole(self, status: int, headers: Headers, body: bytes, lines: bytes = b"") -> None:
        await self.start(status, headers, len(body), lines)
        self.push(body)
        await self.end()

    async def start(self, status: int, headers: Headers, length: int | None, lines: bytes = b"") -> None:
        if self.is_gone:
            raise ClientGone
        self.status, self.headers = status, dict(headers)
        for line in lines.splitlines():
            name, _, value = line.partition(b": ")
            self.headers[name] = value

    async def write(self, data: Buffer) -> None:
        self.push(data)

    def push(self, data: Buffer) -> bool:
        if self.is_gone:
            raise ClientGone
        self.received += bytes(data)
        return not self.is_slow

    async def drained(self) -> None:
        self.drains += 1
        self.is_slow = False

    async def end(self) -> None:
        if self.is_gone:
            raise ClientGone
        self.has_clean_end = True

    def when_gone(self, call: Callable[[], None] | None) -> None:
        self._when_gone = call

    async def abort(self) -> None:
        self.was_aborted = True


class World:
    """One pod around one exchange."""

    def __init__(self, policy: PolicySnapshot, provider: FakeProvider) -> None:
        self.usage, self.secrets, self.running, self.provider = FakeUsage(), FakeSecrets(), Running(), provider
        self.counters, self.sessions = FakeCounters(), SessionMemory()
        self.policy = policy
        self.revoked: set[str] = set()
        self.metrics = PodMetrics(lambda _reason, _source: None)
        self.now_ms = NOW_MS
        self.clock_s = 0.0
        self.ports = Ports(
            policy=lambda: self.policy,
            secrets=self.secrets,
            is_revoked=lambda key_id: key_id in self.revoked,
            beacon_age_ms=lambda: 0,
            usage=self.usage,
            counters=self.counters,
            sessions=self.sessions,
            upstream=provider,
            meters=self.metrics,
            limits=Limits(client_gone_s=1.0, keep_alive_s=15.0, strict_spool=False),
            now_ms=lambda: self.now_ms,
            clock_s=lambda: self.clock_s,
            pod_id="pod-1",
            version="0.1",
        )

    async def serve(self, client: FakeClient, key: str, *headers: tuple[bytes, bytes], **changes: Any) -> None:
        """Run one chat request of this client."""
        sent: Sequence[tuple[bytes, bytes]] = ((b"authorization", b"Bearer " + key.encode()), *headers)
        head = RequestHead("POST", "/v1/chat/completions", "", tuple(sent))
        arrival = Arrival(
            exchange_id=EXCHANGE_ID,
            route=Route(OPENAI_CHAT, "generate", None, "/v1/chat/completions"),
            head=head,
            source="198.51.100.1",
            started_at_ms=self.now_ms,
            started_s=0.0,
            traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
            sight=sight_of(head),
            **changes,
        )
        pulses = Pulses(15.0, self.ports.clock_s)
        async with asyncio.timeout(10):
            await run(arrival, client, self.ports, self.running, pulses)
