"""Receive: an aiohttp request becomes an Arrival, or is none of ours."""

import ipaddress
import os
import time
from collections.abc import Callable

from aiohttp import web

from data_plane.exchange.identity import CHANCE_BYTES, continue_trace, make_exchange_id
from data_plane.exchange.stages import Arrival
from data_plane.protocols.codec import RequestHead
from data_plane.protocols.paths import Route
from data_plane.settings import Network

_BLOCK_BYTES = 8192
_TRACE_CHANCE_BYTES = 16


class Chance:
    """Random bytes, fetched from the system in blocks: one system call per few hundred requests."""

    def __init__(self) -> None:
        self._block, self._at = b"", 0

    def draw(self, size: int) -> bytes:
        if self._at + size > len(self._block):
            self._block, self._at = os.urandom(_BLOCK_BYTES), 0
        start, self._at = self._at, self._at + size
        return self._block[start : self._at]


def read_head(request: web.BaseRequest) -> RequestHead:
    """Method, raw path, raw query and raw headers with lower-case names."""
    path, _, query = request.raw_path.partition("?")
    headers = tuple([(name.lower(), value) for name, value in request._message.raw_headers])
    return RequestHead(request.method, path, query, headers)


def make_arrival(
    route: Route, head: RequestHead, sight: bytes | None, source: str, chance: Chance, clock_s: Callable[[], float]
) -> Arrival:
    """Name an exchange: id, trace, time."""
    at_ms = time.time_ns() // 1_000_000
    random = chance.draw(CHANCE_BYTES + _TRACE_CHANCE_BYTES)
    return Arrival(
        exchange_id=make_exchange_id(at_ms, random),
        route=route,
        head=head,
        source=source,
        started_at_ms=at_ms,
        started_s=clock_s(),
        traceparent=continue_trace(head.first(b"traceparent"), random[CHANCE_BYTES:]),
        sight=sight,
    )


def source_of(remote: str, head: RequestHead, trusted: tuple[Network, ...]) -> str:
    """The caller's address; a forwarded-for header counts only when a trusted proxy sent it. remote: the peer's."""
    if not trusted or not _is_inside(remote, trusted):
        return remote
    for name, value in head.headers:
        if name == b"x-forwarded-for":
            for hop in reversed(value.decode("latin-1").split(",")):
                address = hop.strip()
                if not _is_inside(address, trusted):
                    return address
    return remote


def _is_inside(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
