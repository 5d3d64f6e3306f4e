"""A body on its way to the provider, on a transport of paper: in slices, with patience, and an end that is noticed."""

import asyncio

import pytest

from data_plane.upstream.failure import UpstreamTimeout
from data_plane.upstream.request import Timeouts
from data_plane.upstream.upload import SLICE_BYTES, SLICES_PER_TURN
from tests.data_plane.upstream.paper import Bench


async def test_the_first_byte_is_awaited_from_the_end_of_the_upload() -> None:
    bench = Bench()
    bench.transport.pending = 900
    waiter = bench.ask(b"x" * 1000, Timeouts(first_byte_ms=1000, idle_ms=5000))
    for pending in (900, 600, 300, 1, 0):
        bench.transport.pending = pending
        bench.now += 4.0
        bench.link.check(bench.now)
        assert not waiter.done()
    bench.now += 1.1
    bench.link.check(bench.now)
    with pytest.raises(UpstreamTimeout) as caught:
        await waiter
    assert caught.value.phase == "first_byte"


async def test_an_upload_without_progress_ends() -> None:
    bench = Bench()
    waiter = bench.ask(b"x" * 1000, Timeouts(idle_ms=5000))
    bench.transport.pending = 900
    bench.link.check(bench.now)
    bench.now += 5.1
    bench.link.check(bench.now)
    with pytest.raises(UpstreamTimeout) as caught:
        await waiter
    assert caught.value.phase == "send"


async def test_a_large_body_over_tls_is_sent_in_slices_as_the_transport_takes_them() -> None:
    bench = Bench("https")
    body = bytes(range(256)) * (SLICE_BYTES // 256) * 9 + b"tail"
    bench.ask(body)
    assert bench.transport.writes == 1 + SLICES_PER_TURN
    bench.link.pause_writing()
    await asyncio.sleep(0)
    assert bench.transport.writes == 1 + SLICES_PER_TURN
    bench.link.resume_writing()
    assert bench.transport.writes == 1 + 2 * SLICES_PER_TURN
    for _ in range(3):
        await asyncio.sleep(0)
    assert bytes(bench.transport.written) == b"HEAD\r\n\r\n" + body


async def test_an_answer_before_the_end_of_a_sliced_upload_ends_the_connection() -> None:
    bench = Bench("https")
    waiter = bench.ask(b"x" * SLICE_BYTES * 9)
    bench.link.pause_writing()
    bench.link.data_received(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
    response = await waiter
    assert (response.status, await response.chunk(), await response.chunk()) == (401, b"no", None)
    assert bench.transport.is_aborted
