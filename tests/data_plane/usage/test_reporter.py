"""The reporter against a real gRPC server that is scripted to misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_plane.usage import reporter as reporter_module
from data_plane.usage.reporter import BATCH_EVENTS, BATCHES_IN_FLIGHT, Reporter, encode_events
from data_plane.usage.spool import Spool
from switchyard_contract.v1 import usage_pb2, usage_pb2_grpc
from tests.data_plane.control_server import TOKEN, ControlServer, token_of
from tests.data_plane.usage.builders import a_spool, an_event, until


class ScriptedIntake(usage_pb2_grpc.UsageIntakeServicer):
    """Keeps what it is sent; gives receipts while `acknowledges`; ends a stream after `batches_until_cut` batches."""

    def __init__(self) -> None:
        self.stored: dict[tuple[bytes, int], bytes] = {}
        self.counts: list[usage_pb2.FailedAuthentications] = []
        self.former: list[tuple[int, int, int]] = []
        """The batch's events, then what it says of former runs."""
        self.batch_sizes: list[int] = []
        self.tokens: set[str] = set()
        self.acknowledges = asyncio.Event()
        self.acknowledges.set()
        self.batches_until_cut = -1
        self.conflicts = 0
        self.repeats = 0
        self.streams = 0
        self.receipt_boot_id: bytes | None = None

    async def Report(
        self, request_iterator: AsyncIterator[usage_pb2.UsageBatch], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[usage_pb2.UsageReceipt]:
        self.tokens.add(token_of(context))
        self.streams += 1
        async for batch in request_iterator:
            self.batch_sizes.append(len(batch.events))
            for each in batch.events:
                raw = each.event.SerializeToString()
                known = self.stored.setdefault((batch.boot_id, each.sequence), raw)
                self.conflicts += known != raw
            self.counts.extend(batch.failed_authentications)
            if batch.HasField("former_runs"):
                said = batch.former_runs
                self.former.append((len(batch.events), said.run, said.whole_since))
            if self.batches_until_cut == 0:
                self.batches_until_cut = -1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the inbox is out of reach")
            self.batches_until_cut -= 1
            await self.acknowledges.wait()
            last = batch.events[-1].sequence if batch.events else 0
            yield usage_pb2.UsageReceipt(boot_id=self.receipt_boot_id or batch.boot_id, stored_through=last)


@asynccontextmanager
async def reporting(
    spool: Spool, server: ControlServer, on_made: Callable[[Reporter], None] = lambda _: None
) -> AsyncIterator[Reporter]:
    reporter = Reporter(
        spool,
        pod_id="pod-1",
        token=TOKEN,
        dial=lambda: grpc.aio.insecure_channel(server.address, options=(("grpc.use_local_subchannel_pool", 1),)),
        now_ms=lambda: 120_000,
        draw=lambda: 0.0,
    )
    on_made(reporter)
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def serving(intake: ScriptedIntake) -> ControlServer:
    return ControlServer(lambda server: usage_pb2_grpc.add_UsageIntakeServicer_to_server(intake, server))


def finish(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.final(an_event(f"e{number}", output=number), f"e{number}", 1)


async def test_events_are_reported_with_the_pods_token_and_receipts_empty_the_spool(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    spool = await a_spool(tmp_path)
    async with serving(intake) as server, reporting(spool, server) as reporter:
        finish(spool, *range(20))
        await until(lambda: spool.depth_records == 0)
        assert reporter.is_connected
        assert reporter.events_sent == 20
    assert intake.tokens == {f"Bearer {TOKEN}"}
    assert sorted(sequence for _, sequence in intake.stored) == list(range(1, 21))
    assert {boot_id for boot_id, _ in intake.stored} == {spool.boot_id}
    await spool.close()


async def test_former_runs_are_spoken_of_once_a_stream_and_only_when_all_they_left_is_stored(tmp_path: Path) -> None:
    spool = await a_spool(tmp_path)
    finish(spool, 1, 2)
    await spool.close()
    first_run = spool.run
    intake = ScriptedIntake()
    intake.acknowledges.clear()
    spool = await a_spool(tmp_path)
    async with serving(intake) as server, reporting(spool, server):
        await until(lambda: bool(intake.batch_sizes))
        await asyncio.sleep(0.1)
        assert intake.former == []
        intake.acknowledges.set()
        await until(lambda: bool(intake.former))
        assert intake.former == [(0, spool.run, first_run)]
        intake.batches_until_cut = 0
        finish(spool, 3)
        await until(lambda: intake.streams == 2 and len(intake.former) == 2)
    assert intake.former[1][1:] == (spool.run, first_run)
    await spool.close()


async def test_a_backlog_travels_in_full_batches(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    spool = await a_spool(tmp_path)
    finish(spool, *range(1200))
    async with serving(intake) as server, reporting(spool, server):
        await until(lambda: spool.depth_records == 0)
    assert intake.batch_sizes == [BATCH_EVENTS, BATCH_EVENTS, 200]
    await spool.close()


async def test_without_receipts_only_so_many_batches_are_on_the_way(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    intake.acknowledges.clear()
    spool = await a_spool(tmp_path)
    finish(spool, *range(BATCH_EVENTS * (BATCHES_IN_FLIGHT + 3)))
    async with serving(intake) as server, reporting(spool, server) as reporter:
        await until(lambda: reporter.events_sent == BATCH_EVENTS * BATCHES_IN_FLIGHT)
        await asyncio.sleep(0.3)
        assert reporter.events_sent == BATCH_EVENTS * BATCHES_IN_FLIGHT
        intake.acknowledges.set()
        await until(lambda: spool.depth_records == 0)
    await spool.close()


async def test_a_batch_without_its_receipt_is_sent_again(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    intake.batches_until_cut = 1
    spool = await a_spool(tmp_path)
    finish(spool, *range(1300))
    async with serving(intake) as server, reporting(spool, server):
        await until(lambda: spool.depth_records == 0)
    assert (len(intake.stored), intake.conflicts) == (1300, 0)
    assert sum(intake.batch_sizes) > 1300
    await spool.close()


async def test_the_control_plane_may_come_late_and_go_and_come_back(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    server = serving(intake)
    await server.start()
    await server.stop()
    spool = await a_spool(tmp_path)
    finish(spool, 1, 2)
    async with reporting(spool, server) as reporter:
        await asyncio.sleep(0.2)
        assert not reporter.is_connected
        await server.start()
        await until(lambda: spool.depth_records == 0)
        await server.stop()
        await until(lambda: not reporter.is_connected)
        finish(spool, 3)
        await server.start()
        await until(lambda: spool.depth_records == 0)
    await server.stop()
    assert (len(intake.stored), intake.conflicts) == (3, 0)
    await spool.close()


async def test_a_control_plane_that_gives_no_receipt_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "RECEIPT_TIMEOUT_S", 0.5)
    intake = ScriptedIntake()
    intake.acknowledges.clear()
    spool = await a_spool(tmp_path)
    finish(spool, 1)
    async with serving(intake) as server, reporting(spool, server):
        await until(lambda: intake.streams >= 2)
        intake.acknowledges.set()
        await until(lambda: spool.depth_records == 0)
    assert len(intake.stored) == 1
    await spool.close()


async def test_a_receipt_for_another_spool_lets_nothing_go(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    intake.receipt_boot_id = b"somebody else's"
    spool = await a_spool(tmp_path)
    finish(spool, 1)
    async with serving(intake) as server, reporting(spool, server):
        await until(lambda: len(intake.stored) == 1)
        await asyncio.sleep(0.2)
        assert spool.depth_records == 1
    await spool.close()


async def test_failed_authentications_ride_along_and_travel_alone(tmp_path: Path) -> None:
    intake = ScriptedIntake()
    spool = await a_spool(tmp_path)
    async with serving(intake) as server, reporting(spool, server) as reporter:
        reporter.count_failed_authentication("unknown", "10.0.0.9")
        reporter.count_failed_authentication("unknown", "10.0.0.9")
        await until(lambda: len(intake.counts) == 1)
        reporter.count_failed_authentication("expired", "10.0.0.9")
        finish(spool, 1)
        await until(lambda: len(intake.counts) == 2 and spool.depth_records == 0)
    assert [(row.reason, row.source, row.count, row.minute_ms) for row in intake.counts] == [
        ("unknown", "10.0.0.9", 2, 120_000),
        ("expired", "10.0.0.9", 1, 120_000),
    ]
    await spool.close()


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**63),
            st.builds(usage_pb2.UsageEvent, exchange_id=st.text(max_size=200), path=st.text(max_size=20_000)),
        ),
        max_size=5,
    )
)
def test_events_put_behind_a_batch_are_read_as_its_own(events: list[tuple[int, usage_pb2.UsageEvent]]) -> None:
    head = usage_pb2.UsageBatch(pod_id="p", boot_id=b"b").SerializeToString()
    encoded = encode_events((sequence, event.SerializeToString()) for sequence, event in events)
    batch = usage_pb2.UsageBatch.FromString(head + encoded)
    assert (batch.pod_id, batch.boot_id) == ("p", b"b")
    assert [(each.sequence, each.event) for each in batch.events] == events
