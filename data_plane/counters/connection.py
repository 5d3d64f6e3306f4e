"""One pipelined connection to the counter store, kept up for as long as the pod lives.

Rules that were measured or paid for (`hot-path.md` 5): answers come in the order of the calls, so a queue of calls is
all that is needed to match them, and a call that nobody waits for any more keeps its place in it; RESP2, where `False`
can only mean "not complete yet"; errors of the server are values; a call that was cut off may have run, so nothing is
sent again but what is safe to be; one timer looks at the head of the queue, instead of one timer per call.

What a caller gets is the reply, or None: not in time, not connected, or the store said that it does not work.
"""

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import hiredis
import structlog

from data_plane.counters.breaker import Breaker
from data_plane.counters.packing import command
from data_plane.counters.scripts import SCRIPTS
from switchyard_contract.store_address import StoreAddress, read_store_address

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may take."""

    answer_s: float = 0.05
    """A call that somebody waits for."""
    stuck_s: float = 1.0
    """Whatever is at the head of the queue, before the connection is given up."""
    connect_s: float = 0.5
    probe_every_s: float = 0.5
    retry_s: tuple[float, float] = (0.05, 0.4)
    """Between two attempts to connect, drawn evenly: a restarted store is found in less than a second."""


MOST_CALLS = 4_000
"""Waiting for answers; more are not taken."""
_MOST_GATHERED = 16
"""Calls in one write; the first must not wait for a whole crowd."""
_SWEEP_S = 0.01
_BROKEN_STORE = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "NOREPLICAS", "UNBLOCKED")
"""Beginnings of errors that another connection may be spared."""
Take = Callable[[object], None]


class RoundTrips(Protocol):
    """Where durations go."""

    def round_trip(self, took_us: int) -> None: ...


class _Call:
    """One command, and what waits for its answer: somebody (`answer`), or something (`take`); None: nobody any more."""

    __slots__ = ("answer", "command", "sent_s", "take", "wants_errors")

    def __init__(
        self, command: bytes, sent_s: float, answer: "asyncio.Future[object] | None", take: Take | None = None,
        *, wants_errors: bool = False,
    ) -> None:  # fmt: skip
        self.command, self.sent_s, self.answer, self.take = command, sent_s, answer, take
        self.wants_errors = wants_errors

    def resolve(self, reply: object) -> None:
        if self.answer is not None:
            if not self.answer.done():
                self.answer.set_result(reply)
        elif self.take is not None:
            self.take(reply)


class StoreUnusable(Exception):
    """The store answers, but not as one that could be used; the text says what it said, without what we sent."""


class _Line(asyncio.Protocol):
    """One TCP connection and its queue of calls."""

    def __init__(self, link: "StoreLink") -> None:
        self._link = link
        self._reader = hiredis.Reader()
        self.loop = asyncio.get_running_loop()
        self.calls: deque[_Call] = deque()
        self._gathered: list[bytes] = []
        self._is_leaving = False
        self.loading = 0
        """Scripts on their way, after the store had lost them."""
        self.transport: asyncio.WriteTransport | None = None
        self.lost: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def send(self, call: _Call) -> None:
        """Write in this turn of the loop, together with what else is asked in it: one write for many."""
        self.calls.append(call)
        self._gathered.append(call.command)
        if len(self._gathered) >= _MOST_GATHERED:
            self.flush()
        elif not self._is_leaving:
            self._is_leaving = True
            self.loop.call_soon(self.flush)

    def put_by(self, call: _Call) -> None:
        """Write with the next call, or with the next sweep: nobody waits for the answer."""
        self.calls.append(call)
        self._gathered.append(call.command)

    def flush(self) -> None:
        self._is_leaving = False
        if self._gathered and self.transport is not None:
            self.transport.write(b"".join(self._gathered))
            self._gathered.clear()

    def data_received(self, data: bytes) -> None:
        oldest: _Call | None = None
        try:
            self._reader.feed(data)
            gets, calls, next_call = self._reader.gets, self.calls, self.calls.popleft
            while (reply := gets()) is not False:
                if not calls:
                    raise hiredis.ProtocolError("a reply to nothing")
                call = next_call()
                if isinstance(reply, hiredis.ReplyError) and not call.wants_errors:
                    self._link.refused(self, call, str(reply))
                    continue
                answer = call.answer
                if answer is None:
                    if call.take is not None:
                        call.take(reply)
                    continue
                if oldest is None:
                    oldest = call
                if not answer.done():
                    answer.set_result(reply)
        except hiredis.ProtocolError:
            log.warning("the counter store sent what is no answer; connecting anew")
            self.abort()
        if oldest is not None:
            # Those that came together waited about as long, and it is the oldest that a limit is about.
            self._link.answered(oldest.sent_s)

    def loaded(self, _reply: object) -> None:
        self.loading -= 1

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, failure: Exception | None) -> None:
        self.transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        self._link.line_lost(self)


class StoreLink:
    """The way to the store, whatever happens to it. `run` keeps it up."""

    def __init__(self, url: str, *, round_trips: RoundTrips, patience: Patience | None = None) -> None:
        """Raises ValueError when the URL is none of a counter store."""
        self._address = read_store_address(url)
        self._patience = patience or Patience()
        self._round_trips = round_trips
        self._tls = _tls_of(self._address)
        self._line: _Line | None = None
        self._breaker = Breaker(self._patience.answer_s)
        self._sweeper: asyncio.TimerHandle | None = None
        self._swept_s = 0.0
        self._late_s = 0.0
        """How much later than it should have the last sweep came: this process was busy, not the store."""
        self._probed_s = 0.0
        self._said: set[str] = set()
        self._on_up: list[Callable[[], None]] = []
        self.may_evict = False
        """The store forgets counters when its memory is full."""
        self.reconnects = 0

    @property
    def is_up(self) -> bool:
        """Whether it is worth asking."""
        return self._line is not None and not self._breaker.is_open

    @property
    def waiting(self) -> int:
        return len(self._line.calls) if self._line is not None else 0

    def on_up(self, call: Callable[[], None]) -> None:
        """Have something called each time when the store can be asked again."""
        self._on_up.append(call)

    # Asking.

    def ask(self, command: bytes) -> "asyncio.Future[object] | None":
        """Send a call that somebody waits for. Its answer: the reply, or None. None at once: there is no asking."""
        line = self._line
        if line is None or self._breaker.is_open or len(line.calls) >= MOST_CALLS:
            return None
        answer: asyncio.Future[object] = line.loop.create_future()
        now_s = time.perf_counter()
        line.send(_Call(command, now_s, answer))
        if self._sweeper is None:
            self._sweep_soon(now_s)
        return answer

    def tell(self, command: bytes, take: Take) -> bool:
        """Send a call that nobody waits for, with the next one or in a moment. False: it was not taken."""
        line = self._line
        if line is None or self._breaker.is_open or len(line.calls) >= MOST_CALLS:
            return False
        now_s = time.perf_counter()
        line.put_by(_Call(command, now_s, None, take))
        if self._sweeper is None:
            self._sweep_soon(now_s)
        return True

    async def fetch(self, command: bytes) -> object:
        """Send a call in the background and wait for it as long as the connection lives; None: it did not."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if not self.tell(command, _resolver(answer)):
            return None
        return await answer

    # What the line tells.

    def answered(self, sent_s: float) -> None:
        """Note how long the oldest of the calls took that were answered together."""
        now_s = time.perf_counter()
        took_s = now_s - sent_s
        self._round_trips.round_trip(int(took_s * 1_000_000))
        # A busy loop is late twice, to send and to read. That is not the store's.
        late_s = max(self._late_s, now_s - self._swept_s - _SWEEP_S) if self._sweeper is not None else self._late_s
        self._breaker.answered(took_s - 2 * late_s if late_s > 0.001 else took_s, now_s)

    def refused(self, line: _Line, call: _Call, text: str) -> None:
        """The store answered with an error."""
        now_s = time.perf_counter()
        if text.startswith("NOSCRIPT") and line.transport is not None:
            self._send_again(line, call, now_s)
            return
        self._say_once(text)
        self._failed(now_s)
        if text.startswith(_BROKEN_STORE):
            line.abort()
        call.resolve(None)

    def line_lost(self, line: _Line) -> None:
        if self._line is line:
            self._line = None
        # They may have run: whoever sent them knows whether they may be sent again.
        while line.calls:
            line.calls.popleft().resolve(None)

    def _send_again(self, line: _Line, call: _Call, now_s: float) -> None:
        """The scripts are gone, so nothing was executed. Those behind come back the same way and are sent behind."""
        if not line.loading:
            log.info("the counter store had lost its scripts; they are loaded again")
            line.loading = len(_LOAD)
            for load in _LOAD:
                line.put_by(_Call(load, now_s, None, line.loaded))
        if call.answer is not None:
            line.send(call)
        elif call.take is not None:
            line.put_by(call)

    def _failed(self, now_s: float) -> None:
        opened = self._breaker.opened
        self._breaker.failed(now_s)
        if self._breaker.opened != opened:
            log.warning("the counter store does not answer in time; this pod decides alone until it does")

    def _say_once(self, text: str) -> None:
        """Log an error of the store, each kind once in the life of a connection."""
        kind = text.partition(" ")[0]
        if kind not in self._said:
            self._said.add(kind)
            log.error("the counter store refuses", error=text[:200])

    # The one timer.

    def _sweep_soon(self, now_s: float) -> None:
        self._swept_s = now_s
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        line, now_s = self._line, time.perf_counter()
        if line is None:
            return
        line.flush()
        self._late_s = max(0.0, now_s - self._swept_s - _SWEEP_S)
        if line.calls and now_s - line.calls[0].sent_s > self._patience.answer_s:
            # Their answers may be here, unread: what has arrived is read before they are given up. Twice, because what
            # is put off once comes before the sockets are looked at.
            line.loop.call_soon(line.loop.call_soon, self._give_up_on, line)
        if self._breaker.is_open and now_s - self._probed_s >= self._patience.probe_every_s:
            self._probe(line, now_s)
        if line.calls or self._breaker.is_open:
            self._sweep_soon(now_s)

    def _give_up_on(self, line: _Line) -> None:
        now_s = time.perf_counter()
        if line.calls and now_s - line.calls[0].sent_s > self._patience.stuck_s:
            log.warning("the counter store is stuck; connecting anew", waiting=len(line.calls))
            line.abort()
            return
        for call in line.calls:
            if now_s - call.sent_s <= self._patience.answer_s:
                break
            if call.answer is not None:
                # The place in the queue stays: the late reply is to be dropped, not taken for the next one's.
                answer, call.answer = call.answer, None
                self._failed(now_s)
                if not answer.done():
                    answer.set_result(None)

    def _probe(self, line: _Line, now_s: float) -> None:
        self._probed_s = now_s

        def take(reply: object) -> None:
            answered_s = time.perf_counter()
            if reply is not None and answered_s - now_s <= self._patience.answer_s and self._line is line:
                self._breaker.close(answered_s)
                self._tell_up()

        line.send(_Call(command(b"PING"), now_s, None, take))

    def _tell_up(self) -> None:
        for call in self._on_up:
            call()

    # Keeping it up.

    async def run(self) -> None:
        """Connect, and connect anew, until cancelled."""
        was_up = True
        while True:
            try:
                async with asyncio.timeout(self._patience.connect_s):
                    line = await self._open()
            except (OSError, TimeoutError, StoreUnusable) as failure:
                if was_up:
                    was_up = False
                    why = str(failure) if isinstance(failure, StoreUnusable) else type(failure).__name__
                    log.warning("counter store out of reach", why=why)
            else:
                if not was_up:
                    log.info("counter store reached again")
                was_up = True
                try:
                    await line.lost
                finally:
                    line.abort()
                self.reconnects += 1
            await asyncio.sleep(random.uniform(*self._patience.retry_s))  # noqa: S311

    async def _open(self) -> _Line:
        host, port = await self._find()
        line = await self._dial(host, port)
        try:
            replies = await _exchange(line, (*_greeting(self._address), *_LOOK, *_LOAD))
            *_, role, memory = replies[: -len(_LOAD)]
            self._check(replies, role, memory)
        except BaseException:
            line.abort()
            raise
        self._said.clear()
        self._line = line
        self._breaker.close(time.perf_counter())
        self._tell_up()
        return line

    async def _find(self) -> tuple[str, int]:
        """Where the store is: the address itself, or what the first sentinel that answers says."""
        address = self._address
        if not address.service:
            return address.nodes[0]
        for host, port in address.nodes:
            try:
                async with asyncio.timeout(self._patience.connect_s / 2):
                    line = await self._dial(host, port)
                    try:
                        asked = command(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", address.service.encode())
                        *_, reply = await _exchange(line, (*_sentinel_greeting(address), asked))
                    finally:
                        line.abort()
            except (OSError, TimeoutError):
                continue
            if isinstance(reply, list) and len(reply) == 2:
                return reply[0].decode(), int(reply[1])
        raise StoreUnusable("no sentinel names the master")

    async def _dial(self, host: str, port: int) -> _Line:
        loop = asyncio.get_running_loop()
        name = host if self._tls is not None else None
        _, line = await loop.create_connection(lambda: _Line(self), host, port, ssl=self._tls, server_hostname=name)
        return line

    def _check(self, replies: Sequence[object], role: object, memory: object) -> None:
        """Refuse a store that cannot count; say it loudly where one may forget what it counted."""
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("NOPERM"):
                raise StoreUnusable(str(reply)[:200])
        if isinstance(role, list) and role and role[0] not in (b"master", b"primary"):
            raise StoreUnusable("it is a replica")
        policy = _policy_in(memory)
        self.may_evict = policy != "noeviction"
        if self.may_evict:
            log.error(
                "the counter store may forget counters when its memory is full; set maxmemory-policy to noeviction",
                maxmemory_policy=policy or "unknown",
            )


_LOOK = (command(b"ROLE"), command(b"INFO", b"memory"))
_LOAD = tuple(command(b"SCRIPT", b"LOAD", script.text) for script in SCRIPTS)


async def _exchange(line: _Line, commands: Sequence[bytes]) -> list[object]:
    """Send commands on a line of one's own and wait for all replies; errors among them are values."""
    loop = asyncio.get_running_loop()
    replies: list[object] = []
    whole: asyncio.Future[None] = loop.create_future()

    def take(reply: object) -> None:
        replies.append(reply)
        if not whole.done() and (reply is None or len(replies) == len(commands)):
            whole.set_result(None)

    now_s = time.perf_counter()
    for each in commands:
        line.put_by(_Call(each, now_s, None, take, wants_errors=True))
    line.flush()
    await whole
    if len(replies) != len(commands) or line.transport is None:
        raise ConnectionResetError
    return replies


def _greeting(address: StoreAddress) -> list[bytes]:
    words = []
    if address.password:
        names = (address.username.encode(),) if address.username else ()
        words.append(command(b"AUTH", *names, address.password.encode()))
    if address.database:
        words.append(command(b"SELECT", b"%d" % address.database))
    return words


def _sentinel_greeting(address: StoreAddress) -> list[bytes]:
    return [command(b"AUTH", address.sentinel_password.encode())] if address.sentinel_password else []


def _policy_in(memory: object) -> str:
    """Read the eviction policy out of INFO; managed stores refuse CONFIG."""
    text = memory.decode(errors="replace") if isinstance(memory, bytes) else ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "maxmemory_policy":
            return value.strip()
    return ""


def _resolver(answer: "asyncio.Future[object]") -> Take:
    def take(reply: object) -> None:
        if not answer.done():
            answer.set_result(reply)

    return take


def _tls_of(address: StoreAddress) -> ssl.SSLContext | None:
    if not address.is_tls:
        return None
    context = ssl.create_default_context(cafile=address.ca_file or None)
    if not address.checks_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
