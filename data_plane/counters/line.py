"""One TCP connection to the counter store and its queue of calls."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import hiredis
import structlog

log = structlog.get_logger()

_MOST_GATHERED = 16
"""Calls in one write; the first must not wait for a whole crowd."""
Take = Callable[[object], None]


class Crowd(Protocol):
    """Many who ask the same thing at once, in one call that is put into words when it leaves."""

    @property
    def size(self) -> int: ...
    def compose(self) -> bytes: ...
    def take(self, reply: object) -> None: ...


class Call:
    """One command, and what takes its reply; None: nobody any more."""

    __slots__ = ("command", "crowd", "sent_s", "take", "waits", "wants_errors")

    def __init__(
        self, command: bytes, sent_s: float, take: Take, *, waits: bool = False, wants_errors: bool = False,
        crowd: Crowd | None = None,
    ) -> None:  # fmt: skip
        """waits: somebody does, and not for long. crowd: gives the command, which is empty until then."""
        self.command, self.sent_s, self.waits, self.wants_errors = command, sent_s, waits, wants_errors
        self.take: Take | None = take
        self.crowd = crowd

    def resolve(self, reply: object) -> None:
        """Hand the reply over, once. The place in the queue stays: a late reply is not the next one's."""
        take, self.take = self.take, None
        if take is not None:
            take(reply)


class Owner(Protocol):
    """Who is told what happens to a line."""

    def refused(self, line: "Line", call: Call, text: str) -> None: ...
    def answered(self, sent_s: float) -> None: ...
    def line_lost(self, line: "Line") -> None: ...


class Line(asyncio.Protocol):
    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._reader = hiredis.Reader()
        self.loop = asyncio.get_running_loop()
        self.calls: deque[Call] = deque()
        self._gathered: list[Call] = []
        self._is_leaving = False
        self.loading = 0
        """Scripts on their way, after the store had lost them."""
        self.transport: asyncio.WriteTransport | None = None
        self.lost: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def send(self, call: Call) -> None:
        """Write in this turn of the loop, together with what else is asked in it: one write for many."""
        self.calls.append(call)
        self._gathered.append(call)
        if len(self._gathered) >= _MOST_GATHERED:
            self.flush()
        elif not self._is_leaving:
            self._is_leaving = True
            self.loop.call_soon(self.flush)

    def put_by(self, call: Call) -> None:
        """Write with the next call, or with the next sweep: nobody waits for the answer."""
        self.calls.append(call)
        self._gathered.append(call)

    def flush(self) -> None:
        self._is_leaving = False
        if not self._gathered or self.transport is None:
            return
        words, now_s = [], time.perf_counter()
        for call in self._gathered:
            # Until here it was this process that took its time, not the store.
            call.sent_s = now_s
            if not call.command and call.crowd is not None:
                call.command = call.crowd.compose()
            words.append(call.command)
        self._gathered.clear()
        self.transport.write(b"".join(words))

    def data_received(self, data: bytes) -> None:
        oldest: Call | None = None
        try:
            self._reader.feed(data)
            gets, calls, next_call = self._reader.gets, self.calls, self.calls.popleft
            while (reply := gets()) is not False:
                if not calls:
                    raise hiredis.ProtocolError("a reply to nothing")
                call = next_call()
                if type(reply) is hiredis.ReplyError and not call.wants_errors:
                    self._owner.refused(self, call, str(reply))
                    continue
                take = call.take
                if take is None:
                    continue
                call.take = None
                if oldest is None and call.waits:
                    oldest = call
                take(reply)
        except hiredis.ProtocolError:
            log.warning("the counter store sent what is no answer; connecting anew")
            self.abort()
        if oldest is not None:
            # Those that came together waited about as long, and it is the oldest that a limit is about.
            self._owner.answered(oldest.sent_s)

    def loaded(self, _reply: object) -> None:
        self.loading -= 1

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, failure: Exception | None) -> None:
        self.transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        self._owner.line_lost(self)
