"""Bodies of 30 MB up and down, plain and encrypted, against slow ends: whole, and in bounded memory."""

import asyncio
import hashlib
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from data_plane.upstream.connections import UpstreamResponse
from tests.data_plane.upstream.wire import Peer, a_pool, a_request, provider, tls_pair, until

SIZE = 30 * 1024 * 1024
BLOCK = bytes(range(256)) * 1024


class MemoryPeak:
    """The highest resident memory of this process above its beginning, looked at in every millisecond."""

    def __init__(self) -> None:
        self.start_bytes = self.now_bytes()
        self.grown_bytes = 0

    @staticmethod
    def now_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    async def watch(self) -> None:
        while True:
            self.grown_bytes = max(self.grown_bytes, self.now_bytes() - self.start_bytes)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_a_large_upload_arrives_whole(is_encrypted: bool) -> None:
    server_tls, client_tls = tls_pair()
    digests: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.head()
            digest, left = hashlib.sha256(), SIZE
            while left:
                data = await peer.reader.read(min(left, 1 << 20))
                digest.update(data)
                left -= len(data)
            digests.append(digest.digest())
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = bytearray(BLOCK * (SIZE // len(BLOCK)))
    async with provider(script, tls=server_tls if is_encrypted else None) as upstream, a_pool(tls=client_tls) as pool:
        memory = MemoryPeak()
        watching = asyncio.create_task(memory.watch())
        view = memoryview(body)
        for given in (body, view, (view[:1_000_001], b"", view[1_000_001:1_000_011], view[1_000_011:])):
            response = await pool.send(a_request(upstream.origin, given))
            assert (response.status, await response.chunk()) == (200, None)
        watching.cancel()
        assert digests == [hashlib.sha256(body).digest()] * 3
        assert len(upstream.peers) == 1
        # The standard loop copies a plain body it cannot send at once; uvloop does not, and slices are small.
        is_copied = not is_encrypted and not isinstance(asyncio.get_running_loop(), uvloop.Loop)
        assert memory.grown_bytes < (2.5 if is_copied else 0.5) * SIZE


async def test_an_encrypted_upload_leaves_the_loop_its_turns() -> None:
    server_tls, client_tls = tls_pair()

    async def script(peer: Peer) -> None:
        await peer.head()
        for _ in range(SIZE // len(BLOCK)):
            await peer.reader.readexactly(len(BLOCK))
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with provider(script, tls=server_tls) as upstream, a_pool(tls=client_tls) as pool:
        counting = asyncio.create_task(count_turns())
        response = await pool.send(a_request(upstream.origin, bytes(SIZE)))
        counting.cancel()
        assert response.status == 200
        assert turns > 30  # 120 slices, at most four in a turn


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_large_download_is_held_back_by_a_slow_consumer(is_encrypted: bool, is_chunked: bool) -> None:
    server_tls, client_tls = tls_pair()
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % SIZE
        await peer.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(SIZE // len(BLOCK)):
            await peer.send(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if is_chunked else BLOCK)
            sent += len(BLOCK)
        if is_chunked:
            await peer.send(b"0\r\n\r\n")
        await peer.closed_by_client()

    async with provider(script, tls=server_tls if is_encrypted else None) as upstream, a_pool(tls=client_tls) as pool:
        response = await pool.send(a_request(upstream.origin))
        held = await settled(lambda: sent)
        assert held < SIZE
        digest, largest = hashlib.sha256(), 0
        while (data := await response.chunk()) is not None:
            digest.update(data)
            largest = max(largest, len(data))
        assert digest.digest() == hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).digest()
        assert largest <= 512 * 1024
        assert pool.stats().idle == 1


async def test_many_slow_consumers_take_little_memory() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(BLOCK)):
            await peer.send(BLOCK)

    async with provider(script) as upstream, a_pool() as pool:
        responses = await asyncio.gather(*(pool.send(a_request(upstream.origin)) for _ in range(10)))
        await until(lambda: all(response.is_paused for response in responses))
        assert all(held_bytes(response) <= 512 * 1024 for response in responses)
        for response in responses:
            response.abort()


def held_bytes(response: UpstreamResponse) -> int:
    return sum(len(piece) for piece in response._pieces)


async def settled(value: Callable[[], int]) -> int:
    """Wait until a growing number stands still."""
    before = -1
    while before != (now := value()):
        before = now
        await asyncio.sleep(0.05)
    return before
