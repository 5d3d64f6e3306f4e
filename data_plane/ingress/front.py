"""The front of a connection: plain requests are read here, in one step; the first odd one takes it to aiohttp for good.

aiohttp's server spends more on a short request than policy and books together (docs/decisions/0073). What tools send
all day needs little of it: a head of the plainest kind and a body of known length (`plain_head.py`). Everything else,
and everything that is wrong, is handed over with every byte of it unread, so that nothing is understood in two ways.

States: *waiting* for a head, *busy* with one exchange (its body may still be on the way), *lingering* (answered, and
the rest of the body is read and dropped, since closing at once could destroy the answer). One task serves all requests
of a connection, one after the other: to make one costs more than to wake it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

from data_plane.exchange.ports import ClientGone
from data_plane.exchange.stages import Buffer
from data_plane.ingress.body import PACE, Pace, too_slow
from data_plane.ingress.plain_head import MAX_HEAD_BYTES, PlainHead, read_plain_head

_PENDING_BYTES = 64 * 1024
"""So much of later requests is taken while one is served; then reading stops until it is answered."""
_LINGER_S = 10.0
_CLOSE_S = 5.0
_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Serve = Callable[[PlainHead, "Front"], Awaitable[bool]]
"""Serves one exchange and says whether the connection is good for another."""

Soon = Callable[[Callable[[], None]], None]
"""Calls what it is given in the loop's next turn, before any task that is begun or woken after it."""


class Desk(Protocol):
    """What a front needs of the listener."""

    def came(self, front: "Front") -> None: ...
    def went(self, front: "Front") -> None: ...
    def take_over(self, front: "Front") -> asyncio.Protocol: ...


class Front(asyncio.Protocol):
    """One connection, as long as only plain requests come on it. Also the wire of its answers (answer.py, Wire)."""

    __slots__ = (
        "_arrived",
        "_asked",
        "_body_waiter",
        "_desk",
        "_is_ending",
        "_is_kept",
        "_last",
        "_linger_until_s",
        "_loop",
        "_max_body_bytes",
        "_missing",
        "_more",
        "_outgoing",
        "_pace",
        "_pieces",
        "_room",
        "_serve",
        "_soon",
        "_task",
        "_unread",
        "body_began_s",
        "head_began_s",
        "idle_since_s",
        "on_lost",
        "remote",
        "transport",
    )
    is_http11 = keeps_alive = True

    def __init__(
        self,
        desk: Desk,
        serve: Serve,
        loop: asyncio.AbstractEventLoop,
        *,
        max_body_bytes: int,
        pace: Pace = PACE,
        soon: Soon | None = None,
    ) -> None:
        """soon: when a short answer is sent; without it, at once."""
        self._desk, self._serve, self._loop, self._pace = desk, serve, loop, pace
        self._max_body_bytes = max_body_bytes
        self._soon = soon
        self._outgoing = b""
        """An answer that is to be sent with others of this turn of the loop."""
        self._is_kept = True
        self._is_ending = False
        """No request is served any more after the one that is."""
        self.transport: asyncio.Transport | None = None
        self.remote = ""
        self.on_lost: Callable[[], None] | None = None
        self.head_began_s = self.idle_since_s = loop.time()
        """When the head that is on its way began; 0: none is."""
        self.body_began_s = 0.0
        self._last: PlainHead | None = None
        self._asked: PlainHead | None = None
        """The request that is served."""
        self._task: asyncio.Task[None] | None = None
        """Serves requests, or waits for the next; None: there was none yet, or there will be none."""
        self._more: asyncio.Future[None] | None = None
        """What it waits for."""
        self._unread = b""
        """A part of a head, or later requests."""
        self._pieces: list[bytes] = []
        self._missing = 0
        """So much of the body has not come yet."""
        self._arrived = 0
        self._body_waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        """Made while the caller is slow: done when it has taken most of what was sent."""
        self._linger_until_s = 0.0

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport, only of its shape.
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._desk.came(self)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            data = self._take_body(data)
        if not data or self.transport is None or self.transport.is_closing():
            # Behind the last answer of this connection nothing is taken up any more.
            return
        if self.is_idle:
            self._read(self._unread + data if self._unread else data)
            return
        self._unread += data
        if len(self._unread) > _PENDING_BYTES:
            self.transport.pause_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.transport = None
        self._desk.went(self)
        self._wake()
        for waiter in (self._body_waiter, self._room):
            if waiter is not None and not waiter.done():
                waiter.set_exception(ClientGone())
                # Whoever waited may have been cancelled in this turn of the loop.
                waiter.exception()
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # Requests.

    @property
    def is_idle(self) -> bool:
        """Between requests: whatever came so far is at most a part of a head."""
        return self._asked is None and not self._linger_until_s

    @property
    def body_bytes(self) -> int:
        """How long the body of this request is, come or not."""
        return self._arrived + self._missing

    def _read(self, data: bytes) -> None:
        """Take up the request that begins here, as far as it has come."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(data) > MAX_HEAD_BYTES or not data.startswith(b"POST "[: len(data)]):
                self._hand_over(data)
                return
            self._unread = data
            self.head_began_s = self.head_began_s or self._loop.time()
            return
        found = read_plain_head(data[:end], self._last)
        if found is None or found[1] > self._max_body_bytes:
            self._hand_over(data)
            return
        self._last, length = found
        self.head_began_s = 0.0
        self._arrived, self._missing = 0, length
        self._pieces = []
        rest = data[end:]
        self._unread = self._take_body(rest) if length else rest
        if self._missing:
            self.body_began_s = self._loop.time()
        self._asked = self._last
        if self._task is None:
            self._task = self._loop.create_task(self._converse())
        else:
            self._wake()

    def _take_body(self, data: bytes) -> bytes:
        """Take what belongs to the body; give back what comes behind it."""
        behind = b""
        if len(data) > self._missing:
            data, behind = data[: self._missing], data[self._missing :]
        self._missing -= len(data)
        self._arrived += len(data)
        if self._linger_until_s:
            if not self._missing:
                self._linger_until_s = 0.0
                self._settle()
        else:
            self._pieces.append(data)
            waiter = self._body_waiter
            if not self._missing and waiter is not None and not waiter.done():
                waiter.set_result(None)
        return behind

    async def _converse(self) -> None:
        """Serve one request after the other, as long as the connection is kept."""
        try:
            while self._asked is not None:
                self._is_kept = False
                try:
                    self._is_kept = await self._serve(self._asked, self)
                finally:
                    self._asked = None
                    self._pieces = []
                    self._settle()
                if self._is_ending:
                    return
                if self._asked is not None:
                    # The answer before it leaves first.
                    await asyncio.sleep(0)
                elif self.transport is not None:
                    self._more = self._loop.create_future()
                    await self._more
        finally:
            self._task = self._more = None

    def _wake(self) -> None:
        """Have the task look again: a request came, or none will."""
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _settle(self) -> None:
        """After an answer: on to the next request, or to the end of the connection."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        self.idle_since_s = self._loop.time()
        if self._missing:
            self._linger_until_s = self.idle_since_s + _LINGER_S
        elif not self._is_kept:
            self._close(transport)
        elif self._unread:
            unread, self._unread = self._unread, b""
            transport.resume_reading()
            self._read(unread)

    def _close(self, transport: asyncio.Transport) -> None:
        """Deliver what was written, then close; a caller that never reads is reset in the end."""
        self.flush()
        transport.close()
        self._loop.call_later(_CLOSE_S, transport.abort)

    def _hand_over(self, data: bytes) -> None:
        """Give the connection to aiohttp, with everything that has not been answered yet."""
        self.flush()
        transport, self.transport = self.transport, None
        if transport is None or transport.is_closing():
            return
        self._unread, self._last = b"", None
        self._wake()
        handler = self._desk.take_over(self)
        transport.set_protocol(handler)
        handler.connection_made(transport)
        if self._room is not None:
            handler.pause_writing()
        handler.data_received(data)

    # The wire of an answer.

    async def read_body(self, limit_bytes: int) -> Buffer:
        """The whole body; what is longer than the limit never comes here."""
        if self._missing:
            if self.transport is None:
                raise ClientGone
            self._body_waiter = self._loop.create_future()
            try:
                await self._body_waiter
            finally:
                self._body_waiter = None
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write_soon(self, data: bytes) -> None:
        if self._soon is None:
            if self.transport is not None:
                self.transport.write(data)
            return
        self._outgoing += data
        self._soon(self.flush)

    def flush(self) -> None:
        """Send what waits for the end of the turn."""
        outgoing, self._outgoing = self._outgoing, b""
        if outgoing and self.transport is not None and not self.transport.is_closing():
            self.transport.write(outgoing)

    async def drained(self) -> None:
        if self.transport is None:
            raise ClientGone
        if self._room is not None:
            # The next answer may wait for the same room, also when this one is cut.
            await asyncio.shield(self._room)

    def when_lost(self, call: Callable[[], None] | None) -> None:
        if call is not None and self.transport is None:
            call()
        else:
            self.on_lost = call

    # Time, and the pod's end.

    def look(self, now_s: float, head_limit_s: float, keep_alive_s: float) -> None:
        """End what takes too long. Called by the listener's sweep."""
        transport, waiter = self.transport, self._body_waiter
        if transport is None or transport.is_closing():
            return
        if self._linger_until_s:
            if now_s > self._linger_until_s:
                self._close(transport)
        elif self.is_idle:
            if self.head_began_s and now_s - self.head_began_s > head_limit_s:
                transport.write(_LATE)
                self._close(transport)
            elif not self.head_began_s and now_s - self.idle_since_s > keep_alive_s:
                self._close(transport)
        elif (
            waiter is not None and not waiter.done() and now_s - self.body_began_s > self._pace.time_for(self._arrived)
        ):
            waiter.set_exception(too_slow(self._arrived))

    async def shutdown(self, limit_s: float) -> None:
        """Wait for what runs, then end it."""
        self._is_ending = True
        self._wake()
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=limit_s)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=limit_s)
        if self.transport is not None:
            self.flush()
            self.transport.abort()
