"""The way back to the caller: heads, chunks, a clean end or an honest break, written straight to the connection.

Whoever read the request (wire.py), the answer's head and framing are ours. aiohttp's response classes
would build, change and serialise a dictionary of headers that is complete and in bytes already, and await three
coroutines for each chunk of a stream (docs/decisions/0070-answers-are-written-by-us.md).
"""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from data_plane.exchange.ports import BodyRefused, ClientGone, Headers
from data_plane.exchange.stages import Buffer
from data_plane.ingress.wire import Wire

_FULL_BYTES = 64 * 1024
"""With more than this unsent a caller is waited for; also where the transport itself says so."""
_JOINED_BYTES = 32 * 1024
"""A body up to this size is copied behind its head: cheaper than handing two buffers to the kernel."""
_BODILESS = frozenset({204, 304})
_BREAKS = b"\r\n\0"
_STATUS_LINES = {each.value: b"HTTP/1.1 %d %b\r\n" % (each, each.phrase.encode()) for each in HTTPStatus}


class AnswerStream:
    """One exchange's ClientStream."""

    __slots__ = (
        "_chunked",
        "_closes_at_once",
        "_keeps_alive",
        "_limit_bytes",
        "_method",
        "_wire",
        "has_begun",
        "is_broken",
    )

    def __init__(self, wire: Wire, method: str, limit_bytes: int, *, closes: bool) -> None:
        """closes: the pod is draining, so that the connection is not kept after this answer."""
        self._wire, self._method, self._limit_bytes = wire, method, limit_bytes
        self._keeps_alive = wire.keeps_alive and not closes
        self._chunked = self._closes_at_once = False
        self.has_begun = False
        self.is_broken = False
        """Ended without a clean end, so nothing may follow on this connection."""

    @property
    def is_kept(self) -> bool:
        """The connection is good for another request."""
        return self._keeps_alive and self.has_begun and not self.is_broken

    @property
    def is_gone(self) -> bool:
        transport = self._wire.transport
        return transport is None or transport.is_closing()

    async def read_body(self) -> Buffer:
        try:
            return await self._wire.read_body(self._limit_bytes)
        except BodyRefused as refused:
            # Who sends too slowly, or in a way that is not read here, is not listened to any longer.
            self._closes_at_once = refused.http_status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.NOT_IMPLEMENTED)
            self._keeps_alive = self._keeps_alive and not self._closes_at_once
            raise

    async def whole(self, status: int, headers: Headers, body: bytes, lines: bytes = b"") -> None:
        framing = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % len(body)
        head = self._make_head(status, headers, lines, framing)
        transport = self._transport()
        if self._method == "HEAD":
            transport.write(head)
        elif len(body) <= _JOINED_BYTES:
            if self._keeps_alive:
                self._wire.write_soon(head + body)
                return
            transport.write(head + body)
            if self._closes_at_once:
                transport.close()
        else:
            transport.writelines((head, body))
            if transport.get_write_buffer_size() > _FULL_BYTES:
                await self.drained()

    async def start(self, status: int, headers: Headers, length: int | None, lines: bytes = b"") -> None:
        framing = b""
        if length is not None:
            framing = b"Content-Length: %d\r\n" % length
        elif self._wire.is_http11:
            self._chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
        else:
            # HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
            self._keeps_alive = False
        self._transport().write(self._make_head(status, headers, lines, framing))

    async def write(self, data: Buffer) -> None:
        if not self.push(data):
            await self.drained()

    def push(self, data: Buffer) -> bool:
        """Hand bytes over without waiting. False: so much is unsent that `drained` should be awaited."""
        transport = self._wire.transport
        # Over TLS a write to a closed connection may pass without an error.
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(b"".join((b"%x\r\n" % len(data), data, b"\r\n")) if self._chunked else data)
        return transport.get_write_buffer_size() <= _FULL_BYTES

    async def drained(self) -> None:
        """Return when the caller has taken most of what was handed over."""
        await self._wire.drained()

    async def end(self) -> None:
        transport = self._transport()
        if self._chunked:
            transport.write(b"0\r\n\r\n")

    def when_gone(self, call: Callable[[], None] | None) -> None:
        self._wire.when_lost(call)

    async def abort(self) -> None:
        self.is_broken = True
        transport = self._wire.transport
        if transport is None:
            raise ClientGone
        # Closing without the last chunk tells every HTTP client that the answer is incomplete, while what was written
        # still arrives; a reset could destroy it. A client that never reads is reset in the end.
        transport.close()
        asyncio.get_running_loop().call_later(5, transport.abort)

    def _transport(self) -> asyncio.Transport:
        transport = self._wire.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        return transport

    def _make_head(self, status: int, headers: Headers, lines: bytes, framing: bytes) -> bytes:
        """Status line and headers. Raises ValueError when a value would break out of its line.

        lines: headers of ours, which were looked at where they were written; framing: one line, or none.
        """
        theirs = b"".join([b"%b: %b\r\n" % header for header in headers])
        # Counting is cheaper than looking at every value: a line break too many is somebody else's.
        if len(theirs) - len(theirs.translate(None, _BREAKS)) != 2 * len(headers):
            raise ValueError("a header of the answer holds a line break or NUL")
        connection = b""
        if not self._keeps_alive:
            connection = b"Connection: close\r\n"
        elif not self._wire.is_http11:
            connection = b"Connection: keep-alive\r\n"
        has_date = b"\ndate: " in theirs or theirs.startswith(b"date: ")
        date = b"" if has_date else _date_line(int(time.time()))
        self.has_begun = True
        status_line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        return b"".join((status_line, theirs, lines, framing, connection, date, b"\r\n"))


@lru_cache(maxsize=2)
def _date_line(second: int) -> bytes:
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
