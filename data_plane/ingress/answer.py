"""The way back to the caller on aiohttp: heads, chunks, a clean end or an honest break."""

import asyncio

from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionResetError
from multidict import CIMultiDict

from data_plane.exchange.ports import ClientGone, Headers
from data_plane.exchange.stages import Buffer
from data_plane.ingress.body import read_body
from data_plane.protocols.codec import RequestHead

_GONE = (ConnectionError, ClientConnectionResetError)


class AnswerStream:
    """One exchange's ClientStream over an aiohttp request."""

    __slots__ = ("_encoding", "_head", "_limit_bytes", "_request", "closes", "response")

    def __init__(self, request: web.BaseRequest, head: RequestHead, limit_bytes: int, *, closes: bool) -> None:
        self._request, self._head, self._limit_bytes = request, head, limit_bytes
        self.closes = closes
        """The pod is draining: the connection is not kept after this answer."""
        self.response: web.StreamResponse | None = None
        """What the handler gives back to aiohttp."""

    async def read_body(self) -> Buffer:
        encoding = b""
        expects = False
        for name, value in self._head.headers:
            if name == b"content-encoding":
                encoding = value.strip().lower()
            elif name == b"expect":
                expects = value.lower() == b"100-continue"
        if expects and self._request.transport is not None:
            # Said only now, after the key was accepted: a refused caller never sends its body.
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await read_body(self._request, encoding, self._limit_bytes)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        response = web.Response(status=status, headers=_multidict(headers), body=body)
        await self._begin(response)

    async def start(self, status: int, headers: Headers, length: int | None) -> None:
        response = web.StreamResponse(status=status, headers=_multidict(headers))
        if length is not None:
            response.content_length = length
        response._send_headers_immediately = True
        await self._begin(response)

    async def _begin(self, response: web.StreamResponse) -> None:
        self.response = response
        if self.closes:
            response.force_close()
        try:
            await response.prepare(self._request)
        except _GONE as failure:
            raise ClientGone from failure

    async def write(self, data: Buffer) -> None:
        response = self.response
        assert response is not None
        try:
            await response.write(data)
        except _GONE as failure:
            raise ClientGone from failure
        transport = self._request.transport
        if transport is None or transport.is_closing():
            # Over TLS a write to a closed connection may pass without an error.
            raise ClientGone

    async def end(self) -> None:
        response = self.response
        assert response is not None
        try:
            await response.write_eof()
        except _GONE as failure:
            raise ClientGone from failure

    async def abort(self) -> None:
        transport = self._request.transport
        if transport is None:
            raise ClientGone
        # Closing without the last chunk tells every HTTP client that the answer is incomplete, while what was written
        # still arrives; a reset could destroy it. A client that never reads is reset in the end.
        transport.close()
        asyncio.get_running_loop().call_later(5, transport.abort)


def _multidict(headers: Headers) -> CIMultiDict[str]:
    return CIMultiDict([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
