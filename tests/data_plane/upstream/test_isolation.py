"""No byte of one request's answer in another's, whatever is aborted, cancelled or reset in between."""

import asyncio
import random

from data_plane.upstream.connections import Origin, UpstreamPool
from data_plane.upstream.failure import UpstreamError
from tests.data_plane.upstream.wire import Peer, a_pool, a_request, provider


async def misbehave(peer: Peer) -> None:
    """Echo each request's marker many times over, in a framing and at a pace drawn from the marker."""
    while True:
        _, marker = await peer.request()
        dice = random.Random(marker)
        body = marker * dice.randrange(1, 400)
        pieces = [body[start : start + 997] for start in range(0, len(body), 997)]
        kind = dice.choice(["length", "chunked", "chunked", "surplus", "cut", "reset", "interim"])
        if kind == "interim":
            await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: " + marker.strip() + b"\r\n\r\n")
        if kind in ("chunked", "cut"):
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in pieces[: len(pieces) // 2 + 1 if kind == "cut" else None]:
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                if dice.random() < 0.2:
                    await asyncio.sleep(dice.random() * 0.002)
            if kind == "cut":
                return
            await peer.send(b"0\r\n\r\n")
            continue
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        if kind == "reset":
            await peer.send(body[: len(body) // 2])
            peer.reset()
            return
        if kind == "surplus":
            # A second answer that nobody asked for, on the heels of the first.
            pieces[-1] += b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(marker), marker)
        for piece in pieces:
            await peer.send(piece)
            if dice.random() < 0.2:
                await asyncio.sleep(dice.random() * 0.002)


async def ask(pool: UpstreamPool, origin: Origin, number: int, counts: dict[str, int]) -> None:
    marker = b"<marker %06d> " % number
    dice = random.Random(number)
    received = b""
    try:
        response = await pool.send(a_request(origin, marker))
        while (data := await response.chunk()) is not None:
            received += data
            if dice.random() < 0.15:
                response.abort()
                counts["aborted"] += 1
                break
        else:
            counts["whole"] += 1
            assert received.endswith(marker)
    except UpstreamError as failure:
        counts[failure.kind] = counts.get(failure.kind, 0) + 1
    # Every byte is this request's own marker, in step, from its first byte on.
    assert received == (marker * (len(received) // len(marker) + 1))[: len(received)]


async def test_answers_stay_with_their_requests() -> None:
    counts = {"whole": 0, "aborted": 0, "cancelled": 0}
    dice = random.Random(7)
    numbers = iter(range(3000))

    async def worker(pool: UpstreamPool, origin: Origin) -> None:
        for number in numbers:
            task = asyncio.create_task(ask(pool, origin, number, counts))
            if dice.random() < 0.1:
                await asyncio.sleep(dice.random() * 0.004)
                if task.cancel():
                    counts["cancelled"] += 1
            [outcome] = await asyncio.gather(task, return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome

    async with provider(misbehave) as upstream, a_pool() as pool:
        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(worker(pool, upstream.origin))
        assert counts["whole"] > 1000
        assert counts["aborted"] > 50
        assert counts["cancelled"] > 50
        assert counts["truncated_answer"] > 100
        assert counts["connection_lost"] > 100
        assert pool.stats().reused > 500
        assert pool.stats().open == pool.stats().idle
