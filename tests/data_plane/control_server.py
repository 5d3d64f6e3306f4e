"""A gRPC server in the test's own process, on a port of its own; it can be stopped and started again."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc

TOKEN = "sypod_for-tests"


class ControlServer:
    """add: puts a servicer on the server, `add_..._to_server` with the servicer bound."""

    def __init__(self, add: Callable[[grpc.aio.Server], None]) -> None:
        self._add = add
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._add(self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.stop()


def token_of(context: grpc.aio.ServicerContext) -> str:
    """What the caller sent as its token."""
    return dict(context.invocation_metadata() or ()).get("authorization", "")
