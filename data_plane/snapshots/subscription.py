"""The stream that snapshots arrive on: what is held goes up, what is newer comes down, each answered by name.

One task reads and takes over in order; one tells how this pod is; one puts on the shelf what was adopted. A silent link
is a dead one: beacons come every few seconds.
Source: docs/decisions/0038-snapshots-in-the-pod.md
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
import structlog

from data_plane.snapshots.keeper import Accepted, Keeper, Rejected
from data_plane.snapshots.key_material import PodKeyPair
from data_plane.snapshots.shards import read_header
from data_plane.snapshots.shelf import Shelf
from data_plane.snapshots.shelving import Shelving
from switchyard_contract.envelope import EnvelopeFailure
from switchyard_contract.revision import REVISION
from switchyard_contract.seal import SealFailure, ShardVersion, VerifyKeys, open_beacon
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc, snapshot_pb2

log = structlog.get_logger()

STATUS_INTERVAL_S = 5.0
SILENCE_S = 20.0
HEALTHY_AFTER_S = 5.0
"""A pod that lives on for so long after taking a version over did not die of it."""
THREAD_FROM_BYTES = 64 * 1024
"""From this size on an offer is judged in a thread: the loop then waits for slices and not for all of it."""
_BACK_OFF_S = (0.2, 5.0)

P = TypeVar("P")


class LinkLost(Exception):
    """The stream to the control plane ended or fell silent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the pod is, for the fleet page."""

    in_flight: int
    spool_records: int
    spool_bytes: int
    counters_reachable: bool
    is_draining: bool
    loop_lag_ms: int
    degraded: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pod:
    """Who dials in. id: stable over restarts of the same disk. address: of the admin port, for people."""

    id: str
    token: str
    software_version: str
    address: str

    def __repr__(self) -> str:
        return f"Pod({self.id})"


class Subscription(Generic[P]):
    """dial: opens a channel to the next address; the channel is closed here."""

    def __init__(
        self,
        pod: Pod,
        keeper: Keeper[P],
        shelf: Shelf,
        *,
        deployment: str,
        keys: VerifyKeys,
        dial: Callable[[], grpc.aio.Channel],
        standing: Callable[[], Standing],
        take_key_material: Callable[[delivery_pb2.KeyMaterial], object],
        draw: Callable[[], float] = random.random,
        status_interval_s: float = STATUS_INTERVAL_S,
        silence_s: float = SILENCE_S,
        healthy_after_s: float = HEALTHY_AFTER_S,
    ) -> None:
        self.is_connected = False
        self.live_pods = 0
        """As the newest beacon says."""
        self.rejected = 0
        self._pod, self._keeper, self._shelf = pod, keeper, shelf
        self._deployment, self._keys = deployment, keys
        self._dial, self._standing, self._take_key_material, self._draw = dial, standing, take_key_material, draw
        self._status_interval_s, self._silence_s = status_interval_s, silence_s
        self._healthy_after_s = healthy_after_s
        self._boot_id = os.urandom(16)
        self._key_pair = PodKeyPair()
        self._shelving = Shelving(shelf, keeper.freshness)
        self._heard_at_s = 0.0
        self._attempts_in_a_row = 0
        self._tell_now = asyncio.Event()
        self._was_told = asyncio.Event()

    def restore(self) -> None:
        """Start from the shelf, before anything else: the pod then serves without the control plane. Blocking.

        Raises OSError when the shelf's folder cannot be read.
        """
        crumbs = self._shelf.breadcrumbs
        shelved = self._shelf.start()
        self._keeper.quarantine(crumbs.quarantined)
        for shard, at in sorted(crumbs.quarantined, key=lambda version: version[0]):
            log.error("snapshot version quarantined", shard=shard, epoch=at.epoch, version=at.version)
        self._shelf.load_freshness(self._keeper.freshness)
        material = self._shelf.load_key_material()
        if material is not None:
            self._take_key_material(material)
        suspects = [(shard, at) for shard, at in crumbs.marked if shard in shelved and shelved[shard][0].at == at]
        for shard, at in suspects:
            crumbs.judging(shard, at)
        for shard in self._keeper.restore(shelved):
            log.warning("shelved shard left out", shard=shard)
        for shard, at in suspects:
            crumbs.adopted(shard, at)
        log.info("policy restored", shards=len(self._keeper.have()), age_ms=self._keeper.freshness.age_ms)

    async def run(self) -> None:
        """Stay subscribed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._shelving.run())
            for shard, at in self._shelf.breadcrumbs.marked:
                if self._keeper.version_of(shard) == at:
                    self._clear_when_healthy(shard, at)
            while True:
                try:
                    await self._subscribe()
                except* (grpc.aio.AioRpcError, asyncio.InvalidStateError, LinkLost) as failures:
                    self._note(failures)
                finally:
                    self.is_connected = False
                await asyncio.sleep(self._back_off_s())

    async def tell(self, limit_s: float = 1.0) -> None:
        """Have the control plane told now how this pod is; gives up after the limit, or at once when not connected.

        A pod that leaves without having said that it drains is taken for one that is cut off.
        """
        if not self.is_connected:
            return
        self._was_told.clear()
        self._tell_now.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._was_told.wait()

    def stop_in_good_order(self) -> None:
        """Put on the shelf what still waits, and tell the next start that nothing has killed this one. Blocking."""
        try:
            self._shelving.finish()
            self._shelf.breadcrumbs.clear_all()
        except OSError as failure:
            log.warning("shelf not written", error=failure.strerror)

    async def _subscribe(self) -> None:
        """One stream, from dialling to its end."""
        async with self._dial() as channel:
            stub = delivery_pb2_grpc.SnapshotDeliveryStub(channel)  # type: ignore[no-untyped-call]  # generated
            call = stub.Subscribe(metadata=(("authorization", f"Bearer {self._pod.token}"),))
            link = _Link(call)
            self._heard_at_s = time.monotonic()
            await link.write(delivery_pb2.PodMessage(hello=self._hello()))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(link))
                tasks.create_task(self._tell_status(link))
                tasks.create_task(self._watch())

    def _hello(self) -> delivery_pb2.Hello:
        return delivery_pb2.Hello(
            pod_id=self._pod.id,
            boot_id=self._boot_id,
            contract_revision=REVISION,
            x25519_public_key=self._key_pair.public_bytes,
            have=self._keeper.have(),
            software_version=self._pod.software_version,
            address=self._pod.address,
        )

    async def _listen(self, link: "_Link") -> None:
        while True:
            message = await link.read()
            if not self.is_connected:
                log.info("subscribed to the control plane")
            self.is_connected, self._attempts_in_a_row = True, 0
            self._heard_at_s = time.monotonic()
            match message.WhichOneof("message"):
                case "update":
                    answer = await self._take_update(message.update.shard, message.nonce)
                    await link.write(answer)
                case "beacon":
                    self._take_beacon(message.beacon)
                case "keys":
                    await self._take_keys(message.keys)
                case "forget":
                    self._forget(message.forget.shard)
                case _:
                    log.warning("message of a later contract revision ignored")

    # Taking over.

    async def _take_update(self, sealed: snapshot_pb2.SealedShard, nonce: bytes) -> delivery_pb2.PodMessage:
        marked = self._mark(sealed)
        if len(sealed.payload) < THREAD_FROM_BYTES:
            verdict = self._keeper.judge(sealed)
        else:
            verdict = await asyncio.to_thread(self._keeper.judge, sealed)
        if isinstance(verdict, Rejected):
            self._clear(marked)
            return self._refuse(verdict, nonce)
        self._adopt(verdict, sealed)
        self._put_on_probation(marked)
        at = verdict.held.at
        return delivery_pb2.PodMessage(
            ack=delivery_pb2.Ack(nonce=nonce, shard=verdict.shard, epoch=at.epoch, version=at.version)
        )

    def _adopt(self, accepted: Accepted[P], sealed: snapshot_pb2.SealedShard) -> None:
        is_new = accepted.policy is not None
        self._keeper.adopt(accepted)
        if is_new:
            self._shelving.soon(accepted.shard, sealed)
            log.info("snapshot applied", shard=accepted.shard, version=accepted.held.at.version)

    def _refuse(self, rejected: Rejected, nonce: bytes) -> delivery_pb2.PodMessage:
        self.rejected += 1
        code = delivery_pb2.NackCode.Name(rejected.code)
        log.warning("snapshot refused", shard=rejected.shard, version=rejected.offered.version, code=code)
        return delivery_pb2.PodMessage(
            nack=delivery_pb2.Nack(
                nonce=nonce,
                shard=rejected.shard,
                epoch=rejected.offered.epoch,
                offered=rejected.offered.version,
                running=rejected.running.version,
                code=rejected.code,
                detail=rejected.detail,
            )
        )

    def _mark(self, sealed: snapshot_pb2.SealedShard) -> tuple[str, ShardVersion] | None:
        """Leave a breadcrumb for what is about to be judged; None: nothing new, or no disk to leave it on."""
        try:
            header = read_header(sealed)
            at = ShardVersion(header.epoch, header.version)
            held = self._keeper.version_of(header.shard)
            if held is not None and not held.is_before(at):
                return None
            self._shelf.breadcrumbs.judging(header.shard, at)
        except SealFailure:
            return None
        except OSError as failure:
            log.warning("no breadcrumb was left", error=failure.strerror)
            return None
        return header.shard, at

    def _put_on_probation(self, marked: tuple[str, ShardVersion] | None) -> None:
        if marked is None:
            return
        try:
            self._shelf.breadcrumbs.adopted(*marked)
        except OSError as failure:
            log.warning("breadcrumb not changed", error=failure.strerror)
        self._clear_when_healthy(*marked)

    def _clear(self, marked: tuple[str, ShardVersion] | None) -> None:
        if marked is None:
            return
        try:
            self._shelf.breadcrumbs.clear(*marked)
        except OSError as failure:
            log.warning("breadcrumb not removed", error=failure.strerror)

    def _clear_when_healthy(self, shard: str, at: ShardVersion) -> None:
        asyncio.get_running_loop().call_later(self._healthy_after_s, self._clear, (shard, at))

    def _take_beacon(self, beacon: delivery_pb2.Beacon) -> None:
        try:
            body = open_beacon(beacon, deployment=self._deployment, keys=self._keys)
        except SealFailure as failure:
            log.warning("beacon refused", why=str(failure))
            return
        if self._keeper.take_beacon(body):
            self.live_pods = body.live_pods
            self._shelving.beacon_came()

    async def _take_keys(self, envelope: delivery_pb2.KeyEnvelope) -> None:
        try:
            material = self._key_pair.open(envelope)
        except EnvelopeFailure as failure:
            log.warning("key material refused", why=str(failure))
            return
        self._take_key_material(material)
        try:
            await asyncio.to_thread(self._shelf.save_key_material, material)
        except OSError as failure:
            log.warning("key material not shelved", error=failure.strerror)

    def _forget(self, shard: str) -> None:
        if self._keeper.forget(shard):
            log.info("shard forgotten", shard=shard)
            self._shelving.soon(shard, None)
        else:
            log.warning("shard not forgotten: it is still listed, or not held", shard=shard[:200])

    # The other tasks.

    async def _tell_status(self, link: "_Link") -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._status_interval_s):
                    await self._tell_now.wait()
            self._tell_now.clear()
            standing = self._standing()
            await link.write(
                delivery_pb2.PodMessage(
                    status=delivery_pb2.Status(
                        in_flight=standing.in_flight,
                        spool_records=standing.spool_records,
                        spool_bytes=standing.spool_bytes,
                        counters_reachable=standing.counters_reachable,
                        draining=standing.is_draining,
                        loop_lag_ms=standing.loop_lag_ms,
                        have=self._keeper.have(),
                        degraded=standing.degraded,
                    )
                )
            )
            self._was_told.set()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._silence_s / 4)
            if time.monotonic() - self._heard_at_s > self._silence_s:
                raise LinkLost(f"nothing was heard for {self._silence_s:.0f} s")

    def _back_off_s(self) -> float:
        shortest_s, longest_s = _BACK_OFF_S
        delay_s = min(longest_s, shortest_s * 2.0 ** min(self._attempts_in_a_row, 10))
        self._attempts_in_a_row += 1
        # Spread widely: a restarted control plane is met by every pod at once.
        return max(shortest_s, delay_s * self._draw())

    def _note(self, failures: BaseExceptionGroup[Exception]) -> None:
        # Once per outage: a control plane may be away for a week.
        if self._attempts_in_a_row == 0:
            log.warning("subscription interrupted", why=_first_cause(failures))


class _Link:
    """The call's two directions; gRPC takes one write at a time."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._writing = asyncio.Lock()

    async def write(self, message: delivery_pb2.PodMessage) -> None:
        async with self._writing:
            await self._call.write(message)

    async def read(self) -> delivery_pb2.ControlMessage:
        """Raises LinkLost at the end of the stream."""
        answer = await self._call.read()
        if answer is grpc.aio.EOF:
            raise LinkLost("the control plane ended the stream")
        message: delivery_pb2.ControlMessage = answer
        return message


def _first_cause(failures: BaseExceptionGroup[Exception]) -> str:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, grpc.aio.AioRpcError):
        return f"{failure.code().name.lower()}: {failure.details()}"
    return str(failure)
