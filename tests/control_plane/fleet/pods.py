"""A pod that only talks: it verifies, answers and remembers what it was told."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.conf import settings

from switchyard_contract.envelope import open_key_material
from switchyard_contract.revision import REVISION
from switchyard_contract.seal import OpenedShard, VerifyKeys, open_beacon, open_sealed
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc, snapshot_pb2

WAIT_S = 5.0
Stream = grpc.aio.StreamStreamCall[delivery_pb2.PodMessage, delivery_pb2.ControlMessage]


@dataclass
class TalkingPod:
    """One subscription. refuses: shards that are answered with a NACK. is_mute: answers nothing."""

    __test__ = False

    stream: Stream
    key: X25519PrivateKey
    pod_id: str
    refuses: set[str] = field(default_factory=set)
    is_mute: bool = False
    held: dict[str, OpenedShard] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    beacons: list[delivery_pb2.BeaconBody] = field(default_factory=list)
    material: delivery_pb2.KeyMaterial | None = None
    received: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Take over what comes until the stream ends."""
        while True:
            message = await self.stream.read()
            if not isinstance(message, delivery_pb2.ControlMessage):
                return
            kind = message.WhichOneof("message")
            self.order.append(kind or "")
            if kind == "keys":
                self.material = open_key_material(message.keys, self.key)
            elif kind == "beacon":
                self.beacons.append(open_beacon(message.beacon, deployment=_deployment(), keys=_keys()))
            elif kind == "forget":
                self.forgotten.append(message.forget.shard)
            elif kind == "update":
                await self._answer(message)
            self.received.set()

    async def until(self, is_so: Callable[[], bool], timeout_s: float = WAIT_S) -> float:
        """Wait until something is so; gives the seconds it took. Raises TimeoutError."""
        begun = time.monotonic()
        async with asyncio.timeout(timeout_s):
            while not is_so():
                self.received.clear()
                await self.received.wait()
        return time.monotonic() - begun

    def denied(self, shard: str) -> set[str]:
        """The key ids in a deny shard that is held."""
        held = self.held.get(shard)
        return set() if held is None else {row.key_id for row in snapshot_pb2.DenyShard.FromString(held.payload).keys}

    async def _answer(self, message: delivery_pb2.ControlMessage) -> None:
        opened = open_sealed(message.update.shard, deployment=_deployment(), keys=_keys())
        self.order[-1] = opened.shard
        if self.is_mute:
            return
        if opened.shard in self.refuses:
            nack = delivery_pb2.Nack(
                nonce=message.nonce,
                shard=opened.shard,
                epoch=opened.at.epoch,
                offered=opened.at.version,
                code=delivery_pb2.NACK_CODE_INVALID,
                detail="virtual_models/fast leads nowhere",
            )
            await self.stream.write(delivery_pb2.PodMessage(nack=nack))
            return
        self.held[opened.shard] = opened
        ack = delivery_pb2.Ack(
            nonce=message.nonce, shard=opened.shard, epoch=opened.at.epoch, version=opened.at.version
        )
        await self.stream.write(delivery_pb2.PodMessage(ack=ack))


@asynccontextmanager
async def a_pod(
    port: int,
    token: str,
    *,
    pod_id: str = "pod-1",
    have: dict[str, OpenedShard] | None = None,
    refuses: set[str] | None = None,
    is_mute: bool = False,
    greets: bool = True,
) -> AsyncIterator[TalkingPod]:
    """A pod that is subscribed while the block runs.

    greets: False where it is refused before anybody reads its greeting: a write to a call that is over while its status
    is still on the way makes a status of gRPC's own.
    """
    key = X25519PrivateKey.generate()
    options = [("grpc.max_receive_message_length", 16 * 1024 * 1024)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        stream = delivery_pb2_grpc.SnapshotDeliveryStub(channel).Subscribe(
            metadata=(("authorization", f"Bearer {token}"),)
        )
        pod = TalkingPod(stream, key, pod_id, refuses=refuses or set(), is_mute=is_mute)
        hello = delivery_pb2.Hello(
            pod_id=pod_id,
            boot_id=os.urandom(16),
            contract_revision=REVISION,
            x25519_public_key=key.public_key().public_bytes_raw(),
            software_version="test",
            address="127.0.0.1:9100",
            have=[
                delivery_pb2.Have(
                    shard=shard, epoch=held.at.epoch, version=held.at.version, payload_sha256=held.payload_sha256
                )
                for shard, held in (have or {}).items()
            ],
        )
        if greets:
            await stream.write(delivery_pb2.PodMessage(hello=hello))
        listening = asyncio.create_task(pod.listen())
        try:
            yield pod
        finally:
            stream.cancel()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _deployment() -> str:
    return str(settings.SWITCHYARD.deployment_id)


def _keys() -> VerifyKeys:
    key = settings.SWITCHYARD.signing_key
    return VerifyKeys({key.key_id: key.public_bytes})
