"""What an answer is written to: a connection that is aiohttp's, or one that the gateway reads itself (front.py)."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.client_exceptions import ClientConnectionResetError

from data_plane.exchange.ports import BodyRefused, ClientGone
from data_plane.exchange.stages import Buffer
from data_plane.ingress.body import read_body
from data_plane.ingress.connection import Connection
from data_plane.protocols.codec import RequestHead

_GONE = (ConnectionError, ClientConnectionResetError)
_READ_FIRST = frozenset({b"content-encoding", b"expect", b"transfer-encoding"})


class Wire(Protocol):
    """One request's connection to its caller."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None: the connection is lost."""

    @property
    def is_http11(self) -> bool: ...

    @property
    def keeps_alive(self) -> bool:
        """The caller would send its next request here."""

    async def read_body(self, limit_bytes: int) -> Buffer:
        """The whole body. Raises BodyRefused or ClientGone."""

    def write_soon(self, data: bytes) -> None:
        """Send a whole answer after which the connection is kept, at once or together with those of other callers."""

    async def drained(self) -> None:
        """Return when the caller has taken most of what was sent. Raises ClientGone."""

    def when_lost(self, call: Callable[[], None] | None) -> None:
        """Have something called once, when the connection is lost; at once when it is. None: no longer."""


class RequestWire:
    """The connection of a request that aiohttp read."""

    __slots__ = ("_head", "_request", "is_http11", "keeps_alive")

    def __init__(self, request: web.BaseRequest, head: RequestHead) -> None:
        self._request, self._head = request, head
        self.is_http11 = request.version >= HttpVersion11
        self.keeps_alive = request.keep_alive

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._request.transport

    async def read_body(self, limit_bytes: int) -> Buffer:
        request, content = self._request, self._request.content
        if (
            content.is_eof()
            and content.total_bytes <= limit_bytes
            and content.exception() is None
            and _READ_FIRST.isdisjoint(dict(self._head.headers))
        ):
            # A short body came in the same segment as its head: there is nothing to wait for.
            return content.read_nowait()
        transfer = request.headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower()
        if transfer != "chunked":
            # The parser takes "gzip, chunked" and leaves the body compressed, so upstream would read something else.
            why = f"Transfer-Encoding {transfer[:40]!r} is not understood; send chunked, or a Content-Length."
            raise BodyRefused(too_large=False, http_status=501, why=why)
        encoding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower().encode()
        expects = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
        if expects and request.transport is not None:
            # Said only now, after the key was accepted: a refused caller never sends its body.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await read_body(request, encoding, limit_bytes)

    def write_soon(self, data: bytes) -> None:
        if self._request.transport is not None:
            self._request.transport.write(data)

    async def drained(self) -> None:
        try:
            await self._request.writer.drain()
        except _GONE as failure:
            raise ClientGone from failure

    def when_lost(self, call: Callable[[], None] | None) -> None:
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        if call is not None and connection.transport is None:
            call()
        else:
            connection.on_lost = call
