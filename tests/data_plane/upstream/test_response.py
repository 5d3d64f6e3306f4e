"""The answer as its consumer sees it: pulled, waited for with a limit, pushed into a sink, drained, given up."""

import asyncio

import pytest

from data_plane.upstream.connections import Timeouts, UpstreamResponse
from data_plane.upstream.failure import ConnectionLost, TruncatedAnswer, UpstreamError
from tests.data_plane.upstream.wire import OK, Peer, a_pool, a_request, answering, provider, until

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk_of(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Notes:
    """A sink that writes down what it is told. full_after: pauses the answer at so many bytes."""

    def __init__(self, response: UpstreamResponse, full_after: int | None = None) -> None:
        self.response, self.full_after = response, full_after
        self.content = b""
        self.calls = 0
        self.last: str | UpstreamError | None = None

    def data(self, data: bytes) -> None:
        assert self.last is None
        self.content += data
        self.calls += 1
        if self.full_after is not None and len(self.content) >= self.full_after:
            self.response.pause()

    def end(self) -> None:
        assert self.last is None
        self.last = "end"

    def failed(self, error: UpstreamError) -> None:
        assert self.last is None
        self.last = error


async def test_everything_since_the_last_call_comes_as_one() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk_of(b"a") + chunk_of(b"b"))
        await asyncio.sleep(0.01)
        await peer.send(chunk_of(b"c"))
        await asyncio.sleep(0.01)
        await peer.send(chunk_of(b"d") + b"0\r\n\r\n")
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        assert response.header(b"content-type") == b"text/event-stream"
        assert response.header(b"content-length") is None
        await until(lambda: response.is_ended)
        assert response.received_bytes == 4
        assert pool.stats().idle == 1
        assert await response.chunk() == b"abcd"
        assert await response.chunk() is None
        assert response.chunk_nowait() is None


async def test_waiting_with_a_limit_costs_nothing_but_the_wait() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM)
        await go.wait()
        await peer.send(chunk_of(b"late") + b"0\r\n\r\n")

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        assert not await response.readable(within_ms=20)
        assert response.chunk_nowait() == b""
        assert not await response.readable(within_ms=20)
        go.set()
        assert await response.readable(within_ms=5000)
        assert await response.chunk() == b"late"
        await until(lambda: response.is_ended)
        assert await response.readable(within_ms=0)
        assert await response.chunk() is None


async def test_a_cancelled_consumer_gives_up_the_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk_of(b"a"))
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        assert await response.chunk() == b"a"
        task = asyncio.create_task(response.chunk())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.stats().open == 0
        await until(lambda: not upstream.tasks)
        with pytest.raises(ConnectionLost, match="aborted by us"):
            await response.chunk()


async def test_an_aborted_answer_reaches_the_provider_at_once_and_never_serves_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk_of(b"a"))
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        for number in range(3):
            response = await pool.send(a_request(upstream.origin))
            response.abort()
            response.abort()
            assert pool.stats().open == 0
            await until(lambda: not upstream.tasks)
            assert len(upstream.peers) == number + 1


async def test_aborting_after_the_end_leaves_the_connection_to_others() -> None:
    async with provider(answering(OK)) as upstream, a_pool() as pool:
        first = await pool.send(a_request(upstream.origin))
        await until(lambda: first.is_ended)
        second = await pool.send(a_request(upstream.origin))
        first.abort()
        assert await second.chunk() == b"ok"
        assert len(upstream.peers) == 1
        assert pool.stats().idle == 1


async def test_a_sink_gets_every_byte_and_one_end() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(STREAM + chunk_of(b"first"))
            for number in range(20):
                await asyncio.sleep(0)
                await peer.send(chunk_of(b"%02d" % number))
            await peer.send(b"0\r\n\r\n")

    async with provider(script) as upstream, a_pool() as pool:
        for _ in range(2):
            response = await pool.send(a_request(upstream.origin))
            notes = Notes(response)
            response.pipe_to(notes)
            await until(lambda notes=notes: notes.last is not None)  # type: ignore[misc]
            assert notes.last == "end"
            assert notes.content == b"first" + b"".join(b"%02d" % number for number in range(20))
        assert len(upstream.peers) == 1


async def test_a_sink_put_on_late_gets_what_came_before() -> None:
    async with provider(answering(OK, OK[:-1])) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        notes = Notes(response)
        response.pipe_to(notes)
        assert (notes.content, notes.last) == (b"ok", "end")
        response = await pool.send(a_request(upstream.origin))
        notes = Notes(response)
        response.pipe_to(notes)
        assert (notes.content, notes.last) == (b"o", None)


async def test_a_sink_is_told_of_a_failure_after_the_bytes_before_it() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk_of(b"part"))
        peer.close()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        notes = Notes(response)
        response.pipe_to(notes)
        await until(lambda: notes.last is not None)
        assert notes.content == b"part"
        assert isinstance(notes.last, TruncatedAnswer)


async def test_a_sink_hears_nothing_after_an_abort() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(STREAM + chunk_of(b"part"))
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        notes = Notes(response)
        response.pipe_to(notes)
        await until(lambda: notes.content == b"part")
        response.abort()
        await until(lambda: not upstream.tasks)
        assert notes.last is None


async def test_a_full_sink_holds_the_provider_back() -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
        while sent < 20_000_000:
            await peer.send(b"x" * 100_000)
            sent += 100_000
        await peer.closed_by_client()

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        notes = Notes(response, full_after=1)
        response.pipe_to(notes)
        await until(lambda: notes.calls > 0)
        held = -1
        while held != sent:  # the kernel's buffers fill up, then nothing moves
            held = sent
            await asyncio.sleep(0.05)
        assert sent < 20_000_000
        assert len(notes.content) < 1_000_000
        notes.full_after = None
        response.resume()
        await until(lambda: notes.last == "end", within_s=20)
        assert len(notes.content) == 20_000_000
        assert pool.stats().idle == 1


@pytest.mark.parametrize(
    ("rest", "limit_bytes", "is_kept"), [(5_000, 100_000, True), (500_000, 100_000, False), (100_000, 100_000, True)]
)
async def test_draining_keeps_the_connection_within_its_limits(rest: int, limit_bytes: int, is_kept: bool) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (rest + 1) + b"a")
            await asyncio.sleep(0.01)
            await peer.send(b"x" * rest)

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin))
        assert await response.chunk() == b"a"
        assert await response.drain(limit_bytes, 5.0) is is_kept
        assert pool.stats().idle == pool.stats().open == int(is_kept)


async def test_draining_ends_with_its_time_or_too_many_bytes() -> None:
    async def endless(peer: Peer) -> None:
        _, body = await peer.request()
        await peer.send(STREAM)
        if body == b"silent":
            await peer.closed_by_client()
        while True:
            await peer.send(chunk_of(b"x" * 1000))

    async with provider(endless) as upstream, a_pool() as pool:
        for body in (b"silent", b"loud"):
            response = await pool.send(a_request(upstream.origin, body))
            assert not await response.drain(100_000, 0.05 if body == b"silent" else 5.0)
            assert pool.stats().open == 0


async def test_a_consumer_that_forgets_the_answer_does_not_hold_the_connection_for_ever() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 9_000_000)

    async with provider(script) as upstream, a_pool() as pool:
        response = await pool.send(a_request(upstream.origin, timeouts=Timeouts(idle_ms=50, stall_ms=100)))
        await until(lambda: pool.stats().open == 0)
        assert response.is_paused
