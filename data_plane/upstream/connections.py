"""Our own HTTP/1.1 client: a pool of kept connections per place, on raw asyncio protocols.

    response = await pool.send(UpstreamRequest(origin, "POST", "/v1/messages", headers, body))
    while (data := await response.chunk()) is not None: ...

`UpstreamPool` finds or dials a connection (`link.py`), which frames the answer (`framing.py`) and gives it out as an
`UpstreamResponse` (`response.py`). Where a name may lead is for `addresses.py` to say. No redirects are followed, no
proxy variables read, no cookies kept, no encodings negotiated.
Why not a client library: docs/decisions/0030-own-http-client.md
"""

import asyncio
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from data_plane.upstream.addresses import Lookup, Network, Resolver, judge_address, look_up, parse_networks
from data_plane.upstream.failure import (
    ConnectFailed,
    ConnectionLost,
    ConnectionsExhausted,
    ForbiddenAddress,
    NameNotResolved,
    Phase,
    PoolClosed,
    TlsFailed,
    UpstreamTimeout,
)
from data_plane.upstream.link import Link
from data_plane.upstream.request import Origin, Timeouts, UpstreamRequest, encode_head
from data_plane.upstream.response import Sink, UpstreamResponse

__all__ = ["Origin", "PoolStats", "Sink", "Timeouts", "UpstreamPool", "UpstreamRequest", "UpstreamResponse"]


_HEARD = select.POLLIN | select.POLLRDHUP


@cache
def process_tls_context() -> ssl.SSLContext:
    """Give the one TLS context of this process: making one costs 15 ms, which no connection may pay.

    Worth a call at start. Not ssl.create_default_context: that writes session keys to a file if SSLKEYLOGFILE is set.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Counts for the metrics. open, idle and dialling are of now; the rest only grow."""

    open: int
    idle: int
    dialling: int
    dialled: int
    reused: int
    retried_stale: int
    expired_idle: int


LetGo = Callable[[Callable[[], None]], None]
"""Calls what it is given, at once or in a moment: when requests may leave."""


def _at_once(send: Callable[[], None]) -> None:
    send()


class _Lane:
    """The connections to one place: an origin, reached under one rule about private networks."""

    __slots__ = ("allow_private", "dialling", "host_header", "idle", "open", "origin", "pool", "send_soon")

    def __init__(self, pool: "UpstreamPool", origin: Origin, allow_private: bool) -> None:
        self.pool = pool
        self.origin = origin
        self.allow_private = allow_private
        self.host_header = origin.host_header()
        # An ordered set. The newest is last and taken first, so that a pool too large falls idle at its other end.
        self.idle: dict[Link, None] = {}
        self.open = 0
        self.dialling = 0
        self.send_soon = pool.send_soon

    def link_opened(self, link: Link) -> None:
        self.open += 1
        self.pool.link_opened(link)

    def link_freed(self, link: Link) -> None:
        if self.pool.is_closed:
            link.abort()
        else:
            self.idle[link] = None

    def link_lost(self, link: Link) -> None:
        self.open -= 1
        self.idle.pop(link, None)
        self.pool.link_lost(link)


class UpstreamPool:
    """All connections of this process to providers.

    private_networks: CIDRs in which providers may live besides the public internet, for requests that say
    `allow_private`. max_connections: per origin, dialling ones included. idle_s: shorter than any provider's own limit,
    so that we close first. max_age_s: so that a change in DNS or behind a load balancer is followed in the end.
    sweep_ms: by so much any timeout may be exceeded. tls: another trust than the system's. let_go: decides when
    requests leave; without it, at once.
    Belongs to one event loop.
    """

    def __init__(
        self,
        *,
        private_networks: Iterable[str | Network] = (),
        max_connections: int = 2000,
        idle_s: float = 50.0,
        max_age_s: float = 3600.0,
        sweep_ms: int = 250,
        tls: ssl.SSLContext | None = None,
        look_up: Lookup = look_up,
        clock: Callable[[], float] = time.perf_counter,
        let_go: LetGo = _at_once,
    ) -> None:
        self._let_go = let_go
        self._unsent: list[Link] = []
        """Those whose requests leave together."""
        self._private_networks = parse_networks(private_networks)
        self._max_connections = max_connections
        self._idle_s, self._max_age_s, self._sweep_s = idle_s, max_age_s, sweep_ms / 1000
        self._tls = tls
        self._clock = clock
        self._resolver = Resolver(clock=clock, look_up=look_up)
        # A connection into a private network must never serve a request that may not go there: two sets of lanes.
        self._lanes: tuple[dict[Origin, _Lane], dict[Origin, _Lane]] = ({}, {})
        self._links: set[Link] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._dialling = self._dialled = self._reused = self._retried_stale = self._expired_idle = 0
        self.is_closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """Send one request and give the answer as soon as its head is complete, whatever its status.

        Raises UpstreamError; ValueError for a request that must not be put on a wire.
        The response must be read to its end or aborted; a caller cancelled in here leaves nothing behind.
        """
        lane = self._lane(request.origin, request.allow_private)
        head = encode_head(request, lane.host_header)
        link = self._take_idle(lane) or await self._dial(lane, request.timeouts)
        waiter = link.ask(head, request.body, request.method, request.timeouts)
        try:
            return await waiter
        except asyncio.CancelledError:
            link.give_up(waiter)
            raise
        except ConnectionLost as lost:
            is_stale = lost.was_reused and lost.bytes_received == 0 and request.retry_stale
            if lost.was_sent and not is_stale:
                raise
            if lost.was_sent:
                self._retried_stale += 1
        # The provider closed a kept connection, most likely while our request was on its way: once more, and on a
        # fresh connection, since the other kept ones are probably as dead.
        link = await self._dial(lane, request.timeouts)
        waiter = link.ask(head, request.body, request.method, request.timeouts)
        try:
            return await waiter
        except asyncio.CancelledError:
            link.give_up(waiter)
            raise

    def stats(self) -> PoolStats:
        """Count for the metrics."""
        return PoolStats(
            open=len(self._links),
            idle=sum(link.is_usable for link in self._links),
            dialling=self._dialling,
            dialled=self._dialled,
            reused=self._reused,
            retried_stale=self._retried_stale,
            expired_idle=self._expired_idle,
        )

    async def close(self) -> None:
        """Abort everything and let nothing begin. Answers under way end with ConnectionLost."""
        self.is_closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for link in tuple(self._links):
            link.close("the pool is closed")
        await self._resolver.close()
        # Transports close their sockets in the loop's next turns.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    # What lanes report.

    def link_opened(self, link: Link) -> None:
        self._links.add(link)
        if self._sweep_timer is None and not self.is_closed:
            self._sweep_timer = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)

    def link_lost(self, link: Link) -> None:
        self._links.discard(link)

    def _sweep(self) -> None:
        """Look at every connection: the one timer of the pool."""
        now = self._clock()
        for link in tuple(self._links):
            if not link.is_usable:
                link.check(now)
            elif now - link.free_since > self._idle_s:
                self._expired_idle += 1
                link.abort()
        for lanes in self._lanes:
            for origin in [origin for origin, lane in lanes.items() if not lane.open and not lane.dialling]:
                del lanes[origin]
        if self._links:
            self._sweep_timer = asyncio.get_running_loop().call_later(self._sweep_s, self._sweep)
        else:
            self._sweep_timer = None

    # Sending.

    def send_soon(self, link: Link) -> None:
        """Let the request of a link leave with those of this moment."""
        self._unsent.append(link)
        if len(self._unsent) == 1:
            self._let_go(self._send_all)

    def _send_all(self) -> None:
        """Send what waits, unless its provider has spoken or closed: surplus of the last answer must not become the
        beginning of the next one. The kernel is asked once about all kept connections."""
        unsent, self._unsent = self._unsent, []
        poll = select.poll()
        for link in unsent:
            if link.served > 1 and link.fileno >= 0:
                poll.register(link.fileno, _HEARD)
        heard = {fileno for fileno, _ in poll.poll(0)}
        for link in unsent:
            if heard and link.fileno in heard:
                link.lose_unsent()
            else:
                link.send()

    # Finding and dialling.

    def _lane(self, origin: Origin, allow_private: bool) -> _Lane:
        lanes = self._lanes[allow_private]
        lane = lanes.get(origin)
        if lane is None:
            lane = lanes[origin] = _Lane(self, origin, allow_private)
        return lane

    def _take_idle(self, lane: _Lane) -> Link | None:
        while lane.idle:
            link, _ = lane.idle.popitem()
            if link.is_usable:
                self._reused += 1
                return link
            link.abort()
        return None

    async def _dial(self, lane: _Lane, timeouts: Timeouts) -> Link:
        """Open one connection. asyncio.timeout is fine here: dialling is rare, and costs far more than the timer."""
        origin = lane.origin
        if self.is_closed:
            raise PoolClosed(origin=str(origin))
        if lane.open + lane.dialling >= self._max_connections:
            raise ConnectionsExhausted(origin=str(origin), limit=self._max_connections)
        lane.dialling += 1
        self._dialling += 1
        began = self._clock()
        phase: Phase = "resolve"
        try:
            async with asyncio.timeout(timeouts.connect_ms / 1000):
                addresses = await self._find_addresses(lane)
                phase = "connect"
                connected, address = await self._connect(origin, addresses, timeouts)
                phase = "tls"
                link = await self._open(lane, connected, address)
        except TimeoutError as failure:
            self._resolver.doubt(origin.host, origin.port)
            raise UpstreamTimeout(origin=str(origin), phase=phase, limit_ms=timeouts.connect_ms) from failure
        finally:
            lane.dialling -= 1
            self._dialling -= 1
        if self.is_closed:
            link.abort()
            raise PoolClosed(origin=str(origin))
        self._dialled += 1
        link.connect_us = int((self._clock() - began) * 1e6)
        return link

    async def _find_addresses(self, lane: _Lane) -> tuple[str, ...]:
        """Resolve the name and judge every address of it: one that is forbidden forbids the name."""
        origin = lane.origin
        literal = origin.literal_address()
        try:
            addresses = (literal,) if literal else await self._resolver.resolve(origin.host, origin.port)
        except OSError as failure:
            if self.is_closed:
                raise PoolClosed(origin=str(origin)) from failure
            raise NameNotResolved(origin=str(origin), why=failure.strerror or str(failure)) from failure
        networks = self._private_networks if lane.allow_private else ()
        for address in addresses:
            why = judge_address(address, is_encrypted=origin.scheme == "https", private_networks=networks)
            if why is not None:
                raise ForbiddenAddress(origin=str(origin), address=address, why=why)
        return addresses

    async def _connect(
        self, origin: Origin, addresses: tuple[str, ...], timeouts: Timeouts
    ) -> tuple[socket.socket, str]:
        """Connect to the first address that takes it. Each gets an equal share of the time that is left."""
        loop = asyncio.get_running_loop()
        ends_at = self._clock() + timeouts.connect_ms / 1000
        why = ""
        for index, address in enumerate(addresses):
            others = len(addresses) - index - 1
            share_s = max(0.0, ends_at - self._clock()) / (others + 1) if others else None
            connected = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            try:
                connected.setblocking(False)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                async with asyncio.timeout(share_s):
                    await loop.sock_connect(connected, (address, origin.port))
            except OSError as failure:  # TimeoutError is one
                connected.close()
                why = failure.strerror or "no answer in time"
            except BaseException:
                connected.close()
                raise
            else:
                self._resolver.prefer(origin.host, origin.port, address)
                return connected, address
        self._resolver.doubt(origin.host, origin.port)
        raise ConnectFailed(origin=str(origin), why=why, addresses=addresses)

    async def _open(self, lane: _Lane, connected: socket.socket, address: str) -> Link:
        """Put protocol and TLS upon a connected socket. Name and SNI are the origin's, whatever address it has."""
        origin = lane.origin
        loop = asyncio.get_running_loop()
        link = Link(
            owner=lane,
            origin=origin,
            host_address=address,
            clock=self._clock,
            loop=loop,
            max_age_s=self._max_age_s,
        )
        link.watch(connected)
        try:
            if origin.scheme == "https":
                tls = self._tls or process_tls_context()
                await loop.create_connection(lambda: link, sock=connected, ssl=tls, server_hostname=origin.host)
            else:
                await loop.create_connection(lambda: link, sock=connected)
        except OSError as failure:  # ssl.SSLError is one
            link.abort()
            connected.close()
            if origin.scheme == "http":
                raise ConnectFailed(origin=str(origin), why=str(failure), addresses=(address,)) from failure
            why = failure.verify_message if isinstance(failure, ssl.SSLCertVerificationError) else str(failure)
            raise TlsFailed(origin=str(origin), address=address, why=why or type(failure).__name__) from failure
        except BaseException:
            link.abort()
            connected.close()
            raise
        return link
