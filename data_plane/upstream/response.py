"""The answer of a provider while it arrives: pulled chunk by chunk, or pushed into a sink.

Both forms hold back the provider when nobody takes the bytes. The pull form pauses reading above 64 KiB; one read of
the event loop may come on top (up to 256,000 bytes with uvloop), which is the bound on memory per answer.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from data_plane.upstream.failure import ConnectionLost, MalformedAnswer, TruncatedAnswer, UpstreamError
from data_plane.upstream.framing import Body, Head, Headers
from data_plane.upstream.request import Origin

PAUSE_ABOVE_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes an answer as it arrives, inside the event loop's own call: quick, and without raising.

    Exactly one of `end` and `failed` comes last, unless the response is aborted by our own side: then nothing more
    comes. After `response.pause()` the bytes that were already read may still come.
    """

    def data(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def failed(self, error: UpstreamError) -> None: ...


class Source(Protocol):
    """What a response needs from the connection it arrives on, and nothing else of it."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def answer_ended(self, is_reusable: bool) -> None: ...
    def abort(self) -> None: ...


class _Drain:
    """A sink that counts, and drops what it counts."""

    def __init__(self, response: "UpstreamResponse", limit_bytes: int, done: asyncio.Future[bool]) -> None:
        self._response, self._left, self._done = response, limit_bytes, done

    def data(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._response.abort()
            self._settle(False)

    def end(self) -> None:
        self._settle(True)

    def failed(self, error: UpstreamError) -> None:
        self._settle(False)

    def _settle(self, is_clean: bool) -> None:
        if not self._done.done():
            self._done.set_result(is_clean)


class UpstreamResponse:
    """Head and body of one answer. One consumer at a time; not to be kept after its end.

    connect_us: name, TCP and TLS; 0 on a kept connection. first_byte_us: from the request's write to the first byte
    of the answer, interim answers not counted. received_bytes: content so far, without framing.
    """

    __slots__ = (
        "_body",
        "_buffered",
        "_clock",
        "_failure",
        "_is_ended",
        "_pieces",
        "_sink",
        "_source",
        "_waiter",
        "_wake_at",
        "connect_us",
        "first_byte_us",
        "headers",
        "host_address",
        "is_paused",
        "is_reused",
        "keeps_alive",
        "origin",
        "received_bytes",
        "status",
    )

    def __init__(
        self,
        *,
        source: Source,
        head: Head,
        origin: Origin,
        host_address: str,
        connect_us: int,
        first_byte_us: int,
        is_reused: bool,
        clock: Callable[[], float],
    ) -> None:
        self.status: int = head.status
        self.headers: Headers = head.headers
        self.keeps_alive = head.keeps_alive
        self.origin = origin
        self.host_address = host_address
        self.connect_us = connect_us
        self.first_byte_us = first_byte_us
        self.is_reused = is_reused
        self.received_bytes = 0
        self.is_paused = False
        self._source: Source | None = source
        self._body: Body = head.body
        self._clock = clock
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wake_at = 0.0
        self._is_ended = False
        self._failure: UpstreamError | None = None

    # What the consumer calls.

    @property
    def is_ended(self) -> bool:
        """The answer is complete by its own framing; bytes may still wait to be taken."""
        return self._is_ended

    @property
    def bytes_expected(self) -> int | None:
        """The length of the whole body where the answer states it."""
        return self._body.bytes_expected

    def header(self, name: bytes) -> bytes | None:
        """Give the first value of a header. name: in lower case."""
        for key, value in self.headers:
            if len(key) == len(name) and key.lower() == name:
                return value
        return None

    async def chunk(self) -> bytes | None:
        """Wait for content and give everything that has arrived since the last call, as one object; None at the end.

        Raises UpstreamError, after the bytes before the failure have been given. A consumer that is cancelled while it
        waits gives up the answer: the connection is aborted. To wait with a limit, use `readable` before.
        """
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._is_ended:
                return None
            await self._wait(0.0)
        return self._take_pieces()

    def chunk_nowait(self) -> bytes | None:
        """Give what has arrived, b"" when nothing has yet, None at the clean end. Raises UpstreamError."""
        if self._pieces:
            return self._take_pieces()
        if self._failure is not None:
            raise self._failure
        return None if self._is_ended else b""

    async def readable(self, within_ms: int) -> bool:
        """Wait until content, the end or a failure can be taken; False after so much silence (and one sweep more)."""
        if self._pieces or self._failure is not None or self._is_ended:
            return True
        await self._wait(self._clock() + within_ms / 1000)
        return bool(self._pieces) or self._failure is not None or self._is_ended

    def pipe_to(self, sink: Sink) -> None:
        """Push everything from now on into a sink, beginning at once with what has arrived. Pulling ends here."""
        assert self._sink is None, "an answer has one sink"
        self._sink = sink
        if self._pieces:
            sink.data(self._take_pieces())
        if self._sink is None:
            return
        if self._failure is not None:
            self._sink = None
            sink.failed(self._failure)
        elif self._is_ended:
            self._sink = None
            sink.end()

    def pause(self) -> None:
        """Stop reading from the provider: the consumer is full. For the push form."""
        if self._source is not None and not self.is_paused:
            self.is_paused = True
            self._source.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.is_paused:
            self.is_paused = False
            if self._source is not None:
                self._source.resume_reading()

    def abort(self) -> None:
        """Give up the answer. Nothing more comes; the connection is not used again. Harmless after the end."""
        self._sink = None
        self._pieces.clear()
        self._buffered = 0
        if self._source is None:
            return
        source, self._source = self._source, None
        self._failure = ConnectionLost(
            origin=str(self.origin), bytes_received=self.received_bytes, was_reused=self.is_reused, why="aborted by us"
        )
        self._wake()
        source.abort()

    async def drain(self, limit_bytes: int, limit_s: float) -> bool:
        """Read the rest and drop it, to keep the connection. True when the clean end came within the limits.

        Otherwise the answer is aborted, at once where its length says that the limit cannot hold.
        """
        expected = self._body.bytes_expected
        if self._failure is not None or (expected is not None and expected - self.received_bytes > limit_bytes):
            self.abort()
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pieces.clear()
        self.resume()
        self.pipe_to(_Drain(self, limit_bytes, done))
        try:
            async with asyncio.timeout(limit_s):
                return await done
        except TimeoutError:
            return False
        finally:
            self.abort()

    # What the connection calls.

    def take(self, data: bytes) -> None:
        """Take bytes from the wire."""
        body = self._body
        content = body.feed(data)
        self.received_bytes += len(content)
        if body.is_complete:
            self.end(not body.has_surplus, content)
            return
        if content:
            sink = self._sink
            if sink is not None:
                sink.data(content)
            else:
                self._pieces.append(content)
                self._buffered += len(content)
                if self._buffered > PAUSE_ABOVE_BYTES:
                    self.pause()
                waiter = self._waiter
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
        if body.fault is not None:
            self.fail(MalformedAnswer(origin=str(self.origin), why=body.fault))

    def end(self, is_reusable: bool, content: bytes = b"") -> None:
        """Note the end, give the connection back, then hand on the last content."""
        self._is_ended = True
        source, self._source = self._source, None
        if source is not None:
            source.answer_ended(is_reusable and self.keeps_alive)
        sink = self._sink
        if sink is None:
            if content:
                self._pieces.append(content)
            self._wake()
            return
        if content:
            sink.data(content)
        if self._sink is not None:
            self._sink = None
            sink.end()

    def end_of_connection(self) -> None:
        """Take note that the provider closed in good order."""
        if self._body.ends_with_connection:
            self.end(False)
            return
        expected, received = self._body.bytes_expected, self.received_bytes
        self.fail(TruncatedAnswer(origin=str(self.origin), bytes_received=received, bytes_expected=expected))

    def fail(self, error: UpstreamError) -> None:
        """End with a failure; what came before it can still be taken."""
        if self._source is None:
            return
        source, self._source = self._source, None
        self._failure = error
        sink, self._sink = self._sink, None
        source.abort()
        self._wake()
        if sink is not None:
            sink.failed(error)

    def wake_when_silent(self, now: float) -> None:
        """Let a consumer that waits with a limit go on."""
        if self._wake_at and now >= self._wake_at:
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self, wake_at: float) -> None:
        assert self._waiter is None, "an answer has one consumer"
        self._waiter = asyncio.get_running_loop().create_future()
        self._wake_at = wake_at
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            self._wake_at = 0.0

    def _take_pieces(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        if self.is_paused:
            self.resume()
        return data
