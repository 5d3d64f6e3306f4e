"""Stands between a pod and the real gRPC services and changes shards on their way down; everything else it passes on.

Answers of the pod travel up untouched, so the real fleet learns what the pod says of a shard that was changed.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import grpc

from switchyard_contract.v1 import delivery_pb2, snapshot_pb2

Change = Callable[[snapshot_pb2.SealedShard], snapshot_pb2.SealedShard]
LARGEST_BYTES = 48 * 1024 * 1024
OPTIONS = (
    ("grpc.max_send_message_length", LARGEST_BYTES),
    ("grpc.max_receive_message_length", LARGEST_BYTES),
    ("grpc.use_local_subchannel_pool", 1),
)
SUBSCRIBE = "/switchyard_contract.v1.SnapshotDelivery/Subscribe"


class TamperingRelay:
    """A gRPC server on a loop of its own, in a thread."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._changes: dict[str, Change] = {}
        self.passed: dict[str, list[snapshot_pb2.SealedShard]] = {}
        """By shard: what the control plane sent, as it sent it."""
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)
        self.address = ""

    @contextlib.contextmanager
    def changing(self, shard: str, change: Change) -> Iterator[None]:
        """Change every version of a shard that passes while the block runs."""
        self._changes[shard] = change
        try:
            yield
        finally:
            del self._changes[shard]

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(10):
            raise RuntimeError("the relay does not listen")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        server = grpc.aio.server(options=(*OPTIONS, ("grpc.so_reuseport", 0)))
        async with grpc.aio.insecure_channel(self._target, options=OPTIONS) as channel:
            server.add_generic_rpc_handlers([_Handler(channel, self._change)])
            self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            await server.start()
            self._listening.set()
            await self._stopped.wait()
            await server.stop(grace=None)

    def _change(self, raw: bytes) -> bytes:
        message = delivery_pb2.ControlMessage.FromString(raw)
        if message.WhichOneof("message") != "update":
            return raw
        sealed = message.update.shard
        shard = snapshot_pb2.SealHeader.FromString(sealed.header).shard
        original = snapshot_pb2.SealedShard()
        original.CopyFrom(sealed)
        self.passed.setdefault(shard, []).append(original)
        change = self._changes.get(shard)
        if change is None:
            return raw
        sealed.CopyFrom(change(original))
        return message.SerializeToString()


class _Handler(grpc.GenericRpcHandler):
    """Any streaming call, as bytes, to the same method of the target."""

    def __init__(self, channel: grpc.aio.Channel, change: Callable[[bytes], bytes]) -> None:
        self._channel, self._change = channel, change

    def service(self, handler_call_details: Any) -> Any:
        method = str(handler_call_details.method)
        metadata: Sequence[tuple[str, str | bytes]] = [
            (name, value) for name, value in handler_call_details.invocation_metadata if name == "authorization"
        ]

        async def relay(requests: AsyncIterator[bytes], context: Any) -> None:
            call: Any = self._channel.stream_stream(method)(metadata=metadata)

            async def up() -> None:
                async for request in requests:
                    await call.write(request)
                await call.done_writing()

            rising = asyncio.create_task(up())
            try:
                async for answer in call:
                    await context.write(self._change(answer) if method == SUBSCRIBE else answer)
            except grpc.aio.AioRpcError as failure:
                await context.abort(failure.code(), failure.details() or "")
            finally:
                rising.cancel()
                call.cancel()
                await asyncio.gather(rising, return_exceptions=True)

        return grpc.stream_stream_rpc_method_handler(relay)


@contextlib.contextmanager
def tampering_relay(target: str) -> Iterator[TamperingRelay]:
    """A running relay in front of the gRPC services at host:port."""
    relay = TamperingRelay(target)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
