"""A client's connection: aiohttp's, with a limit for heads, a word when it is lost, and quiet answers to bad HTTP.

aiohttp waits for a request's head as long as it waits for the next request. Someone who sends a byte a minute would
hold connections for nothing, so a sweep closes those whose head is overdue.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from data_plane.ingress.front import Front

log = structlog.get_logger()

HEAD_LIMIT_S = 10.0
"""From a connection's start, or from the first byte of a later request, to the end of the head."""
KEEP_ALIVE_S = 75.0
"""From an answer to the next request."""
SHUTDOWN_S = 15.0
_SWEEP_S = 1.0
_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_UNREADABLE = (
    b'{"error":{"message":"Switchyard: This is no HTTP/1.1 request that can be read safely.",'
    b'"type":"invalid_request_error","param":null,"code":"request_invalid"}}'
)


class OnTheWire(web.StreamResponse):
    """What aiohttp is given back: an answer that has been written, or will never be."""

    def __init__(self, *, keeps_alive: bool) -> None:
        super().__init__()
        self._keeps_alive = keeps_alive

    @property
    def keep_alive(self) -> bool:
        return self._keeps_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing: it is done."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: it is done."""


KEPT = OnTheWire(keeps_alive=True)
CLOSED = OnTheWire(keeps_alive=False)


class Connection(RequestHandler):
    """One connection of the gateway port."""

    __slots__ = ("head_began_s", "on_lost")

    def __init__(self, manager: "Listener", *, loop: asyncio.AbstractEventLoop, **wishes: Any) -> None:
        super().__init__(manager, loop=loop, **wishes)
        self.on_lost: Callable[[], None] | None = None
        """Called once when the client is gone; set by whoever answers."""
        self.head_began_s = loop.time()
        """When the head that is on its way began; 0: none is. Whoever takes a request up sets it to 0."""

    @property
    def is_idle(self) -> bool:
        """Between requests: whatever came so far is at most a part of a head."""
        waiter = self._waiter
        return waiter is not None and not waiter.done()

    def data_received(self, data: bytes) -> None:
        heads = self._request_count
        super().data_received(data)
        if self._request_count != heads:
            self.head_began_s = 0.0
        elif data and not self.head_began_s and (self.is_idle or self._has_whole_request):
            self.head_began_s = self._loop.time()

    @property
    def _has_whole_request(self) -> bool:
        """What comes now belongs to the next head."""
        request = self._current_request
        return request is None or request.content.is_eof()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send what the handler gave back; nothing is left to do for an answer that is on the wire."""
        if isinstance(resp, OnTheWire) and not self._upgraded:
            return resp, False
        return await super().finish_response(request, resp, start_time)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()

    def is_overdue(self, now_s: float, limit_s: float) -> bool:
        return self.is_idle and self.head_began_s > 0.0 and now_s - self.head_began_s > limit_s

    def close_late(self) -> None:
        if self.transport is not None:
            self.transport.write(_LATE)
        self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be read, or broke outside the gateway's own net.

        Neither log nor answer repeats what came: it may hold a key or a prompt.
        """
        if status >= 500:
            log.error("a request broke the server", error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        status = 431 if isinstance(exc, LineTooLong) else status
        response = web.Response(status=status, body=_UNREADABLE, content_type="application/json")
        response.force_close()
        return response


class Listener(web.Server):
    """Makes connections, and looks after those that wait. Each begins as a front, if there is one to make."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        make_front: Callable[["Listener"], Front] | None = None,
        head_limit_s: float = HEAD_LIMIT_S,
        keepalive_timeout: float = KEEP_ALIVE_S,
        **wishes: Any,
    ) -> None:
        super().__init__(handler, **wishes)
        self._wishes = {**wishes, "keepalive_timeout": keepalive_timeout}
        self._make_front = make_front
        self._head_limit_s, self._keep_alive_s = head_limit_s, keepalive_timeout
        self._fronts: set[Front] = set()
        self.handed_over = 0
        """Connections on which a request came that is aiohttp's to read."""

    def __call__(self) -> Connection | Front:  # type: ignore[override]
        return self._make_connection() if self._make_front is None else self._make_front(self)

    def _make_connection(self) -> Connection:
        return Connection(self, loop=self._loop, **self._wishes)

    # What fronts tell.

    def came(self, front: Front) -> None:
        self._fronts.add(front)

    def went(self, front: Front) -> None:
        self._fronts.discard(front)

    def take_over(self, front: Front) -> Connection:
        """A connection of aiohttp's to go on with, whose head began when the front's did."""
        self.went(front)
        self.handed_over += 1
        connection = self._make_connection()
        connection.head_began_s = front.head_began_s or self._loop.time()
        return connection

    async def run(self) -> None:
        """Close what is overdue, until cancelled."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._head_limit_s / 4))
            now_s = self._loop.time()
            for connection in self.connections:
                if isinstance(connection, Connection) and connection.is_overdue(now_s, self._head_limit_s):
                    connection.close_late()
            for front in tuple(self._fronts):
                front.look(now_s, self._head_limit_s, self._keep_alive_s)

    def close_idle(self) -> None:
        """Close the connections that wait for a next request: nobody loses an answer by it."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.is_idle:
                connection.force_close()
        for front in tuple(self._fronts):
            if front.is_idle and front.transport is not None:
                front.flush()
                front.transport.close()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's own name
        """Wait for what runs, then end it."""
        limit_s = timeout if timeout is not None else SHUTDOWN_S
        await asyncio.gather(super().shutdown(limit_s), *(front.shutdown(limit_s) for front in tuple(self._fronts)))
