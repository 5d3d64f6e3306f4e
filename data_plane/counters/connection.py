"""One pipelined connection to the counter store, kept up for as long as the pod lives.

Rules that were measured or paid for (`hot-path.md` 5): answers come in the order of the calls, so a queue of calls is
all that is needed to match them, and a call that nobody waits for any more keeps its place in it; RESP2, where `False`
can only mean "not complete yet"; errors of the server are values; a call that was cut off may have run, so nothing is
sent again but what is safe to be; one timer looks at the head of the queue, instead of one timer per call.

What a caller gets is the reply, or None: not in time, not connected, or the store said that it does not work.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from data_plane.counters.breaker import Breaker
from data_plane.counters.greeting import (
    LOAD,
    LOOK,
    StoreUnusable,
    check_usable,
    exchange,
    greeting,
    policy_in,
    sentinel_greeting,
    tls_of,
)
from data_plane.counters.line import Call, Crowd, Line, Take
from data_plane.counters.packing import command
from switchyard_contract.store_address import read_store_address

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
_SWEEP_S = 0.01
_BROKEN_STORE = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "NOREPLICAS", "UNBLOCKED")
"""Beginnings of errors that another connection may be spared."""


class RoundTrips(Protocol):
    """Where durations go."""

    def round_trip(self, took_us: int) -> None: ...


class StoreLink:
    """The way to the store, whatever happens to it. `run` keeps it up."""

    def __init__(self, url: str, *, round_trips: RoundTrips, patience: Patience | None = None) -> None:
        """Raises ValueError when the URL is none of a counter store."""
        self._address = read_store_address(url)
        self._patience = patience or Patience()
        self._round_trips = round_trips
        self._tls = tls_of(self._address)
        self._line: Line | None = None
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
        line = self._ready()
        if line is None:
            return None
        answer: asyncio.Future[object] = line.loop.create_future()
        line.send(Call(command, self._now_s(), _resolver(answer), waits=True))
        return answer

    def ask_together(self, crowd: Crowd) -> bool:
        """Send a call that many wait for, as it is when this turn of the loop is over. False: there is no asking, and
        nobody is told anything. The crowd takes the reply, or None, once."""
        line = self._ready()
        if line is None:
            return False
        line.send(Call(b"", self._now_s(), crowd.take, waits=True, crowd=crowd))
        return True

    def hurry(self) -> None:
        """Write what was gathered, before this turn of the loop is over."""
        if self._line is not None:
            self._line.flush()

    def tell(self, command: bytes, take: Take) -> bool:
        """Send a call that nobody waits for, with the next one or in a moment. False: it was not taken."""
        line = self._ready()
        if line is None:
            return False
        line.put_by(Call(command, self._now_s(), take))
        return True

    def tell_together(self, crowd: Crowd) -> bool:
        """The same for a call that more may join until it leaves."""
        line = self._ready()
        if line is None:
            return False
        line.put_by(Call(b"", self._now_s(), crowd.take, crowd=crowd))
        return True

    def _ready(self) -> Line | None:
        line = self._line
        if line is None or self._breaker.is_open or len(line.calls) >= MOST_CALLS:
            return None
        return line

    def _now_s(self) -> float:
        now_s = time.perf_counter()
        if self._sweeper is None:
            self._sweep_soon(now_s)
        return now_s

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

    def refused(self, line: Line, call: Call, text: str) -> None:
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

    def line_lost(self, line: Line) -> None:
        if self._line is line:
            self._line = None
        # They may have run: whoever sent them knows whether they may be sent again.
        while line.calls:
            line.calls.popleft().resolve(None)

    def _send_again(self, line: Line, call: Call, now_s: float) -> None:
        """The scripts are gone, so nothing was executed. Those behind come back the same way and are sent behind."""
        if not line.loading:
            log.info("the counter store had lost its scripts; they are loaded again")
            line.loading = len(LOAD)
            for load in LOAD:
                line.put_by(Call(load, now_s, line.loaded))
        if call.take is None:
            return
        if call.waits:
            line.send(call)
        else:
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

    def _give_up_on(self, line: Line) -> None:
        now_s = time.perf_counter()
        if line.calls and now_s - line.calls[0].sent_s > self._patience.stuck_s:
            log.warning("the counter store is stuck; connecting anew", waiting=len(line.calls))
            line.abort()
            return
        for call in line.calls:
            if now_s - call.sent_s <= self._patience.answer_s:
                break
            if call.waits and call.take is not None:
                for _ in range(call.crowd.size if call.crowd is not None else 1):
                    self._failed(now_s)
                call.resolve(None)

    def _probe(self, line: Line, now_s: float) -> None:
        self._probed_s = now_s

        def take(reply: object) -> None:
            answered_s = time.perf_counter()
            if reply is not None and answered_s - now_s <= self._patience.answer_s and self._line is line:
                self._breaker.close(answered_s)
                self._tell_up()

        line.send(Call(command(b"PING"), now_s, take))

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

    async def _open(self) -> Line:
        host, port = await self._find()
        line = await self._dial(host, port)
        try:
            replies = await exchange(line, (*greeting(self._address), *LOOK, *LOAD))
            *_, role, memory = replies[: -len(LOAD)]
            check_usable(replies, role)
            self._look_at_eviction(memory)
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
                        *_, reply = await exchange(line, (*sentinel_greeting(address), asked))
                    finally:
                        line.abort()
            except (OSError, TimeoutError):
                continue
            if isinstance(reply, list) and len(reply) == 2:
                return reply[0].decode(), int(reply[1])
        raise StoreUnusable("no sentinel names the master")

    async def _dial(self, host: str, port: int) -> Line:
        loop = asyncio.get_running_loop()
        name = host if self._tls is not None else None
        _, line = await loop.create_connection(lambda: Line(self), host, port, ssl=self._tls, server_hostname=name)
        return line

    def _look_at_eviction(self, memory: object) -> None:
        """Say it loudly where a store may forget what it counted."""
        policy = policy_in(memory)
        self.may_evict = policy != "noeviction"
        if self.may_evict:
            log.error(
                "the counter store may forget counters when its memory is full; set maxmemory-policy to noeviction",
                maxmemory_policy=policy or "unknown",
            )


def _resolver(answer: "asyncio.Future[object]") -> Take:
    def take(reply: object) -> None:
        if not answer.done():
            answer.set_result(reply)

    return take
