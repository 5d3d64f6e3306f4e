"""A connection that begins at the front: in order, in pieces, handed over, and ended when it takes too long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from data_plane.exchange.ports import BodyRefused, ClientGone
from data_plane.ingress.answer import AnswerStream
from data_plane.ingress.body import Pace
from data_plane.ingress.connection import CLOSED, KEPT, Listener
from data_plane.ingress.front import Front
from data_plane.ingress.plain_head import PlainHead
from data_plane.ingress.wire import RequestWire
from data_plane.protocols.codec import RequestHead

HEAD_LIMIT_S = 0.4
PACE = Pace(grace_s=0.2, bytes_per_s=100_000)
LIMIT = 1 << 20
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def hot(body: bytes, *lines: bytes, path: bytes = b"/v1/messages") -> bytes:
    """A plain request."""
    head = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def cold(body: bytes) -> bytes:
    """The same with chunks, which are aiohttp's to read."""
    head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


class House:
    """Answers each request with its body, and says who read it."""

    def __init__(self) -> None:
        self.fronts: list[Front] = []
        self.events: list[str] = []
        self.served = 0
        self.port = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.held_back: list[Callable[[], None]] | None = None
        self.listener = Listener(
            self._handle, make_front=self._make_front, head_limit_s=HEAD_LIMIT_S, keepalive_timeout=60.0
        )

    def _make_front(self, listener: Listener) -> Front:
        loop = asyncio.get_running_loop()
        self.fronts.append(Front(listener, self._serve, loop, max_body_bytes=LIMIT, pace=PACE, soon=self._soon))
        return self.fronts[-1]

    def _soon(self, send: Callable[[], None]) -> None:
        """In the loop's next turn, unless the test holds answers back."""
        if self.held_back is None:
            asyncio.get_running_loop().call_soon(send)
        else:
            self.held_back.append(send)

    async def _serve(self, plain: PlainHead, front: Front) -> bool:
        self.served += 1
        out = AnswerStream(front, "POST", LIMIT, closes=b"x-closes" in plain.head.names)
        if b"x-early" in plain.head.names:
            await out.whole(403, (), b"no")
        else:
            await self._echo(out, b"front")
        return out.is_kept

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        head = RequestHead("POST", "/", "", tuple((n.lower(), v) for n, v in request.raw_headers))
        out = AnswerStream(RequestWire(request, head), "POST", LIMIT, closes=False)
        await self._echo(out, b"aiohttp")
        return KEPT if out.is_kept else CLOSED

    async def _echo(self, out: AnswerStream, reader: bytes) -> None:
        await self.gate.wait()
        out.when_gone(lambda: self.events.append("gone"))
        try:
            body = bytes(await out.read_body())
        except BodyRefused as refused:
            await out.whole(refused.http_status or 413, (), b"")
            return
        except ClientGone:
            self.events.append("broke off")
            return
        if body == b"stop":
            raise ClientGone
        await out.whole(200, ((b"x-reader", reader),), body)
        out.when_gone(None)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    server = await asyncio.get_running_loop().create_server(house.listener, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    sweep = asyncio.create_task(house.listener.run())
    yield house
    sweep.cancel()
    server.close()
    await house.listener.shutdown(1)


@pytest.fixture
async def connect(house: House) -> AsyncIterator[Connect]:
    writers: list[asyncio.StreamWriter] = []

    async def make() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writers.append(writer)
        return reader, writer

    yield make
    for writer in writers:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Status, who read the request, body."""
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await reader.readexactly(int(fields[b"content-length"]))
    return int(head.split()[1]), fields.get(b"x-reader", b""), body


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_requests_are_answered_in_order_however_they_are_cut(connect: Connect) -> None:
    reader, writer = await connect()
    sent = hot(b"one") + hot(b"") + hot(b"three", b"x-a: 1")
    for size in (1, 7, 64, len(sent)):
        for start in range(0, len(sent), size):
            writer.write(sent[start : start + size])
            if size < 64:
                await asyncio.sleep(0)
        for body in (b"one", b"", b"three"):
            assert await read_answer(reader) == (200, b"front", body)


async def test_the_first_odd_request_goes_to_aiohttp_and_so_does_the_rest(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(hot(b"1") + hot(b"2") + cold(b"3") + hot(b"4") + cold(b"5"))
    read = [await read_answer(reader) for _ in range(5)]
    assert [body for _, _, body in read] == [b"1", b"2", b"3", b"4", b"5"]
    assert [by for _, by, _ in read] == [b"front", b"front", b"aiohttp", b"aiohttp", b"aiohttp"]
    assert house.listener.handed_over == 1


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"POSTER"])
async def test_what_cannot_become_plain_is_handed_over_at_once(house: House, connect: Connect, start: bytes) -> None:
    _, writer = await connect()
    writer.write(start)
    await until(lambda: house.listener.handed_over == 1)


async def test_a_large_body_comes_in_pieces(connect: Connect) -> None:
    reader, writer = await connect()
    body = bytes(range(256)) * 4096
    writer.write(hot(body) + hot(b"next"))
    assert await read_answer(reader) == (200, b"front", body)
    assert await read_answer(reader) == (200, b"front", b"next")


async def test_a_body_above_the_limit_is_aiohttp_s_to_refuse(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))
    assert (await read_answer(reader))[0] == 413
    assert house.listener.handed_over == 1


async def test_later_requests_wait_and_stop_being_read(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    house.gate.clear()
    writer.write(hot(b"first"))
    body = b"x" * 50_000
    for _ in range(40):
        writer.write(hot(body))
    await until(lambda: len(house.fronts) == 1 and len(house.fronts[0]._unread) > 64 * 1024)
    assert len(house.fronts[0]._unread) < 1024 * 1024
    house.gate.set()
    assert (await read_answer(reader))[2] == b"first"
    for _ in range(40):
        assert (await read_answer(reader))[2] == body


async def test_a_body_that_was_not_taken_does_not_become_a_request(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    smuggled = hot(b"smuggled")
    writer.write(hot(b"x" * 9)[:-9])
    await until(lambda: len(house.fronts) == 1)
    # Answered 408 before the body came, so what comes now is dropped with the connection.
    assert (await read_answer(reader))[0] == 408
    writer.write(smuggled)
    async with asyncio.timeout(10):
        assert b"smuggled" not in await reader.read()


async def test_what_is_left_of_a_refused_body_is_dropped_before_the_next_request(connect: Connect) -> None:
    reader, writer = await connect()
    early = hot(hot(b"smuggled"), b"x-early: 1")
    writer.write(early[:-20])
    assert await read_answer(reader) == (403, b"", b"no")
    writer.write(early[-20:] + hot(b"next"))
    assert await read_answer(reader) == (200, b"front", b"next")


async def test_a_connection_that_is_not_kept_ends_after_the_refused_body(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    early = hot(b"x" * 100, b"x-early: 1", b"x-closes: 1")
    writer.write(early[:-20])
    assert await read_answer(reader) == (403, b"", b"no")
    writer.write(early[-20:] + hot(b"next"))
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    assert house.served == 1


@pytest.mark.parametrize("start", [b"", b"POST /v1/mess", hot(b"")[:-2]])
async def test_a_head_that_does_not_come_ends_the_connection(connect: Connect, start: bytes) -> None:
    reader, writer = await connect()
    writer.write(start)
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_between_requests_nobody_is_hurried(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(2):
        writer.write(hot(b"hi"))
        assert (await read_answer(reader))[2] == b"hi"
        await asyncio.sleep(2 * HEAD_LIMIT_S)


async def test_a_second_head_that_stops_ends_the_connection(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(hot(b"hi") + b"POST /v1/")
    assert (await read_answer(reader))[2] == b"hi"
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_after_its_time(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(hot(b"hi"))
    await read_answer(reader)
    house.fronts[0].look(asyncio.get_running_loop().time() + 61.0, HEAD_LIMIT_S, 60.0)
    async with asyncio.timeout(10):
        assert await reader.read() == b""


async def test_a_body_that_comes_fast_enough_may_take_longer_than_the_grace(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(hot(b"x" * 60_000)[:-60_000])
    for _ in range(3):
        writer.write(b"x" * 20_000)
        await asyncio.sleep(PACE.grace_s / 2)
    assert await read_answer(reader) == (200, b"front", b"x" * 60_000)


async def test_a_caller_that_hangs_up_is_noticed(house: House, connect: Connect) -> None:
    _, writer = await connect()
    house.gate.clear()
    writer.write(hot(b"hi")[:-1])
    await until(lambda: len(house.fronts) == 1 and not house.fronts[0].is_idle)
    house.gate.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writer.close()
    await until(lambda: sorted(house.events) == ["broke off", "gone"])


async def test_a_caller_that_hung_up_before_its_body_was_wanted_is_noticed(house: House, connect: Connect) -> None:
    _, writer = await connect()
    house.gate.clear()
    writer.write(hot(b"hi")[:-1])
    await until(lambda: len(house.fronts) == 1 and not house.fronts[0].is_idle)
    writer.close()
    await until(lambda: house.fronts[0].transport is None)
    house.gate.set()
    await until(lambda: house.events == ["gone", "broke off"])


async def test_idle_connections_are_closed_for_a_drain_and_busy_ones_end_their_answer(
    house: House, connect: Connect
) -> None:
    idle, _ = await connect()
    busy, writer = await connect()
    await until(lambda: len(house.fronts) == 2)
    house.gate.clear()
    writer.write(hot(b"busy"))
    await until(lambda: any(not front.is_idle for front in house.fronts))
    house.listener.close_idle()
    async with asyncio.timeout(10):
        assert await idle.read() == b""
    house.gate.set()
    assert (await read_answer(busy))[2] == b"busy"


async def test_a_shutdown_ends_what_does_not_end_itself(house: House, connect: Connect) -> None:
    reader, writer = await connect()
    house.gate.clear()
    writer.write(hot(b"for ever"))
    await until(lambda: len(house.fronts) == 1 and not house.fronts[0].is_idle)
    await house.listener.shutdown(0.05)
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_what_serves_a_connection_ends_with_it(house: House, connect: Connect) -> None:
    gone, gone_writer = await connect()
    odd, odd_writer = await connect()
    kept, kept_writer = await connect()
    for reader, writer in ((gone, gone_writer), (odd, odd_writer), (kept, kept_writer)):
        writer.write(hot(b"hi"))
        assert (await read_answer(reader))[2] == b"hi"
    assert all(front._task is not None for front in house.fronts)
    gone_writer.close()
    odd_writer.write(cold(b"odd"))
    assert (await read_answer(odd))[2] == b"odd"
    await until(lambda: sum(front._task is None for front in house.fronts) == 2)
    await house.listener.shutdown(1)
    assert all(front._task is None for front in house.fronts)


async def test_an_answer_that_waits_for_others_is_sent_before_a_drain_closes(house: House, connect: Connect) -> None:
    house.held_back = []
    reader, writer = await connect()
    writer.write(hot(b"one"))
    await until(lambda: bool(house.held_back))
    await until(lambda: house.fronts[0].is_idle)
    house.listener.close_idle()
    assert (await read_answer(reader))[2] == b"one"
    for send in house.held_back:
        send()
    assert await reader.read() == b""


async def test_an_answer_that_waits_for_others_is_sent_before_aiohttp_answers(house: House, connect: Connect) -> None:
    house.held_back = []
    reader, writer = await connect()
    writer.write(hot(b"one") + cold(b"two"))
    assert [(await read_answer(reader))[2] for _ in range(2)] == [b"one", b"two"]
