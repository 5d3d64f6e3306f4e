"""Heads and bodies that come too slowly, with limits short enough to wait for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from data_plane.exchange.ports import BodyRefused
from data_plane.ingress.body import Pace, read_body
from data_plane.ingress.connection import Connection, Listener

HEAD_LIMIT_S = 0.5
PACE = Pace(grace_s=0.2, bytes_per_s=100_000)
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    assert isinstance(request.protocol, Connection)
    request.protocol.head_began_s = 0.0
    try:
        body = await read_body(request, b"", 1 << 20, PACE)
    except BodyRefused as refused:
        return web.Response(status=refused.http_status or 413)
    return web.Response(body=b"%d" % len(body))


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    listener = Listener(answer, head_limit_s=HEAD_LIMIT_S, lingering_time=0.1)
    server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
    sweep = asyncio.create_task(listener.run())
    port = server.sockets[0].getsockname()[1]
    writers: list[asyncio.StreamWriter] = []

    async def make() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    yield make
    for writer in writers:
        writer.close()
    sweep.cancel()
    server.close()
    await listener.shutdown(1)


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx-a: "])
async def test_a_head_that_does_not_come_ends_the_connection(connect: Connect, start: bytes) -> None:
    reader, writer = await connect()
    writer.write(start)
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_between_requests_nobody_is_hurried(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(1) == b"2"
        await asyncio.sleep(2 * HEAD_LIMIT_S)


async def test_a_second_head_that_stops_ends_the_connection(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    await reader.readuntil(b"\r\n\r\n2")
    writer.write(b"POST / HT")
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_stops_is_refused(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi")
    async with asyncio.timeout(5):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_comes_fast_enough_may_take_longer_than_the_grace(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
    for _ in range(3):
        writer.write(b"x" * 20_000)
        await asyncio.sleep(PACE.grace_s / 2)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_what_cannot_be_read_is_neither_repeated_nor_logged(
    connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nx-secret : hidden-thing\r\n\r\n")
    received = await reader.read()
    assert b" 400 " in received
    assert b"hidden-thing" not in received
    told = capsys.readouterr()
    assert "hidden-thing" not in told.out + told.err
