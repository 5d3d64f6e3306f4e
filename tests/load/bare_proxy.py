"""The yardstick: the plainest reverse proxy that aiohttp's server and client make. No key, no usage, no policy.

Usage: python -m tests.load.bare_proxy PORT UPSTREAM_URL
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


async def serve(port: int, upstream: str) -> None:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.content.read()
        async with session.request(request.method, upstream + request.path_qs, headers=headers, data=body) as answer:
            response = web.StreamResponse(
                status=answer.status,
                headers={name: value for name, value in answer.headers.items() if name.lower() not in _HOP},
            )
            if answer.content_length is not None:
                response.content_length = answer.content_length
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    server = web.Server(handle, access_log=None)
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), sys.argv[2]))
