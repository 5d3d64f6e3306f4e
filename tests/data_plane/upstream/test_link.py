"""One connection on a transport of paper: the same bytes in any cutting give the same answer and the same verdict."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_plane.upstream.failure import ConnectionLost, UpstreamError, UpstreamTimeout
from data_plane.upstream.request import Timeouts
from data_plane.upstream.response import PAUSE_ABOVE_BYTES
from tests.data_plane.upstream.paper import Bench

Outcome = tuple[str, int, bytes, bool]


class Noting:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.content, self.kind, self.endings = b"", "", 0

    def data(self, data: bytes) -> None:
        assert not self.endings
        self.content += data

    def end(self) -> None:
        self.endings += 1

    def failed(self, error: UpstreamError) -> None:
        self.endings += 1
        self.kind = error.kind


async def play_pushed(pieces: Sequence[bytes], method: str, ending: str) -> Outcome:
    """The same as `play`, with a sink put on as soon as the head is there."""
    bench = Bench()
    waiter = bench.ask(method=method)
    noting = Noting()
    status, is_piped = 0, False
    for piece in (*pieces, ending.encode()):
        if bench.transport.is_aborted:
            break
        if piece != ending.encode():
            bench.link.data_received(piece)
        elif ending == "eof":
            bench.link.eof_received()
        elif ending == "reset":
            bench.link.connection_lost(ConnectionResetError("reset by peer"))
        if waiter.done() and waiter.exception() is None and not is_piped:
            status, is_piped = waiter.result().status, True
            waiter.result().pipe_to(noting)
    if not is_piped:
        failure = waiter.exception()
        assert isinstance(failure, UpstreamError)
        return failure.kind, 0, b"", bench.link.is_usable
    assert noting.endings == 1
    return noting.kind, status, noting.content, bench.link.is_usable


async def play(pieces: Sequence[bytes], method: str, ending: str) -> Outcome:
    """Feed the pieces of one answer; tell error kind or "", status, content, whether the connection serves again."""
    bench = Bench()
    waiter = bench.ask(method=method)
    for piece in pieces:
        if not bench.transport.is_aborted:
            bench.link.data_received(piece)
    if not bench.transport.is_aborted:
        if ending == "eof":
            bench.link.eof_received()
        elif ending == "reset":
            bench.link.connection_lost(ConnectionResetError("reset by peer"))
    status, content, kind = 0, b"", ""
    try:
        response = await waiter
        status = response.status
        while (data := await response.chunk()) is not None:
            content += data
    except UpstreamError as failure:
        kind = failure.kind
    return kind, status, content, bench.link.is_usable


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH_5 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
ANSWERS: list[tuple[str, bytes, str, str, Outcome]] = [
    ("length", LENGTH_5 + b"hello", "POST", "", ("", 200, b"hello", True)),
    ("length and then the close", LENGTH_5 + b"hello", "POST", "eof", ("", 200, b"hello", False)),
    ("length, to be closed", LENGTH_5[:-2] + b"Connection: close\r\n\r\nhello", "POST", "", ("", 200, b"hello", False)),
    ("empty", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "POST", "", ("", 200, b"", True)),
    ("no content", b"HTTP/1.1 204 No Content\r\n\r\n", "POST", "", ("", 204, b"", True)),
    ("head", LENGTH_5, "HEAD", "", ("", 200, b"", True)),
    ("chunked head", CHUNKED, "HEAD", "", ("", 200, b"", True)),
    ("head with a body", LENGTH_5 + b"hello", "HEAD", "", ("", 200, b"", False)),
    (
        "chunked",
        CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nA: b\r\n\r\n",
        "POST",
        "",
        ("", 200, b"hello world", True),
    ),
    ("an error is an answer", b"HTTP/1.1 529 Over\r\nContent-Length: 2\r\n\r\n{}", "POST", "", ("", 529, b"{}", True)),
    ("rest of connection", b"HTTP/1.1 200 OK\r\n\r\nhello", "POST", "eof", ("", 200, b"hello", False)),
    ("http 1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", "POST", "eof", ("", 200, b"hello", False)),
    ("http 1.0 length", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "POST", "", ("", 200, b"hello", False)),
    ("interim", b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + LENGTH_5 + b"hello", "POST", "", ("", 200, b"hello", True)),
    (
        "two interims",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + CHUNKED + b"1\r\nx\r\n0\r\n\r\n",
        "POST",
        "",
        ("", 200, b"x", True),
    ),
    ("surplus", LENGTH_5 + b"hello!", "POST", "", ("", 200, b"hello", False)),
    ("surplus line break", LENGTH_5 + b"hello\r\n", "POST", "", ("", 200, b"hello", False)),
    ("second answer", (LENGTH_5 + b"hello") * 2, "POST", "", ("", 200, b"hello", False)),
    ("second chunked answer", (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n") * 2, "POST", "", ("", 200, b"hello", False)),
    ("surplus behind chunks", CHUNKED + b"5\r\nhello\r\n0\r\n\r\nX", "POST", "", ("", 200, b"hello", False)),
    ("line break behind chunks", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n\r\n", "POST", "", ("", 200, b"hello", False)),
    ("surplus behind nothing", b"HTTP/1.1 204 No\r\n\r\nX", "POST", "", ("", 204, b"", False)),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "POST", "", ("malformed_answer", 0, b"", False)),
    ("bare line feeds", b"HTTP/1.1 200 OK\nA: b\n\r\n\r\n", "POST", "", ("malformed_answer", 0, b"", False)),
    ("endless head", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, "POST", "", ("malformed_answer", 0, b"", False)),
    (
        "large head",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        "POST",
        "",
        ("malformed_answer", 0, b"", False),
    ),
    ("endless interims", b"HTTP/1.1 100 Continue\r\n\r\n" * 3000, "POST", "", ("malformed_answer", 0, b"", False)),
    (
        "switching",
        b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "POST",
        "",
        ("malformed_answer", 0, b"", False),
    ),
    ("broken chunk", CHUNKED + b"5\r\nhello\r\nZZ\r\n", "POST", "", ("malformed_answer", 200, b"hello", False)),
    ("length cut short", LENGTH_5 + b"hel", "POST", "eof", ("truncated_answer", 200, b"hel", False)),
    ("length, no body", LENGTH_5, "POST", "eof", ("truncated_answer", 200, b"", False)),
    ("chunks cut short", CHUNKED + b"5\r\nhello\r\n", "POST", "eof", ("truncated_answer", 200, b"hello", False)),
    (
        "chunks cut before the last line",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        "POST",
        "eof",
        ("truncated_answer", 200, b"hello", False),
    ),
    ("chunk cut", CHUNKED + b"5\r\nhel", "POST", "eof", ("truncated_answer", 200, b"hel", False)),
    ("no answer", b"", "POST", "eof", ("connection_lost", 0, b"", False)),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le", "POST", "eof", ("connection_lost", 0, b"", False)),
    ("interim only", b"HTTP/1.1 103 Early\r\n\r\n", "POST", "eof", ("connection_lost", 0, b"", False)),
    ("reset at once", b"", "POST", "reset", ("connection_lost", 0, b"", False)),
    ("reset in the head", b"HTTP/1.1 200", "POST", "reset", ("connection_lost", 0, b"", False)),
    ("reset in a length body", LENGTH_5 + b"hel", "POST", "reset", ("connection_lost", 200, b"hel", False)),
    ("reset in chunks", CHUNKED + b"5\r\nhello\r\n", "POST", "reset", ("connection_lost", 200, b"hello", False)),
    (
        "reset in a rest of connection",
        b"HTTP/1.1 200 OK\r\n\r\nhel",
        "POST",
        "reset",
        ("connection_lost", 200, b"hel", False),
    ),
    ("reset after the end", LENGTH_5 + b"hello", "POST", "reset", ("", 200, b"hello", False)),
]


@pytest.mark.parametrize(
    ("wire", "method", "ending", "outcome"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
async def test_an_answer_in_one_piece_and_byte_by_byte(wire: bytes, method: str, ending: str, outcome: Outcome) -> None:
    assert await play([wire] if wire else [], method, ending) == outcome
    assert await play_pushed([wire] if wire else [], method, ending) == outcome
    single = [wire[index : index + 1] for index in range(len(wire))]
    assert await play(single, method, ending) == outcome
    assert await play_pushed(single, method, ending) == outcome


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ANSWERS), st.lists(st.integers(0, 100_000), max_size=10))
def test_an_answer_is_the_same_however_it_is_cut(
    answer: tuple[str, bytes, str, str, Outcome], places: list[int]
) -> None:
    _, wire, method, ending, outcome = answer
    assert asyncio.run(play(cut(wire, places), method, ending)) == outcome
    assert asyncio.run(play_pushed(cut(wire, places), method, ending)) == outcome


async def test_a_connection_serves_one_answer_after_the_other() -> None:
    bench = Bench()
    for number, wire in enumerate((LENGTH_5 + b"hello", CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n")):
        waiter = bench.ask()
        bench.link.data_received(wire)
        response = await waiter
        assert response.is_reused == (number > 0)
        assert bench.freed == number + 1


async def test_a_byte_while_free_ends_the_connection() -> None:
    bench = Bench()
    bench.link.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert bench.transport.is_aborted
    assert bench.is_lost
    with pytest.raises(UpstreamError):
        await bench.ask()


async def test_the_end_of_the_provider_while_free_ends_the_connection() -> None:
    bench = Bench()
    bench.link.eof_received()
    assert not bench.link.is_usable
    assert bench.is_lost


async def test_a_connection_with_unsent_bytes_does_not_serve_again() -> None:
    bench = Bench()
    waiter = bench.ask(b"x" * 100)
    bench.transport.pending = 40
    bench.link.data_received(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert (await waiter).status == 413
    assert bench.transport.is_aborted
    assert bench.freed == 0


async def test_an_old_connection_does_not_serve_again() -> None:
    bench = Bench()
    waiter = bench.ask()
    bench.now += 1001.0
    bench.link.data_received(LENGTH_5 + b"hello")
    assert (await waiter).is_ended
    assert bench.transport.is_aborted


async def test_reading_pauses_when_nobody_takes_and_goes_on_when_somebody_does() -> None:
    bench = Bench()
    waiter = bench.ask()
    bench.link.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    response = await waiter
    bench.link.data_received(b"x" * PAUSE_ABOVE_BYTES)
    assert bench.transport.reading
    bench.link.data_received(b"y")
    assert not bench.transport.reading
    assert await response.chunk() == b"x" * PAUSE_ABOVE_BYTES + b"y"
    assert bench.transport.reading


async def test_a_connection_comes_back_reading() -> None:
    bench = Bench()
    waiter = bench.ask()
    bench.link.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 70001\r\n\r\n")
    response = await waiter
    bench.link.data_received(b"x" * 70_000)
    assert not bench.transport.reading
    bench.link.data_received(b"x")
    assert bench.freed == 1
    assert bench.transport.reading
    assert len(await response.chunk() or b"") == 70_001


async def test_the_first_byte_may_take_so_long_and_no_longer() -> None:
    bench = Bench()
    waiter = bench.ask(timeouts=Timeouts(first_byte_ms=1000))
    bench.now += 0.9
    bench.link.data_received(b"HTTP/1.1 200")
    bench.link.check(bench.now)
    assert not waiter.done()
    bench.now += 0.2
    bench.link.check(bench.now)
    with pytest.raises(UpstreamTimeout) as caught:
        await waiter
    assert (caught.value.phase, caught.value.limit_ms) == ("first_byte", 1000)
    assert bench.transport.is_aborted


async def test_silence_ends_a_body_but_slow_drips_do_not() -> None:
    bench = Bench()
    waiter = bench.ask(timeouts=Timeouts(idle_ms=1000))
    bench.link.data_received(CHUNKED)
    response = await waiter
    for _ in range(20):
        bench.link.data_received(b"1\r\nx\r\n")
        bench.link.check(bench.now)
        bench.now += 0.9
        bench.link.check(bench.now)
    bench.now += 0.2
    bench.link.check(bench.now)
    assert await response.chunk() == b"x" * 20
    with pytest.raises(UpstreamTimeout) as caught:
        await response.chunk()
    assert (caught.value.phase, caught.value.is_worth_another_target) == ("idle", True)


async def test_a_consumer_that_takes_nothing_is_not_taken_for_a_silent_provider() -> None:
    bench = Bench()
    waiter = bench.ask(timeouts=Timeouts(idle_ms=1000, stall_ms=10_000))
    bench.link.data_received(CHUNKED + b"20000\r\n" + b"x" * 0x20000)
    response = await waiter
    assert response.is_paused
    bench.link.check(bench.now)
    bench.now += 9.0
    bench.link.check(bench.now)
    assert await response.chunk() == b"x" * 0x20000
    bench.link.check(bench.now)
    bench.now += 0.9
    bench.link.check(bench.now)
    assert response.chunk_nowait() == b""
    response.pause()
    bench.link.check(bench.now + 11.0)
    with pytest.raises(UpstreamTimeout) as caught:
        response.chunk_nowait()
    assert (caught.value.phase, caught.value.is_worth_another_target) == ("stalled", False)


async def test_giving_up_an_old_future_leaves_the_next_request_alone() -> None:
    bench = Bench()
    first = bench.ask()
    bench.link.data_received(LENGTH_5 + b"hello")
    second = bench.ask()
    bench.link.give_up(first)
    assert not bench.transport.is_aborted
    bench.link.data_received(LENGTH_5 + b"again")
    assert await (await second).chunk() == b"again"


async def test_an_answer_to_a_cancelled_future_ends_the_connection() -> None:
    bench = Bench()
    waiter = bench.ask()
    waiter.cancel()
    bench.link.data_received(LENGTH_5 + b"hello")
    assert bench.transport.is_aborted
    assert bench.freed == 0


async def test_what_comes_before_the_request_has_left_is_no_answer_to_it() -> None:
    bench = Bench()
    bench.held_back = []
    waiter = bench.ask(b"{}")
    assert not bench.transport.written
    bench.link.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(ConnectionLost) as caught:
        await waiter
    assert caught.value.bytes_received == 0, "so that a kept connection is replaced by a fresh one"
    for send in bench.held_back:
        send()
    assert not bench.transport.written


async def test_a_request_given_up_before_it_left_never_leaves() -> None:
    bench = Bench()
    bench.held_back = []
    waiter = bench.ask(b"{}")
    waiter.cancel()
    bench.link.give_up(waiter)
    for send in bench.held_back:
        send()
    assert bench.is_lost
    assert not bench.transport.written
