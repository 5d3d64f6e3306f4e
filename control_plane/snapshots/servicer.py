"""The gRPC service that pods subscribe to. Runs on grpc.aio; never touches the ORM on the loop.

What it needs from outside comes as arguments: `Feed` (what is in force), `Recorder` (what pods answered), and how a
caller proves that it belongs to the fleet.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import grpc
import structlog

from control_plane.snapshots.delivery import Delivery, Head
from control_plane.snapshots.selectors import Sealed, heads_digest
from switchyard_contract.envelope import EnvelopeFailure, seal_key_material
from switchyard_contract.seal import ShardVersion, SigningKey, seal_beacon
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc

log = structlog.get_logger()

BEACON_INTERVAL_S = 5.0
HELLO_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0
SENDS_AT_ONCE = 20
MAX_POD_ID = 200
X25519_BYTES = 32

Context = grpc.aio.ServicerContext[delivery_pb2.PodMessage, delivery_pb2.ControlMessage]
Authenticate = Callable[[Any], Awaitable[object | None]]
"""Given a call's context: something when its join token is in force, else None. Ends the call UNAVAILABLE itself when
it cannot tell."""
MayBe = Callable[[Any, str], bool]
"""Given a join token: whether its bearer may call itself by this pod id."""


class Feed(Protocol):
    """What is in force."""

    @property
    def heads(self) -> Mapping[str, Head]: ...
    def changed(self) -> asyncio.Event:
        """An event that is set when the heads change; a new one for each change."""
        ...

    async def sealed(self, shard: str) -> Sealed | None:
        """The version in force of a shard; None when it cannot be read now."""
        ...


class Recorder(Protocol):
    """Remembers what pods say. None of these waits or fails."""

    def greeted(self, hello: delivery_pb2.Hello) -> None: ...
    def acknowledged(self, pod_id: str, shard: str, at: ShardVersion) -> None: ...
    def refused(self, pod_id: str, nack: delivery_pb2.Nack) -> None: ...
    def reported(self, pod_id: str, status: delivery_pb2.Status) -> None: ...
    def left(self, pod_id: str, boot_id: bytes) -> None: ...


class SnapshotDeliveryServicer(delivery_pb2_grpc.SnapshotDeliveryServicer):
    """One instance serves all streams of a process."""

    def __init__(
        self,
        *,
        feed: Feed,
        recorder: Recorder,
        authenticate: Authenticate,
        may_be: MayBe = lambda token, pod_id: True,
        deployment: str,
        signing_key: SigningKey,
        key_material: delivery_pb2.KeyMaterial,
        beacon_interval_s: float = BEACON_INTERVAL_S,
    ) -> None:
        self.live_pods = 0
        self._feed, self._recorder, self._authenticate = feed, recorder, authenticate
        self._may_be = may_be
        self._deployment, self._signing_key, self._key_material = deployment, signing_key, key_material
        self._beacon_interval_s = beacon_interval_s
        self._beacons = 0
        # A fleet that comes back at once must not have all its full payloads in memory and on the wire together.
        self._sending = asyncio.Semaphore(SENDS_AT_ONCE)

    async def Subscribe(self, request_iterator: Any, context: Context) -> None:
        token = await self._authenticate(context)
        if token is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid pod join token")
        hello = await self._read_hello(context)
        if not self._may_be(token, hello.pod_id):
            log.warning("pod refused: its join token is not for a pod of this name", pod=hello.pod_id)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the join token is not for a pod of this name")
        stream = _Stream(self, hello, context)
        self._recorder.greeted(hello)
        self.live_pods += 1
        log.info("pod subscribed", pod=hello.pod_id, holds=len(hello.have))
        try:
            await stream.run()
        finally:
            self.live_pods -= 1
            self._recorder.left(hello.pod_id, hello.boot_id)
            log.info("pod left", pod=hello.pod_id)

    async def _read_hello(self, context: Context) -> delivery_pb2.Hello:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                message = await context.read()
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no greeting came")
        if not isinstance(message, delivery_pb2.PodMessage) or message.WhichOneof("message") != "hello":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be a greeting")
        hello = message.hello
        if not 0 < len(hello.pod_id) <= MAX_POD_ID or "\x00" in hello.pod_id:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"pod_id must have 1 to {MAX_POD_ID} characters")
        if len(hello.x25519_public_key) != X25519_BYTES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "x25519_public_key must have 32 bytes")
        return hello

    def key_envelope(self, hello: delivery_pb2.Hello) -> delivery_pb2.ControlMessage:
        """The deployment's key material, sealed to this pod. Raises EnvelopeFailure."""
        envelope = seal_key_material(self._key_material, hello.x25519_public_key)
        return delivery_pb2.ControlMessage(nonce=secrets.token_bytes(12), keys=envelope)

    def beacon(self) -> delivery_pb2.ControlMessage:
        """A sign of life that names all heads by one digest."""
        self._beacons += 1
        body = delivery_pb2.BeaconBody(
            deployment=self._deployment,
            sequence=self._beacons,
            issued_at_ms=int(time.time() * 1000),
            shards_sha256=heads_digest(self._feed.heads),
            live_pods=self.live_pods,
        )
        return delivery_pb2.ControlMessage(nonce=secrets.token_bytes(12), beacon=seal_beacon(body, self._signing_key))

    @property
    def beacon_interval_s(self) -> float:
        return self._beacon_interval_s

    @property
    def feed(self) -> Feed:
        return self._feed

    @property
    def recorder(self) -> Recorder:
        return self._recorder

    @property
    def sending(self) -> asyncio.Semaphore:
        return self._sending


class _StreamEnded(Exception):
    """The pod hung up."""


class _Stream:
    """One pod's subscription: a task that reads its answers, a task that sends what is due."""

    def __init__(self, service: SnapshotDeliveryServicer, hello: delivery_pb2.Hello, context: Context) -> None:
        self._service, self._hello, self._context = service, hello, context
        self._delivery = Delivery(
            {have.shard: Head(ShardVersion(have.epoch, have.version), have.payload_sha256) for have in hello.have}
        )
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Until the pod hangs up or is overdue with an answer."""
        try:
            await self._write(self._service.key_envelope(self._hello))
        except EnvelopeFailure as failure:
            await self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(failure))
        is_stuck = False
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_answers())
                tasks.create_task(self._send_what_is_due())
        except* _StreamEnded:
            log.debug("pod hung up", pod=self._hello.pod_id)
        except* TimeoutError:
            is_stuck = True
        if is_stuck:
            log.warning("pod does not answer", pod=self._hello.pod_id)
            await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer to what was sent")

    async def _read_answers(self) -> None:
        recorder, pod_id = self._service.recorder, self._hello.pod_id
        while True:
            message = await self._context.read()
            if not isinstance(message, delivery_pb2.PodMessage):
                raise _StreamEnded
            match message.WhichOneof("message"):
                case "ack":
                    at = self._delivery.acknowledged(message.ack.shard, message.ack.nonce)
                    if at is not None:
                        recorder.acknowledged(pod_id, message.ack.shard, at)
                case "nack":
                    at = self._delivery.refused(message.nack.shard, message.nack.nonce)
                    if at is not None:
                        recorder.refused(pod_id, message.nack)
                        log.warning(
                            "pod refused a snapshot",
                            pod=pod_id,
                            shard=message.nack.shard,
                            version=at.version,
                            code=delivery_pb2.NackCode.Name(message.nack.code),
                        )
                case "status":
                    recorder.reported(pod_id, message.status)
                case _:
                    # A later revision's message, or a second greeting: nothing to act on.
                    continue
            self._answered.set()

    async def _send_what_is_due(self) -> None:
        next_beacon_s = 0.0
        while True:
            changed = self._service.feed.changed()
            self._answered.clear()
            await self._send_updates()
            now_s = time.monotonic()
            # A beacon names what is in force; before the first look at the database that is not known.
            if now_s >= next_beacon_s and self._service.feed.heads:
                await self._write(self._service.beacon())
                next_beacon_s = now_s + self._service.beacon_interval_s
            if (shard := self._delivery.overdue(now_s)) is not None:
                raise TimeoutError(shard)
            deadline_s = next_beacon_s or now_s + self._service.beacon_interval_s
            if (answer_s := self._delivery.next_deadline_s()) is not None:
                deadline_s = min(deadline_s, answer_s)
            await _first_of(changed, self._answered, timeout_s=max(0.0, deadline_s - now_s))

    async def _send_updates(self) -> None:
        heads = self._service.feed.heads
        for shard in self._delivery.gone(heads) if heads else ():
            forget = delivery_pb2.Forget(shard=shard)
            await self._write(delivery_pb2.ControlMessage(nonce=secrets.token_bytes(12), forget=forget))
        for shard in self._delivery.confirm(heads):
            self._service.recorder.acknowledged(self._hello.pod_id, shard, heads[shard].at)
        # One payload at a time per stream: a new pod is owed everything.
        for shard in self._delivery.due(heads):
            async with self._service.sending:
                sealed = await self._service.feed.sealed(shard)
                if sealed is None:
                    continue
                nonce = secrets.token_bytes(12)
                # Noted before it is written: the answer may overtake the end of the write.
                self._delivery.sent(shard, sealed.at, nonce, time.monotonic())
                await self._write(
                    delivery_pb2.ControlMessage(nonce=nonce, update=delivery_pb2.Update(shard=sealed.message))
                )

    async def _write(self, message: delivery_pb2.ControlMessage) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self._context.write(message)


async def _first_of(*events: asyncio.Event, timeout_s: float) -> None:
    """Wait until one of the events is set or the time is over."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
