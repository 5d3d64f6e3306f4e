"""The composition root: the only file that knows every adapter, and the pod's life from start to drain."""

import asyncio
import contextlib
import gc
import signal
import ssl
import time
from collections.abc import Iterator
from importlib.metadata import version as distribution_version
from pathlib import Path

import structlog
from aiohttp import web
from google.protobuf.message import DecodeError

from data_plane.conversation.token_estimate import warm_up
from data_plane.counters.shared import SharedCounters
from data_plane.counters.tombstones import TombstoneWatch
from data_plane.exchange.ports import Limits, Ports
from data_plane.exchange.pulse import Pulses
from data_plane.exchange.running import Running
from data_plane.exchange.session_memory import SessionMemory
from data_plane.ingress.caller_page import CallerPage
from data_plane.ingress.connection import HEAD_LIMIT_S, Listener
from data_plane.ingress.gauges import add_gauges
from data_plane.ingress.probes import Health, make_admin_application
from data_plane.ingress.server import Gateway
from data_plane.policy.decision import Refusal
from data_plane.policy.from_proto import read_policy
from data_plane.policy.snapshot import PolicySnapshot
from data_plane.providers.catalog import VENDOR_PROTOCOLS
from data_plane.secrets import HeldSecrets
from data_plane.settings import Settings
from data_plane.snapshots.dialing import Dialer
from data_plane.snapshots.freshness import Freshness
from data_plane.snapshots.keeper import Denied, Keeper
from data_plane.snapshots.shards import HeldShards
from data_plane.snapshots.shelf import Shelf
from data_plane.snapshots.subscription import Pod, Standing, Subscription
from data_plane.telemetry.lag import LoopLag
from data_plane.telemetry.metrics import PodMetrics
from data_plane.upstream.connections import UpstreamPool
from data_plane.usage.reporter import Reporter
from data_plane.usage.spool import Spool, SyncMode, open_spool
from switchyard_contract.holds import maker_text
from switchyard_contract.reason import Reason
from switchyard_contract.seal import VerifyKeys
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()

UNREACHABLE_AFTER_MS = 30_000
"""Six beacons missed: the control plane is called out of reach."""
_MAX_HEADER_BYTES = 32 * 1024
_MAX_HEADERS = 100
_CLIENT_KEEP_ALIVE_S = 75.0
_READ_BUFFER_BYTES = 256 * 1024
_GC_THRESHOLDS = (10_000, 20, 20)
"""A request makes hundreds of objects and hardly a cycle; at the default the collector runs every few requests."""
_SETTLE_LIMIT_S = 2.0
_SYNC_MODES: dict[str, SyncMode] = {"group": "group", "strict": "strict", "relaxed": "relaxed"}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class PodApplication:
    """All parts of one pod, made and joined; `serve` runs it."""

    def __init__(self, settings: Settings, pod_id: str, spool: Spool) -> None:
        self._settings, self._pod_id, self._spool = settings, pod_id, spool
        self._version = distribution_version("switchyard")
        self._has_started = False
        verify_keys = VerifyKeys(settings.verify_keys)
        self._secrets = HeldSecrets()
        # At most a tenth of the slots.
        self._running = Running(most_drains=max(1, settings.max_in_flight // 10))
        self._lag = LoopLag()
        self._freshness = Freshness(_now_ms)
        self._keeper: Keeper[PolicySnapshot] = Keeper(
            deployment=settings.deployment_id, keys=verify_keys, build=_build_policy, freshness=self._freshness
        )
        dialer = Dialer(settings.control_addresses, settings.control_ca)
        self.subscription = Subscription(
            Pod(pod_id, settings.pod_token, self._version, f"{settings.admin_host}:{settings.admin_port}"),
            self._keeper,
            Shelf(
                settings.state_dir / "shelf",
                deployment=settings.deployment_id,
                keys=verify_keys,
                shelf_key=settings.shelf_key,
            ),
            deployment=settings.deployment_id,
            keys=verify_keys,
            dial=dialer.dial,
            standing=self._standing,
            take_key_material=self._secrets.replace,
        )
        self.reporter = Reporter(
            spool,
            pod_id=pod_id,
            token=settings.pod_token,
            dial=Dialer(settings.control_addresses, settings.control_ca).dial,
            now_ms=_now_ms,
            take_floors=lambda floors, book: self.counters.apply_floors(floors, book),
        )
        self._metrics = PodMetrics(self.reporter.count_failed_authentication)
        self.counters = SharedCounters(
            settings.counters_url,
            pod_id=pod_id,
            maker=maker_text(pod_id, spool.boot_id, spool.run),
            live_pods=lambda: max(1, self.subscription.live_pods),
            meters=self._metrics,
        )
        self._sessions = SessionMemory()
        self.tombstones = TombstoneWatch(settings.counters_url, lambda: self._keeper.organizations)
        self._pool = UpstreamPool(private_networks=settings.private_networks, let_go=spool.after_write)
        self.pulses = Pulses(settings.keep_alive_s, time.perf_counter)
        add_gauges(
            self._metrics,
            running=self._running,
            lag=self._lag,
            spool=spool,
            pool=self._pool,
            subscription=self.subscription,
            counters=self.counters,
            sessions=self._sessions,
            policy_age_s=self._policy_age_s,
        )
        self.gateway = Gateway(
            self._ports(),
            self._running,
            self.pulses,
            self._health,
            settings,
            CallerPage(self.counters),
            soon=spool.after_write,
        )
        self._keeper.on_denied(self._cut_denied)
        self.tombstones.on_revoked(self._cut_revoked)

    def _ports(self) -> Ports:
        settings = self._settings
        return Ports(
            policy=lambda: self._keeper.policy,
            secrets=self._secrets,
            is_revoked=self.tombstones.is_revoked,
            beacon_age_ms=lambda: self._freshness.age_ms,
            usage=self._spool,
            counters=self.counters,
            sessions=self._sessions,
            upstream=self._pool,
            meters=self._metrics,
            limits=Limits(
                client_gone_s=settings.client_gone_s,
                keep_alive_s=settings.keep_alive_s,
                strict_spool=settings.spool_sync == "strict",
            ),
            now_ms=_now_ms,
            clock_s=time.perf_counter,
            pod_id=self._pod_id,
            version=self._version,
        )

    # What the pod knows of itself.

    def _degraded(self) -> tuple[str, ...]:
        age_ms = self._freshness.age_ms
        is_unheard = age_ms is None or age_ms > UNREACHABLE_AFTER_MS or not self.subscription.is_connected
        found = ["control_plane_unreachable"] if is_unheard else []
        found += self.counters.degraded
        if not self.tombstones.reachable:
            if "counters_unreachable" not in found:
                found.append("counters_unreachable")
            if is_unheard:
                found.append("revocations_delayed")
        if not self.reporter.is_connected:
            found.append("usage_intake_unreachable")
        if self._settings.shelf_key is None:
            found.append("no_shelf_key")
        return tuple(found)

    def _health(self) -> Health:
        return Health(
            has_policy=self._keeper.is_ready,
            has_spool=not self._spool.is_broken and self._spool.can_admit(),
            is_draining=self.gateway.is_draining,
            has_started=self._has_started,
            degraded=self._degraded(),
            pod_id=self._pod_id,
            version=self._version,
            policy_versions=tuple((have.shard, have.epoch, have.version) for have in self._keeper.have()),
        )

    def _standing(self) -> Standing:
        return Standing(
            in_flight=len(self._running),
            spool_records=self._spool.depth_records,
            spool_bytes=self._spool.depth_bytes,
            counters_reachable=self.counters.is_up,
            is_draining=self.gateway.is_draining,
            loop_lag_ms=int(self._lag.worst_ms),
            degraded=self._degraded(),
        )

    def _policy_age_s(self) -> float:
        age_ms = self._freshness.age_ms
        return -1.0 if age_ms is None else age_ms / 1000

    # Revocation of what is running.

    def _cut_denied(self, denied: Denied) -> None:
        refusal = Refusal(Reason.KEY_REVOKED, "This key was revoked while the answer was running.")
        self._running.cut_callers(denied.cut_key_ids, denied.principal_ids, refusal)

    def _cut_revoked(self, _revoked: frozenset[str], cut: frozenset[str]) -> None:
        refusal = Refusal(Reason.KEY_REVOKED, "This key was revoked while the answer was running.")
        self._running.cut_callers(cut, frozenset(), refusal)

    # Life.

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then drain."""
        settings = self._settings
        self.subscription.restore()
        server = Listener(
            self.gateway.handle,
            make_front=self.gateway.make_front,
            access_log=None,
            keepalive_timeout=_CLIENT_KEEP_ALIVE_S,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )
        self._metrics.gauge(
            "switchyard_connections_handed_over",
            "Client connections on which a request came that the front does not read.",
            lambda: server.handed_over,
        )
        admin = web.AppRunner(
            make_admin_application(self._health, self._metrics.render, lambda: self._keeper.audit_heads),
            access_log=None,
        )
        await admin.setup()
        with _named("SWITCHYARD_POD_ADMIN_PORT", f"port {settings.admin_port} on {settings.admin_host}"):
            await web.TCPSite(admin, settings.admin_host, settings.admin_port).start()
        loop = asyncio.get_running_loop()
        with _named("SWITCHYARD_GATEWAY_PORT", f"port {settings.gateway_port} on {settings.gateway_host}"):
            listener = await loop.create_server(
                server,
                settings.gateway_host,
                settings.gateway_port,
                reuse_port=True,
                backlog=1024,
                ssl=_tls_of(settings),
                ssl_handshake_timeout=HEAD_LIMIT_S if settings.gateway_tls_cert is not None else None,
            )
        await self._settle_left_over()
        self._has_started = True
        # What is here at the start stays: the garbage collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        log.info("pod started", gateway=f"{settings.gateway_host}:{settings.gateway_port}", version=self._version)
        owned = [
            asyncio.create_task(part, name=name)
            for name, part in (
                ("subscription", self.subscription.run()),
                ("reporter", self.reporter.run()),
                ("tombstones", self.tombstones.run()),
                ("counters", self.counters.run()),
                ("pulses", self.pulses.run()),
                ("lag", self._lag.run()),
                ("connections", server.run()),
            )
        ]
        try:
            await _until_stopped(stop, owned)
            await self._drain(listener, server)
        finally:
            await self._flush()
            await _end(owned)
            self.subscription.stop_in_good_order()
            await admin.cleanup()
            await self._pool.close()

    async def _settle_left_over(self) -> None:
        """Tell the counters what the last run let in and may not have settled: its end may have come in between."""
        async for event, was_cut in self._spool.left_over():
            try:
                self.counters.settle_recorded(usage_pb2.UsageEvent.FromString(event), was_cut=was_cut)
            except DecodeError:
                # Written by another age; the books' floors say what it cost.
                log.warning("an event of a former run cannot be read, and is not settled")

    async def _drain(self, listener: asyncio.AbstractServer, server: Listener) -> None:
        """Not ready at once; then no new connections; then wait for what runs; then end it in its own protocol."""
        settings = self._settings
        self.gateway.is_draining = True
        log.info("draining", in_flight=len(self._running))
        await self.subscription.tell()
        await asyncio.sleep(settings.drain_accept_s)
        listener.close()
        deadline_s = time.monotonic() + settings.drain_s
        while len(self._running) and time.monotonic() < deadline_s:
            server.close_idle()
            await asyncio.sleep(0.05)
        server.close_idle()
        if len(self._running):
            log.warning("drain ended with exchanges running", in_flight=len(self._running))
            self._running.cut_all(Refusal(Reason.DRAINING, retry_after_s=1))
        await server.shutdown(5.0)

    async def _flush(self) -> None:
        """Give the last events to the control plane while it listens, and the last costs to the counters; what is left
        stays on the disk, and is settled from there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_LIMIT_S):
                await self.counters.settled()
        deadline_s = time.monotonic() + 5
        while self._spool.depth_records and self.reporter.is_connected and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class CannotStart(Exception):
    """What this pod needs from its machine is not to be had; the text says what, and by which setting."""


@contextlib.contextmanager
def _named(setting: str, what: str) -> Iterator[None]:
    """Put a failure of the operating system into words: which setting, and what about it."""
    try:
        yield
    except OSError as failure:
        raise CannotStart(f"{setting}: {what}: {failure.strerror or failure}") from failure


async def serve(settings: Settings, pod_id: str) -> int:
    """Run a pod until SIGTERM or SIGINT; a second signal shortens the drain to nothing.

    Raises CannotStart, SpoolInUse.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            for task in asyncio.all_tasks():
                if task.get_name() == "pod":
                    task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await asyncio.to_thread(warm_up)
    with _named("SWITCHYARD_POD_STATE", str(settings.state_dir)):
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        spool = await open_spool(
            settings.state_dir / "spool",
            segment_bytes=settings.spool_segment_bytes,
            limit_bytes=settings.spool_limit_bytes,
            sync=_SYNC_MODES[settings.spool_sync],
        )
    try:
        application = PodApplication(settings, pod_id, spool)
        task = asyncio.create_task(application.run(stop), name="pod")
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        await spool.close()
    log.info("pod stopped")
    return 0


def _build_policy(shards: HeldShards, previous: PolicySnapshot | None) -> PolicySnapshot:
    return read_policy(shards, previous=previous, vendor_protocols=VENDOR_PROTOCOLS)


def _tls_of(settings: Settings) -> ssl.SSLContext | None:
    certificate: Path | None = settings.gateway_tls_cert
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, settings.gateway_tls_key)
    return context


async def _end(owned: list[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a call that breaks while it is cancelled can swallow the cancellation."""
    running = set(owned)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.5)


async def _until_stopped(stop: asyncio.Event, owned: list[asyncio.Task[None]]) -> None:
    """Wait for the signal. A background part that ends by itself ends the pod, loudly, so that it is restarted."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *owned], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done:
        if task is not waiting:
            log.error("a background part ended", part=task.get_name())
            task.result()
