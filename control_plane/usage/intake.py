"""The gRPC service to which pods report usage: a batch is durable before its receipt goes out.

The receipt allows the pod to delete what it names, so it is never sent for anything that is not committed. If
PostgreSQL is away, or its disk is full, the stream ends UNAVAILABLE, without a receipt, and the pod keeps everything
and comes again. So it does where a report is refused: what a pod may not say is counted, and shown on the fleet page.
Source: docs/decisions/0150-what-a-pod-may-report.md
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
import structlog
from kombu.exceptions import OperationalError

from control_plane.usage.floor_feed import FloorFeed
from control_plane.usage.inbox import Inbox, InboxUnavailable, read_batch
from switchyard_contract.v1 import usage_pb2, usage_pb2_grpc

log = structlog.get_logger(__name__)

MOST_EVENTS = 500
HINT_PAUSE_S = 0.05

Authenticate = Callable[[Any], Awaitable[object | None]]
"""Given the call's context: the join token it presented, or None. Shared with the delivery of snapshots."""
MayBe = Callable[[Any, str], bool]
"""Given a join token: whether its bearer may call itself by this pod id."""
NOT_THIS_POD, ANOTHER_POD, TOO_MANY, MALFORMED = "not_this_pod", "another_pod", "too_many_events", "malformed"
"""Why a report is refused: the token is not for this pod; the stream began as another one's; see MOST_EVENTS; the frame
cannot be."""
Context: TypeAlias = "grpc.aio.ServicerContext[usage_pb2.UsageBatch, usage_pb2.UsageReceipt]"


class AggregationHint:
    """Wakes an aggregator soon after a batch was stored; many batches share one hint.

    A lost hint costs seconds, no event: the sweep looks into the inbox anyway. So a broker that is away is logged and
    forgotten.
    """

    def __init__(self, send: Callable[[], object]) -> None:
        """send: blocks while it talks to the broker, so it runs in a thread."""
        self._send = send
        self._wanted = asyncio.Event()

    def want(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Send hints until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await asyncio.to_thread(self._send)
            except (OSError, OperationalError) as failure:
                log.warning("aggregation hint not sent", why=type(failure).__name__)
            await asyncio.sleep(HINT_PAUSE_S)


class UsageIntakeServicer(usage_pb2_grpc.UsageIntakeServicer):
    """Stores batches, sends receipts; and floors, with receipts that repeat what is stored."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        authenticate: Authenticate,
        stored: Callable[[], object],
        floors: FloorFeed | None = None,
        may_be: MayBe = lambda token, pod_id: True,
    ) -> None:
        """stored: called after each batch that was new; must not block (AggregationHint.want)."""
        self._inbox = inbox
        self._authenticate = authenticate
        self._may_be = may_be
        self._stored = stored
        self._floors = floors

    async def Report(
        self, request_iterator: AsyncIterator[usage_pb2.UsageBatch], context: Context
    ) -> AsyncIterator[usage_pb2.UsageReceipt]:
        token = await self._authenticate(context)
        if token is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid pod join token")
        pod_id = ""
        async for message in request_iterator:
            if not pod_id:
                # Who the spool is shows with its first batch; until then a receipt would name nobody.
                pod_id = message.pod_id
                if pod_id and not self._may_be(token, pod_id):
                    await self._refuse(context, pod_id, NOT_THIS_POD, "the join token is not for a pod of this name")
            first = await self._store(message, pod_id, context)
            yield first
            if self._floors is not None:
                async for receipt in self._with_floors(self._floors, request_iterator, pod_id, context, first):
                    yield receipt

    async def _with_floors(
        self,
        floors: FloorFeed,
        batches: AsyncIterator[usage_pb2.UsageBatch],
        pod_id: str,
        context: Context,
        last: usage_pb2.UsageReceipt,
    ) -> AsyncIterator[usage_pb2.UsageReceipt]:
        """Go on with the stream: a receipt for each batch, and one for floors whenever there are some."""
        mailbox = floors.open()
        batch, some = asyncio.ensure_future(_next(batches)), asyncio.ensure_future(mailbox.some())
        try:
            while True:
                await asyncio.wait((batch, some), return_when=asyncio.FIRST_COMPLETED)
                if some.done():
                    dealt = some.result()
                    yield usage_pb2.UsageReceipt(
                        boot_id=last.boot_id, stored_through=last.stored_through, floors=dealt.floors, book=dealt.book
                    )
                    some = asyncio.ensure_future(mailbox.some())
                if batch.done():
                    message = batch.result()
                    if message is None:
                        return
                    last = await self._store(message, pod_id, context)
                    yield last
                    batch = asyncio.ensure_future(_next(batches))
        finally:
            floors.close(mailbox)
            batch.cancel()
            some.cancel()

    async def _store(self, message: usage_pb2.UsageBatch, pod_id: str, context: Context) -> usage_pb2.UsageReceipt:
        """Make a batch durable; ends the call where that cannot be."""
        if message.pod_id != pod_id:
            await self._refuse(context, message.pod_id, ANOTHER_POD, f"the stream began as {pod_id[:200]!r}")
        if len(message.events) > MOST_EVENTS:
            await self._refuse(context, pod_id, TOO_MANY, f"more than {MOST_EVENTS} events in a batch")
        try:
            batch = read_batch(message)
        except ValueError as failure:
            await self._refuse(context, pod_id, MALFORMED, str(failure))
        try:
            is_new = await self._inbox.store(batch)
        except InboxUnavailable as failure:
            log.warning("usage inbox out of reach", why=str(failure))
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the inbox is out of reach; keep the events")
        if is_new and batch.event_count:
            self._stored()
        return usage_pb2.UsageReceipt(boot_id=batch.boot_id, stored_through=batch.last_sequence)

    async def _refuse(self, context: Context, pod_id: str, reason: str, detail: str) -> NoReturn:
        """End the call; the pod keeps the events, and people see why."""
        log.warning("usage report refused", pod_id=pod_id[:200], reason=reason, why=detail)
        await self._inbox.note_refusal(pod_id, reason, detail)
        is_about_who = reason in (NOT_THIS_POD, ANOTHER_POD)
        code = grpc.StatusCode.PERMISSION_DENIED if is_about_who else grpc.StatusCode.INVALID_ARGUMENT
        await context.abort(code, detail)


async def _next(batches: AsyncIterator[usage_pb2.UsageBatch]) -> usage_pb2.UsageBatch | None:
    """The next batch; None: the pod has ended the stream."""
    return await anext(batches, None)
