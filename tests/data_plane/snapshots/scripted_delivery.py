"""A control plane in the test's own process: sends what it is told to, keeps what it hears."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

import grpc

from switchyard_contract.envelope import seal_key_material
from switchyard_contract.seal import SigningKey, seal_beacon
from switchyard_contract.v1 import delivery_pb2, delivery_pb2_grpc
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.control_server import ControlServer, token_of
from tests.data_plane.snapshots.builders import DEPLOYMENT, NOW_MS, SIGNER


class ScriptedDelivery(delivery_pb2_grpc.SnapshotDeliveryServicer):
    """on_hello: what each new stream is sent at once, unless the pod says that it has it."""

    def __init__(self, on_hello: Sequence[pb.SealedShard] = ()) -> None:
        self.on_hello = list(on_hello)
        self.hellos: list[delivery_pb2.Hello] = []
        self.acks: list[delivery_pb2.Ack] = []
        self.nacks: list[delivery_pb2.Nack] = []
        self.statuses: list[delivery_pb2.Status] = []
        self.tokens: list[str] = []
        self.refuses_with: grpc.StatusCode | None = None
        self.key_material: delivery_pb2.KeyMaterial | None = None
        self.sent_at_hello = 0
        self._outgoing: asyncio.Queue[delivery_pb2.ControlMessage | None] = asyncio.Queue()
        self._nonces = (number.to_bytes(4, "big") for number in itertools.count(1))

    def send_update(self, offer: pb.SealedShard) -> None:
        self.send(delivery_pb2.ControlMessage(update=delivery_pb2.Update(shard=offer)))

    def send_forget(self, shard: str) -> None:
        self.send(delivery_pb2.ControlMessage(forget=delivery_pb2.Forget(shard=shard)))

    def send_beacon(self, issued_at_ms: int = NOW_MS, *, key: SigningKey = SIGNER, heads: bytes = b"") -> None:
        body = delivery_pb2.BeaconBody(
            deployment=DEPLOYMENT, sequence=1, issued_at_ms=issued_at_ms, live_pods=3, shards_sha256=heads
        )
        self.send(delivery_pb2.ControlMessage(beacon=seal_beacon(body, key)))

    def send(self, message: delivery_pb2.ControlMessage) -> None:
        message.nonce = next(self._nonces)
        self._outgoing.put_nowait(message)

    def end_stream(self) -> None:
        self._outgoing.put_nowait(None)

    async def Subscribe(
        self, request_iterator: AsyncIterator[delivery_pb2.PodMessage], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[delivery_pb2.ControlMessage]:
        self.tokens.append(token_of(context))
        if self.refuses_with is not None:
            await context.abort(self.refuses_with, "scripted")
        hello = (await anext(request_iterator)).hello
        self.hellos.append(hello)
        listening = asyncio.create_task(self._listen(request_iterator))
        try:
            if self.key_material is not None:
                envelope = seal_key_material(self.key_material, hello.x25519_public_key)
                yield delivery_pb2.ControlMessage(keys=envelope)
            held = {(have.shard, have.epoch, have.version) for have in hello.have}
            for offer in self.on_hello:
                header = pb.SealHeader.FromString(offer.header)
                if (header.shard, header.epoch, header.version) not in held:
                    self.sent_at_hello += 1
                    yield delivery_pb2.ControlMessage(nonce=next(self._nonces), update=delivery_pb2.Update(shard=offer))
            while (message := await self._outgoing.get()) is not None:
                yield message
        finally:
            listening.cancel()

    async def _listen(self, messages: AsyncIterator[delivery_pb2.PodMessage]) -> None:
        async for message in messages:
            match message.WhichOneof("message"):
                case "ack":
                    self.acks.append(message.ack)
                case "nack":
                    self.nacks.append(message.nack)
                case "status":
                    self.statuses.append(message.status)


def serving(delivery: ScriptedDelivery) -> ControlServer:
    return ControlServer(lambda server: delivery_pb2_grpc.add_SnapshotDeliveryServicer_to_server(delivery, server))
