"""The reporter: events out of the spool to the control plane, at least once, and receipts back.

A receipt means that the events are durable there; only then may the spool forget them. Whatever a broken stream leaves
without a receipt is sent again, under the same sequences, and the inbox ignores what it has.
Source: docs/decisions/0037-usage-reporting.md
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog

from data_plane.usage.event_bytes import varint
from data_plane.usage.failed_authentications import FailedAuthentications
from data_plane.usage.former_runs import FormerRuns
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024
BATCH_INTERVAL_S = 0.2
BATCHES_IN_FLIGHT = 4
FAILED_AUTHENTICATIONS_PER_BATCH = 1000
RECEIPT_TIMEOUT_S = 30.0
REPORT = "/switchyard_contract.v1.UsageIntake/Report"
_COUNTS_INTERVAL_S = 2.0
_BACK_OFF_S = (0.2, 5.0)


TakeFloors = Callable[[Sequence[usage_pb2.Floor], usage_pb2.FloorBook | None], object]


class Events(Protocol):
    """What the reporter needs of the spool."""

    @property
    def boot_id(self) -> bytes: ...
    @property
    def acked_sequence(self) -> int: ...
    @property
    def former_runs(self) -> FormerRuns | None: ...
    async def unreported(self, after: int, limit: int) -> list[tuple[int, bytes]]: ...
    def stored_through(self, sequence: int) -> None: ...


class LinkLost(Exception):
    """The stream to the control plane ended or fell silent."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch without a receipt. last_sequence 0: it held only counts, and any receipt after it will do."""

    last_sequence: int
    at_s: float
    failed_authentications: tuple[usage_pb2.FailedAuthentications, ...]


class Reporter:
    """dial: opens a channel to the next address of the control plane; the channel is closed here. take_floors: told
    what the books say was spent, as it comes with receipts, and of which page of whole books it is."""

    def __init__(
        self,
        events: Events,
        *,
        pod_id: str,
        token: str,
        dial: Callable[[], grpc.aio.Channel],
        now_ms: Callable[[], int],
        take_floors: TakeFloors = lambda _floors, _book: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.is_connected = False
        self.events_sent = 0
        self._events, self._pod_id, self._dial, self._draw = events, pod_id, dial, draw
        self._take_floors = take_floors
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._failed_authentications = FailedAuthentications(now_ms)
        self._in_flight: deque[_Sent] = deque()
        self._has_room = asyncio.Event()
        self._attempts_in_a_row = 0

    def count_failed_authentication(self, reason: str, source: str) -> None:
        """Note a caller without a valid key; travels with the next batch."""
        self._failed_authentications.count(reason, source)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            try:
                await self._report()
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError, LinkLost) as failures:
                self._note(failures)
            finally:
                self._lose_link()
            await asyncio.sleep(self._back_off_s())

    async def _report(self) -> None:
        """One stream, from dialling to its end."""
        async with self._dial() as channel:
            # The generated stub's method, but for bytes: events are in the books as they go on the wire.
            report: grpc.aio.StreamStreamMultiCallable[bytes, usage_pb2.UsageReceipt] = channel.stream_stream(
                REPORT, response_deserializer=usage_pb2.UsageReceipt.FromString
            )
            call = report(metadata=self._metadata)
            self._has_room.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send(call))
                tasks.create_task(self._receive(call))
                tasks.create_task(self._watch())
                tasks.create_task(self._note_connection(channel))

    async def _send(self, call: Any) -> None:
        after, sent_at_s, has_told_former = self._events.acked_sequence, 0.0, False
        while True:
            await self._has_room.wait()
            events = await self._gather(after, sent_at_s)
            counts = self._failed_authentications.take(FAILED_AUTHENTICATIONS_PER_BATCH)
            former = None if has_told_former else self._events.former_runs
            if not events and not counts and former is None:
                continue
            batch = usage_pb2.UsageBatch(
                pod_id=self._pod_id, boot_id=self._events.boot_id, failed_authentications=counts
            )
            if former is not None:
                # Once on every stream: who listens may have forgotten.
                batch.former_runs.run, batch.former_runs.whole_since = former.run, former.whole_since
                has_told_former = True
            after = events[-1][0] if events else after
            sent_at_s = time.monotonic()
            # Noted before it is written: a receipt may come while `write` still waits.
            self._in_flight.append(_Sent(events[-1][0] if events else 0, sent_at_s, tuple(counts)))
            if len(self._in_flight) >= BATCHES_IN_FLIGHT:
                self._has_room.clear()
            await call.write(batch.SerializeToString() + encode_events(events))
            self.events_sent += len(events)

    async def _gather(self, after: int, sent_at_s: float) -> list[tuple[int, bytes]]:
        """A full batch at once, a smaller one a moment after the last; none when only counts are to be sent."""
        try:
            async with asyncio.timeout(_COUNTS_INTERVAL_S):
                events = await self._events.unreported(after, BATCH_EVENTS)
        except TimeoutError:
            return []
        wait_s = sent_at_s + BATCH_INTERVAL_S - time.monotonic()
        if len(events) < BATCH_EVENTS and wait_s > 0:
            await asyncio.sleep(wait_s)
            events = await self._events.unreported(after, BATCH_EVENTS)
        size_bytes = 0
        for count, (_, event) in enumerate(events):
            size_bytes += len(event)
            if size_bytes > BATCH_BYTES and count:
                return events[:count]
        return events

    async def _receive(self, call: Any) -> None:
        while True:
            receipt = await call.read()
            if receipt is grpc.aio.EOF:
                # A refused stream ends like a finished one; its status says which.
                code = await call.code()
                raise LinkLost(f"the control plane ended the stream: {code.name.lower()}")
            self.is_connected = True
            self._attempts_in_a_row = 0
            if receipt.floors or receipt.HasField("book"):
                # What the books say holds whoever's events it was worked out from.
                self._take_floors(receipt.floors, receipt.book if receipt.HasField("book") else None)
            if receipt.boot_id != self._events.boot_id:
                log.warning("receipt for another spool ignored", stored_through=receipt.stored_through)
                continue
            while self._in_flight and self._in_flight[0].last_sequence <= receipt.stored_through:
                self._in_flight.popleft()
            self._has_room.set()
            self._events.stored_through(receipt.stored_through)

    async def _note_connection(self, channel: grpc.aio.Channel) -> None:
        """A pod without traffic is connected too: the first receipt may be hours away, or wanted at the very end."""
        await channel.channel_ready()
        self.is_connected = True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self._in_flight and time.monotonic() - self._in_flight[0].at_s > RECEIPT_TIMEOUT_S:
                raise LinkLost(f"no receipt within {RECEIPT_TIMEOUT_S:.0f} s")

    def _lose_link(self) -> None:
        self.is_connected = False
        for sent in self._in_flight:
            self._failed_authentications.give_back(sent.failed_authentications)
        self._in_flight.clear()

    def _back_off_s(self) -> float:
        shortest_s, longest_s = _BACK_OFF_S
        delay_s = min(longest_s, shortest_s * 2.0 ** min(self._attempts_in_a_row, 10))
        self._attempts_in_a_row += 1
        return delay_s * (0.5 + self._draw() / 2)

    def _note(self, failures: BaseExceptionGroup[Exception]) -> None:
        # Once per outage: a control plane may be away for a week.
        if self._attempts_in_a_row == 0:
            log.warning("usage reporting interrupted", why=_first_cause(failures))


def encode_events(events: Iterable[tuple[int, bytes]]) -> bytes:
    """`UsageBatch.events` on the wire, to be put behind the batch's other fields; no event is read for it."""
    parts: list[bytes] = []
    for sequence, event in events:
        # SequencedEvent: field 1 the sequence, field 2 the event. In the batch it is field 3.
        numbered = b"\x08" + varint(sequence) + b"\x12" + varint(len(event))
        parts += (b"\x1a", varint(len(numbered) + len(event)), numbered, event)
    return b"".join(parts)


def _first_cause(failures: BaseExceptionGroup[Exception]) -> str:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, grpc.aio.AioRpcError):
        return f"{failure.code().name.lower()}: {failure.details()}"
    return str(failure)
