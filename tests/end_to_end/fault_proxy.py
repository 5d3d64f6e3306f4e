"""A TCP proxy that fails on command: connections through it are cut, swallowed, or carried.

It runs on a loop of its own in a thread, so that blocking tests and asyncio ones can use it alike.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from enum import Enum, auto


class Fault(Enum):
    """What happens to connections, old and new."""

    NONE = auto()
    CUT = auto()
    """Reset at once, as when a process is gone."""
    BLACK_HOLE = auto()
    """Accepted and never carried, as when a network drops every packet."""


class FaultProxy:
    """One listener in front of one address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._fault = Fault.NONE
        self._writers: set[asyncio.StreamWriter] = set()
        self._may_pass = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)
        self._listening = threading.Event()
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(10):
            raise RuntimeError("the proxy does not listen")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        self._loop.close()

    def set(self, fault: Fault) -> None:
        """From now on, for connections that are open and those to come; returns when it holds.

        Bytes swallowed are lost: on the way back to NONE every old connection is cut, as a real one would be.
        """
        asyncio.run_coroutine_threadsafe(self._set(fault), self._loop).result(10)

    async def _set(self, fault: Fault) -> None:
        was, self._fault = self._fault, fault
        if fault is Fault.BLACK_HOLE:
            self._may_pass.clear()
        else:
            self._may_pass.set()
        if fault is Fault.CUT or was is Fault.BLACK_HOLE:
            for writer in list(self._writers):
                writer.transport.abort()

    async def _run(self) -> None:
        self._may_pass.set()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._listening.set()
        await self._stopped.wait()
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self._fault is Fault.CUT:
                return
            await self._may_pass.wait()
            far_reader, far = await asyncio.open_connection(*self._target)
            self._writers.add(far)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far))
                group.create_task(self._pump(far_reader, writer))
        except* OSError:
            # One side is gone: the end of both below is all there is to do.
            self._writers.discard(writer)
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await self._may_pass.wait()
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError("one side hung up")


@contextlib.contextmanager
def fault_proxy(address: str) -> Iterator[FaultProxy]:
    """A running proxy in front of host:port."""
    host, _, port = address.rpartition(":")
    proxy = FaultProxy(host, int(port))
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
