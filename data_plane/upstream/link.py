"""One connection to a provider: dialled once, then free or busy with one request at a time.

States: *free* (no waiter, no response: any byte or an end makes it useless), *asked* (a waiter holds the place of the
answer), *answering* (a response takes the bytes), *dead* (no transport). Timeouts are not timers of its own: the pool
calls `check` on every connection from its one sweep.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, cast

from data_plane.upstream.failure import ConnectionLost, MalformedAnswer, Phase, UpstreamError, UpstreamTimeout
from data_plane.upstream.framing import MAX_HEAD_BYTES, Head, Unframed, read_head
from data_plane.upstream.request import Body, Origin, Timeouts, size_of
from data_plane.upstream.response import UpstreamResponse
from data_plane.upstream.upload import SLICE_BYTES, SlicedUpload

# Up to this size a copy is cheaper than handing several buffers to the kernel.
JOINED_BYTES = 16 * 1024


class Owner(Protocol):
    """What a connection tells the pool."""

    def link_opened(self, link: "Link") -> None: ...
    def link_freed(self, link: "Link") -> None: ...
    def link_lost(self, link: "Link") -> None: ...
    def send_soon(self, link: "Link") -> None:
        """Call its `send` when its request may leave, at once or in a moment; `lose_unsent` if it spoke before."""


class Link(asyncio.Protocol):
    """The protocol of one connection, and the source of one response after the other.

    connect_us: what dialling it took; told to the first response only. free_since, born_at: by the pool's clock.
    """

    __slots__ = (
        "_asked_at",
        "_clock",
        "_first_byte_at",
        "_gathered",
        "_head_bytes",
        "_is_sent",
        "_loop",
        "_method",
        "_outgoing",
        "_owner",
        "_pending_seen",
        "_quiet_since",
        "_response",
        "_timeouts",
        "_transport",
        "_upload",
        "_waiter",
        "born_at",
        "connect_us",
        "fileno",
        "free_since",
        "has_heard",
        "host_address",
        "is_encrypted",
        "max_age_s",
        "origin",
        "served",
    )

    def __init__(
        self,
        *,
        owner: Owner,
        origin: Origin,
        host_address: str,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        max_age_s: float,
    ) -> None:
        self.origin = origin
        self.host_address = host_address
        self.is_encrypted = origin.scheme == "https"
        self.max_age_s = max_age_s
        self.born_at = self.free_since = clock()
        self.connect_us = 0
        self.served = 0
        self.has_heard = False
        self._owner = owner
        self.fileno = -1
        """Of its socket; -1: none that the kernel could be asked about."""
        self._clock = clock
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[UpstreamResponse] | None = None
        self._response: UpstreamResponse | None = None
        self._method = ""
        self._timeouts = Timeouts()
        self._gathered: bytearray | None = None
        self._head_bytes = 0
        self._asked_at = self._first_byte_at = self._quiet_since = 0.0
        self._pending_seen = 0
        self._outgoing: tuple[bytes, Body] = (b"", b"")
        self._upload: SlicedUpload | None = None
        """Of a large body over TLS."""
        self._is_sent = False
        """The request has left. What a provider says before that is no answer to it."""

    # What the pool calls.

    def watch(self, connected: socket.socket) -> None:
        """Remember how to ask the kernel about this connection."""
        self.fileno = connected.fileno()

    @property
    def is_usable(self) -> bool:
        """Free, and nothing is known against it."""
        transport = self._transport
        return transport is not None and self._waiter is None and self._response is None and not transport.is_closing()

    def ask(self, head: bytes, body: Body, method: str, timeouts: Timeouts) -> "asyncio.Future[UpstreamResponse]":
        """Send a request on a free connection; the future gets the response when its head is complete.

        The connection is busy until the response has ended. To cancel the future is to give up the connection; call
        `give_up` then.
        """
        transport = self._transport
        waiter: asyncio.Future[UpstreamResponse] = self._loop.create_future()
        self._method = method
        self._timeouts = timeouts
        self._gathered = None
        self._head_bytes = 0
        self._pending_seen = 0
        self._first_byte_at = 0.0
        self._asked_at = self._quiet_since = self._clock()
        self.served += 1
        self._is_sent = False
        if transport is None or not self.is_usable:
            waiter.set_exception(self._loss("closed before the request was sent"))
            return waiter
        self._waiter = waiter
        self._outgoing = head, body
        self._owner.send_soon(self)
        return waiter

    def send(self) -> None:
        """Write the request for whoever waits, if it still does."""
        transport = self._transport
        if self._is_sent or self._waiter is None or transport is None:
            return
        self._is_sent = True
        (head, body), self._outgoing = self._outgoing, (b"", b"")
        if type(body) is bytes and len(body) <= JOINED_BYTES:
            transport.write(head + body)
            return
        size = size_of(body)
        if not size:
            transport.write(head)
        elif self.is_encrypted and size > SLICE_BYTES:
            self._upload = SlicedUpload(transport, body if isinstance(body, tuple) else (body,), self._loop)
            transport.write(head)
            self._upload.send()
        else:
            parts = body if isinstance(body, tuple) else (body,)
            if size <= JOINED_BYTES:
                transport.write(b"".join((head, *parts)))
            else:
                # One writev without a copy on uvloop.
                transport.writelines((head, *parts))

    def lose_unsent(self) -> None:
        """The provider has spoken or closed before the request left: whatever that is, it is no answer to it."""
        if self._is_sent or self._waiter is None:
            return
        self._fail_head(self._loss("spoke or closed before it was asked"))

    def give_up(self, waiter: "asyncio.Future[UpstreamResponse]") -> None:
        """Abort on behalf of a caller that no longer waits for this future.

        Never touches the connection when it has moved on to another request.
        """
        if waiter is self._waiter:
            self._waiter = None
            self.abort()
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            waiter.result().abort()

    def check(self, now: float) -> None:
        """End what takes too long. Called by the sweep, also for free connections."""
        response = self._response
        if response is not None:
            self._check_body(response, now)
        elif self._waiter is not None:
            self._check_head(now)

    def close(self, why: str) -> None:
        """Abort, and let whoever waits know it."""
        if self._response is not None:
            self._response.fail(self._loss(why))
        elif self._waiter is not None:
            self._fail_head(self._loss(why))
        else:
            self.abort()

    def abort(self) -> None:
        """Close now, without sending what is left."""
        self._response = None
        self._stop_upload()
        self.fileno = -1
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            self._owner.link_lost(self)

    # What the response calls.

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        # The time in which our own side took nothing is not the provider's silence.
        self.has_heard = True
        if self._transport is not None:
            self._transport.resume_reading()

    def answer_ended(self, is_reusable: bool) -> None:
        """Take the connection back after an answer: the one place that decides whether it serves again."""
        self._response = None
        transport = self._transport
        if transport is None:
            return
        now = self._clock()
        if (
            not is_reusable
            # The provider answered without reading all: the rest of the body would be read as the next request.
            or self._unsent_bytes
            or transport.get_write_buffer_size()
            or transport.is_closing()
            or now - self.born_at > self.max_age_s
        ):
            self.abort()
            return
        transport.resume_reading()
        self._upload = None
        self.free_since = now
        self._owner.link_freed(self)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport, only of its shape.
        self._transport = cast(asyncio.Transport, transport)
        self._owner.link_opened(self)

    def data_received(self, data: bytes) -> None:
        self.has_heard = True
        response = self._response
        if response is not None:
            response.take(data)
        elif self._is_sent and self._waiter is not None:
            self._take_head(data)
        elif self._waiter is not None:
            self.lose_unsent()
        else:
            # Nothing was asked. Whatever this is, it must not become the beginning of the next answer.
            self.abort()

    def eof_received(self) -> None:
        response = self._response
        if response is not None:
            response.end_of_connection()
        elif self._waiter is not None:
            self._fail_head(self._loss("closed by the provider"))
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._stop_upload()
        self.fileno = -1
        self._owner.link_lost(self)
        why = "closed without an end" if exc is None else (str(exc) or type(exc).__name__)
        response = self._response
        if response is not None:
            response.fail(self._loss(why))
        elif self._waiter is not None:
            self._fail_head(self._loss(why))

    def pause_writing(self) -> None:
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        if self._upload is not None:
            self._upload.resume()

    # The head of the answer.

    def _take_head(self, data: bytes) -> None:
        """Gather a head, read it, and hand what follows it on; interim answers are passed over."""
        if not self._first_byte_at:
            self._first_byte_at = self._clock()
        gathered = self._gathered
        if gathered is None:
            end = data.find(b"\r\n\r\n")
        else:
            search_from = max(0, len(gathered) - 3)
            gathered += data
            end = gathered.find(b"\r\n\r\n", search_from)
            if end >= 0:
                data = bytes(gathered)
        while end >= 0:
            self._gathered = None
            end += 4
            # Interim heads count too: a provider must not send them for ever.
            self._head_bytes += end
            if self._head_bytes > MAX_HEAD_BYTES:
                break
            try:
                head = read_head(data[:end], self._method)
            except Unframed as failure:
                error = self._malformed(str(failure))
                error.__cause__ = failure
                self._fail_head(error)
                return
            data = data[end:]
            if not head.is_interim:
                self._begin_answer(head, data)
                return
            if not data:
                self._first_byte_at = 0.0
                return
            end = data.find(b"\r\n\r\n")
        if self._gathered is None:
            self._gathered = bytearray(data)
        if self._head_bytes + len(self._gathered) > MAX_HEAD_BYTES:
            self._fail_head(self._malformed(f"a head of more than {MAX_HEAD_BYTES} bytes"))

    def _begin_answer(self, head: Head, data: bytes) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            # The caller was cancelled in this turn of the loop and will not look at the future any more.
            self.abort()
            return
        response = self._response = UpstreamResponse(
            source=self,
            head=head,
            origin=self.origin,
            host_address=self.host_address,
            connect_us=self.connect_us,
            first_byte_us=int((self._first_byte_at - self._asked_at) * 1e6),
            is_reused=self.served > 1,
            clock=self._clock,
        )
        self.connect_us = 0
        if head.body.is_complete:
            response.end(not data)
        elif data:
            response.take(data)
        waiter.set_result(response)

    def _fail_head(self, error: UpstreamError) -> None:
        waiter, self._waiter = self._waiter, None
        self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _loss(self, why: str) -> ConnectionLost:
        received = self._head_bytes + len(self._gathered or b"")
        if self._response is not None:
            received += self._response.received_bytes
        return ConnectionLost(
            origin=str(self.origin),
            bytes_received=received,
            was_reused=self.served > 1,
            why=why,
            was_sent=self._is_sent,
        )

    def _malformed(self, why: str) -> MalformedAnswer:
        return MalformedAnswer(origin=str(self.origin), why=why)

    # Time.

    def _check_head(self, now: float) -> None:
        transport = self._transport
        assert transport is not None, "a connection without a transport waits for nothing"
        pending = transport.get_write_buffer_size() + self._unsent_bytes
        phase: Phase = "first_byte"
        limit_ms = self._timeouts.first_byte_ms
        if pending:
            phase, limit_ms = "send", self._timeouts.idle_ms
        if pending != self._pending_seen:
            self._pending_seen = pending
            self._quiet_since = now
        elif now - self._quiet_since > limit_ms / 1000:
            self._fail_head(UpstreamTimeout(origin=str(self.origin), phase=phase, limit_ms=limit_ms))

    def _check_body(self, response: UpstreamResponse, now: float) -> None:
        response.wake_when_silent(now)
        # A flag per read and a clock per sweep instead of a clock per read.
        if self.has_heard:
            self.has_heard = False
            self._quiet_since = now
            return
        phase: Phase = "idle"
        limit_ms = self._timeouts.idle_ms
        if response.is_paused:
            phase, limit_ms = "stalled", self._timeouts.stall_ms
        if now - self._quiet_since > limit_ms / 1000:
            response.fail(UpstreamTimeout(origin=str(self.origin), phase=phase, limit_ms=limit_ms))

    # The upload of a large body over TLS.

    @property
    def _unsent_bytes(self) -> int:
        return self._upload.unsent_bytes if self._upload is not None else 0

    def _stop_upload(self) -> None:
        if self._upload is not None:
            self._upload.stop()
            self._upload = None
