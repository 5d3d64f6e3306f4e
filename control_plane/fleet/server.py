"""The gRPC process: snapshots down, usage up, health. The only place that collects the servicers."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from celery import current_app
from django.conf import settings
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from control_plane.fleet.counter_recovery import CounterRecovery
from control_plane.fleet.database import DatabaseThreads
from control_plane.fleet.feed import SnapshotFeed
from control_plane.fleet.joining import PodGate
from control_plane.fleet.recorder import FleetRecorder
from control_plane.snapshots.servicer import SnapshotDeliveryServicer
from control_plane.usage.floor_feed import FloorFeed
from control_plane.usage.inbox import PostgresInbox
from control_plane.usage.intake import AggregationHint, UsageIntakeServicer
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc, usage_pb2_grpc

log = structlog.get_logger()

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
STOP_GRACE_S = 2.0
CANCEL_AGAIN_S = 0.5
OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_age_grace_ms", 5_000),
    # Two processes must not share the port unnoticed: the second one has to fail.
    ("grpc.so_reuseport", 0),
]
SERVICES = ("", "switchyard_contract.v1.SnapshotDelivery", "switchyard_contract.v1.UsageIntake")


class PortTaken(Exception):
    """The address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The services are up."""

    port: int
    tasks: tuple[asyncio.Task[None], ...]

    async def until_broken(self) -> None:
        """Return only by raising what one of the tasks behind the services failed with."""
        done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError("a task of the gRPC process ended by itself")


@contextlib.asynccontextmanager
async def serving(address: str) -> AsyncIterator[Serving]:
    """Serve on an address (port 0: any free one) while the block runs. Raises PortTaken."""
    deployment = settings.SWITCHYARD
    database = DatabaseThreads()
    floors = FloorFeed(database.run)
    recovery = CounterRecovery(database, floors)
    recorder = FleetRecorder(database, lost=recovery.heard)
    feed = SnapshotFeed(database, deployment.redis_url)
    gate = PodGate(database)
    hint = AggregationHint(lambda: current_app.send_task("usage.aggregate", retry=False, expires=30))
    server = grpc.aio.server(options=OPTIONS)
    health_service = health.HealthServicer()
    port = _listen(server, address, deployment.grpc_tls_cert, deployment.grpc_tls_key)
    async with PostgresInbox(settings.DATABASES["default"]) as inbox:
        delivery_pb2_grpc.add_SnapshotDeliveryServicer_to_server(
            SnapshotDeliveryServicer(
                feed=feed,
                recorder=recorder,
                authenticate=gate.authenticate,
                may_be=gate.may_be,
                deployment=deployment.deployment_id,
                signing_key=deployment.signing_key,
                key_material=delivery_pb2.KeyMaterial(
                    peppers=dict(deployment.peppers.by_version), sealing_keys=dict(deployment.sealing_keys.by_version)
                ),
            ),
            server,
        )
        usage_pb2_grpc.add_UsageIntakeServicer_to_server(
            UsageIntakeServicer(
                inbox=inbox, authenticate=gate.authenticate, stored=hint.want, floors=floors, may_be=gate.may_be
            ),
            server,
        )
        health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
        lives = (feed.poll(), feed.listen(), recorder.run(), hint.run(), floors.poll(), recovery.run())
        keeping = tuple(asyncio.create_task(life) for life in lives)
        await server.start()
        for service in SERVICES:
            await health_service.set(service, health_pb2.HealthCheckResponse.SERVING)
        try:
            yield Serving(port, keeping)
        finally:
            await health_service.enter_graceful_shutdown()
            # Streams never end by themselves; pods dial the next process.
            await server.stop(STOP_GRACE_S)
            await _end(keeping)
            await asyncio.to_thread(database.close)


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: the Redis client swallows a cancellation that meets it while it connects."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    for task in tasks:
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.error("a task of the gRPC process had failed", exc_info=failure)


async def serve_until_stopped() -> None:
    """Serve until SIGTERM or SIGINT."""
    deployment = settings.SWITCHYARD
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    async with serving(f"{deployment.grpc_host}:{deployment.grpc_port}") as served:
        log.info("gRPC services are up", port=served.port, tls=bool(deployment.grpc_tls_cert))
        # A process whose tasks broke would look alive and deliver nothing: better to end and be started anew.
        broken = asyncio.create_task(served.until_broken())
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait([broken, stop], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if broken.done():
            broken.result()
        broken.cancel()
        log.info("gRPC services stop")


def _listen(server: grpc.aio.Server, address: str, cert: str, key: str) -> int:
    try:
        if cert:
            pair = (Path(key).read_bytes(), Path(cert).read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as failure:
        raise PortTaken(
            f"{address} cannot be listened on; SWITCHYARD_GRPC_HOST and SWITCHYARD_GRPC_PORT choose another"
        ) from failure
    if port == 0:
        raise PortTaken(f"{address} cannot be listened on")
    return port
