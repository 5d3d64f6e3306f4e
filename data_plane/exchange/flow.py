"""A stream on its way: from the provider's connection through the tap to the caller's, in one call per chunk.

Nobody is woken for a chunk. The relay sleeps until something happens that is no chunk: the end, a failure, a caller
that is slow or gone.
"""

import asyncio
from collections.abc import Callable

import msgspec

from data_plane.conversation.tally import Tally
from data_plane.exchange.growing import Growth
from data_plane.exchange.ledger import Entry
from data_plane.exchange.ports import ClientGone, ClientStream, Ports
from data_plane.exchange.pulse import Pulse
from data_plane.exchange.stages import Admission
from data_plane.protocols.codec import Tap
from data_plane.upstream.connections import UpstreamResponse

PROGRESS_S, PROGRESS_BYTES = 2.0, 16 * 1024
"""After so long, or so much, a running stream writes down how far it is."""
_LEAST_PROGRESS_S = 0.25
"""Not more often, however fast it comes: what passes meanwhile is the most that a kill makes uncertain."""


class Course(msgspec.Struct, frozen=True):
    """What a flow runs through."""

    answer: UpstreamResponse
    admission: Admission
    out: ClientStream
    entry: Entry
    ports: Ports
    tap: Tap
    counted: Callable[[], Tally]
    """What the answer comes to by now."""
    growth: Growth | None = None


class Flow:
    """The sink of one answer (upstream/response.py, Sink)."""

    __slots__ = (
        "_answer_bytes",
        "_course",
        "_failure",
        "_feed",
        "_grow",
        "_has_begun",
        "_has_ended",
        "_is_caller_gone",
        "_is_caller_slow",
        "_next_progress_bytes",
        "_next_progress_s",
        "_pulse",
        "_reads_on",
        "_saw_content",
        "_waiter",
    )

    def __init__(self, course: Course, pulse: Pulse) -> None:
        self._course, self._pulse = course, pulse
        self._feed = course.tap.feed
        self._grow = course.growth.passed if course.growth is not None else None
        self._answer_bytes = 0
        self._failure: BaseException | None = None
        self._has_begun = self._has_ended = self._saw_content = False
        self._is_caller_gone = self._is_caller_slow = self._reads_on = False
        self._next_progress_s = course.ports.clock_s() + PROGRESS_S
        self._next_progress_bytes = PROGRESS_BYTES
        self._waiter: asyncio.Future[None] | None = None

    # What the relay calls.

    def begin(self) -> None:
        """Let the answer run in, if it does not yet."""
        if not self._has_begun:
            self._has_begun = True
            self._course.answer.pipe_to(self)

    async def happened(self) -> bool:
        """Wait for what is no chunk. True: the end; False: the caller is slow, so await its draining and `go_on`.

        Raises UpstreamError when the answer broke off, ClientGone when the caller is gone.
        """
        while True:
            if self._failure is not None:
                raise self._failure
            if self._is_caller_gone and not self._reads_on:
                raise ClientGone
            if self._is_caller_slow and not self._reads_on:
                return False
            if self._has_ended:
                return True
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def go_on(self) -> None:
        """The caller has taken what it was sent."""
        self._is_caller_slow = self._pulse.is_writing = False
        self._course.answer.resume()

    def lose_caller(self) -> None:
        """The caller's connection is lost."""
        self._is_caller_gone = True
        self._wake()

    def forget_caller(self) -> None:
        """From now on only listen."""
        self._reads_on = True
        self._course.answer.resume()

    # What the answer calls, inside the event loop's own call.

    def data(self, data: bytes) -> None:
        try:
            self._pass_on(data)
        except Exception as failure:  # A process edge: the loop calls this; the relay is told and accounts for it.
            self._failure = failure
            self._course.answer.abort()
            self._wake()

    def end(self) -> None:
        self._has_ended = True
        self._wake()

    def failed(self, error: BaseException) -> None:
        self._failure = error
        self._wake()

    def _pass_on(self, data: bytes) -> None:
        course, entry = self._course, self._course.entry
        passed = self._feed(data)
        self._answer_bytes += len(data)
        if self._grow is not None:
            self._grow(self._answer_bytes)
        entry.chunks += 1
        if passed and not self._reads_on and not self._is_caller_gone:
            try:
                has_room = course.out.push(passed)
            except ClientGone:
                self.lose_caller()
                return
            entry.bytes_out += len(passed)
            if not has_room and not self._is_caller_slow:
                self._is_caller_slow = self._pulse.is_writing = True
                course.answer.pause()
                self._wake()
        self._pulse.last_s = now_s = course.ports.clock_s()
        if not self._saw_content and course.tap.has_content:
            self._saw_content = True
            entry.first_token_us = entry.elapsed_us()
        if now_s >= self._next_progress_s or self._answer_bytes >= self._next_progress_bytes:
            self._note_progress(now_s)

    def _note_progress(self, now_s: float) -> None:
        if now_s < self._next_progress_s - PROGRESS_S + _LEAST_PROGRESS_S:
            return
        self._next_progress_s = now_s + PROGRESS_S
        self._next_progress_bytes = self._answer_bytes + PROGRESS_BYTES
        self._course.entry.note_progress(self._course.admission, self._course.counted())

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
