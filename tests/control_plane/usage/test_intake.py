"""The gRPC service to which pods report usage."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from kombu.exceptions import OperationalError

from control_plane.usage.inbox import InboxUnavailable, IncomingBatch, PostgresInbox, conninfo_of, read_batch
from control_plane.usage.intake import AggregationHint, UsageIntakeServicer
from control_plane.usage.models import FailedAuthenticationMinute, InboxBatch, MissingEvents, RefusedReport
from switchyard_contract.v1 import usage_pb2, usage_pb2_grpc
from tests.control_plane.usage.events import BOOT, POD, a_batch, an_event

MINUTE_MS = 1_790_000_040_000


@dataclass
class ListedInbox:
    """An inbox in memory, which may be out of reach."""

    is_away: bool = False
    stored: list[IncomingBatch] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    async def store(self, batch: IncomingBatch) -> bool:
        if self.is_away:
            raise InboxUnavailable("OperationalError")
        is_new = batch not in self.stored
        if is_new:
            self.stored.append(batch)
        return is_new

    async def note_refusal(self, pod_id: str, reason: str, detail: str) -> None:
        self.refused.append((pod_id, reason))


async def admit(context: Any) -> object | None:
    return "pod" if ("authorization", "Bearer pod") in context.invocation_metadata() else None


@dataclass
class Service:
    stub: Any
    hints: list[None]

    async def report(self, batches: Iterable[usage_pb2.UsageBatch], token: str = "pod") -> list[usage_pb2.UsageReceipt]:
        call = self.stub.Report(iter(batches), metadata=(("authorization", f"Bearer {token}"),), timeout=20)
        return [receipt async for receipt in call]


@asynccontextmanager
async def serving(inbox: Any) -> AsyncIterator[Service]:
    hints: list[None] = []
    server = grpc.aio.server()
    servicer = UsageIntakeServicer(
        inbox=inbox, authenticate=admit, stored=lambda: hints.append(None), may_be=lambda _, pod_id: pod_id != "pod-9"
    )
    usage_pb2_grpc.add_UsageIntakeServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Service(usage_pb2_grpc.UsageIntakeStub(channel), hints)
    await server.stop(None)


async def test_each_batch_is_answered_with_what_is_stored() -> None:
    inbox = ListedInbox()
    async with serving(inbox) as service:
        receipts = await service.report(
            [a_batch([an_event(1), an_event(2)]), a_batch([an_event(3)], first_sequence=3), a_batch([])]
        )

    assert [(receipt.boot_id, receipt.stored_through) for receipt in receipts] == [(BOOT, 2), (BOOT, 3), (BOOT, 0)]
    assert [batch.event_count for batch in inbox.stored] == [2, 1, 0]
    assert len(service.hints) == 2


async def test_a_pod_without_the_token_is_turned_away() -> None:
    inbox = ListedInbox()
    async with serving(inbox) as service:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.report([a_batch([an_event(1)])], token="other")

    assert failure.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert inbox.stored == []


async def test_an_inbox_out_of_reach_ends_the_stream_without_a_receipt() -> None:
    async with serving(ListedInbox(is_away=True)) as service:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.report([a_batch([an_event(1)])])

    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "batch",
    [
        usage_pb2.UsageBatch(boot_id=BOOT),
        usage_pb2.UsageBatch(pod_id=POD),
        usage_pb2.UsageBatch(
            pod_id=POD,
            boot_id=BOOT,
            events=[usage_pb2.SequencedEvent(sequence=2), usage_pb2.SequencedEvent(sequence=2)],
        ),
        usage_pb2.UsageBatch(pod_id=POD, boot_id=BOOT, events=[usage_pb2.SequencedEvent(sequence=2**63)]),
        a_batch([an_event(number) for number in range(501)]),
    ],
)
async def test_a_frame_that_cannot_be_is_refused(batch: usage_pb2.UsageBatch) -> None:
    inbox = ListedInbox()
    async with serving(inbox) as service:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.report([batch])

    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert inbox.stored == []


@pytest.mark.parametrize(
    ("batches", "refused"),
    [
        ([a_batch([an_event(1)], pod="pod-9")], ("pod-9", "not_this_pod")),
        ([a_batch([]), a_batch([an_event(1)], pod="pod-2")], ("pod-2", "another_pod")),
    ],
)
async def test_a_pod_reports_as_nobody_else(batches: list[usage_pb2.UsageBatch], refused: tuple[str, str]) -> None:
    inbox = ListedInbox()
    async with serving(inbox) as service:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.report(batches)

    assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert inbox.refused == [refused]
    assert sum(batch.event_count for batch in inbox.stored) == 0


@pytest.mark.django_db(transaction=True)
async def test_refused_reports_are_counted_by_pod_and_reason() -> None:
    async with PostgresInbox(connection.settings_dict) as inbox:
        await inbox.note_refusal("pod-\x001", "malformed", "sequences do not ascend")
        await inbox.note_refusal("pod-\x001", "malformed", "boot_id is missing or too long")

    (row,) = await sync_to_async(_refused)()
    assert (row.pod_id, row.reason, row.count, row.detail) == (
        "pod-\ufffd1",
        "malformed",
        2,
        "boot_id is missing or too long",
    )


def _refused() -> list[RefusedReport]:
    try:
        return list(RefusedReport.objects.all())
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
async def test_a_receipt_means_that_the_batch_is_in_postgresql() -> None:
    batch = a_batch([an_event(1), an_event(2)])
    batch.failed_authentications.add(minute_ms=MINUTE_MS, reason="unauthenticated", source="10.0.0.9", count=3)
    async with PostgresInbox(connection.settings_dict) as inbox, serving(inbox) as service:
        await service.report([batch])
        await service.report([batch])
        later = a_batch([an_event(3)], first_sequence=3)
        later.failed_authentications.add(minute_ms=MINUTE_MS, reason="unauthenticated", source="10.0.0.9", count=4)
        await service.report([later])

    stored, failures = await sync_to_async(_read_stored)()
    assert [(row.first_sequence, row.last_sequence, row.event_count) for row in stored] == [(1, 2, 2), (3, 3, 1)]
    assert usage_pb2.UsageBatch.FromString(bytes(stored[0].payload)).events == batch.events
    assert (failures.count, failures.minute) == (7, datetime.fromtimestamp(MINUTE_MS / 1000, UTC))
    assert len(service.hints) == 2


def _read_stored() -> tuple[list[InboxBatch], FailedAuthenticationMinute]:
    try:
        return list(InboxBatch.objects.order_by("id")), FailedAuthenticationMinute.objects.get()
    finally:
        # This is another thread's connection; left open it would keep the test database from being dropped.
        connection.close()


@pytest.mark.django_db(transaction=True)
async def test_a_database_that_cannot_be_reached_is_said_so(unused_tcp_port: int) -> None:
    nowhere = {**connection.settings_dict, "PORT": str(unused_tcp_port)}
    async with PostgresInbox(nowhere, timeout_s=0.5) as inbox:
        async with asyncio.timeout(15):
            with pytest.raises(InboxUnavailable):
                await inbox.store(read_batch(a_batch([an_event(1)])))


FULL = """
CREATE FUNCTION test_disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER test_disk_is_full BEFORE INSERT ON usage_inboxbatch EXECUTE FUNCTION test_disk_is_full();
"""
ROOM = "DROP TRIGGER test_disk_is_full ON usage_inboxbatch; DROP FUNCTION test_disk_is_full();"


@pytest.mark.django_db(transaction=True)
async def test_while_postgresqls_disk_is_full_nothing_is_acknowledged_and_then_it_goes_on() -> None:
    batch = a_batch([an_event(1)])
    async with PostgresInbox(connection.settings_dict) as inbox, serving(inbox) as service:
        await sync_to_async(_run)(FULL)
        try:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await service.report([batch])
        finally:
            await sync_to_async(_run)(ROOM)
        (receipt,) = await service.report([batch])

    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert receipt.stored_through == 1
    assert await sync_to_async(_gaps)() == (1, 0)


def _run(statement: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _gaps() -> tuple[int, int]:
    try:
        return InboxBatch.objects.count(), MissingEvents.objects.count()
    finally:
        connection.close()


async def test_many_wishes_become_few_hints_and_a_broker_that_is_away_is_survived() -> None:
    sent = 0
    twice = asyncio.Event()
    loop = asyncio.get_running_loop()

    def send() -> None:
        nonlocal sent
        sent += 1
        if sent == 1:
            raise OperationalError("the broker is away")
        loop.call_soon_threadsafe(twice.set)

    hint = AggregationHint(send)
    task = asyncio.create_task(hint.run())
    for _ in range(50):
        hint.want()
    while sent == 0:
        await asyncio.sleep(0.001)
    hint.want()
    await asyncio.wait_for(twice.wait(), 5)
    task.cancel()

    assert sent == 2


def test_a_connection_string_names_the_same_server() -> None:
    text = conninfo_of(
        {"HOST": "db", "PORT": "5432", "NAME": "switchyard", "USER": "u", "PASSWORD": "p q", "OPTIONS": {"pool": True}}
    )

    assert text == "host=db port=5432 dbname=switchyard user=u password='p q'"
