"""From a host name to addresses that may be dialled.

Two parts: `judge_address`, the rule against requests forged towards our own network (SSRF), pure; and `Resolver`, a
small cache over getaddrinfo. The pool judges every address of a name again for each new connection and then dials the
address it judged, never the name, so that a DNS answer that changes in between (rebinding) finds nobody asking.
Source: reliability (f) and (g); docs/decisions/0031-dial-the-checked-address.md
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str, int], Awaitable[tuple[str, ...]]]

_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
# Addresses that carry an IPv4 address inside: what they reach is not what they look like.
_V4_IN_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
)
# Not marked as special by every Python release we run on: 6to4 relays, benchmarking, documentation.
_SPECIAL = tuple(
    ipaddress.ip_network(text) for text in ("192.88.99.0/24", "192.0.0.0/24", "198.18.0.0/15", "2001::/23", "3fff::/20")
)


def parse_networks(networks: Iterable[str | Network]) -> tuple[Network, ...]:
    """Read CIDRs; an address alone is a network of one. Raises ValueError that repeats the wrong one."""
    return tuple(ipaddress.ip_network(network) if isinstance(network, str) else network for network in networks)


def judge_address(address: str, *, is_encrypted: bool, private_networks: tuple[Network, ...]) -> str | None:
    """Say why an address must not be dialled, or None when it may be.

    private_networks: where this request may go besides the public internet; empty when it may not.
    Plain http is for those networks only: a credential must not cross the internet unencrypted.
    Never allowed, listed or not: link-local (cloud metadata), multicast, unspecified, broadcast, IPv4 inside IPv6
    unless the very IPv6 network is listed (NAT64).
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "it is not an address"
    if ip.is_link_local:
        return "it is link-local, where cloud metadata lives"
    if ip.is_multicast or ip.is_unspecified or address == "255.255.255.255":
        return "it is not a unicast address"
    for network in private_networks:
        if ip.version == network.version and ip in network:
            return None
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _V4_IN_V6):
            return "it hides an IPv4 address in an IPv6 one"
        if ip not in _GLOBAL_UNICAST_V6:
            return "it is not a public address"
    if not ip.is_global or any(ip.version == network.version and ip in network for network in _SPECIAL):
        return "it is not a public address"
    if not is_encrypted:
        return "it is public, and plain http is for the allowed private networks only"
    return None


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """Ask the system's resolver, in a thread of the loop. Raises OSError (socket.gaierror)."""
    answers = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    addresses: dict[str, None] = {}
    for family, _, _, _, place in answers:
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses[str(place[0])] = None
    return tuple(addresses)


class _Known:
    """The last good addresses of a name, and when to ask again."""

    __slots__ = ("addresses", "ask_again_at")

    def __init__(self, addresses: tuple[str, ...], ask_again_at: float) -> None:
        self.addresses, self.ask_again_at = addresses, ask_again_at


class Resolver:
    """Remembers addresses for ttl_s, and the last good ones for as long as asking fails.

    Lookups of one name at the same time are one lookup. With good addresses at hand a new lookup is waited for at most
    patience_s: a slow DNS server must not eat the time for connecting.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        look_up: Lookup = look_up,
        ttl_s: float = 30.0,
        failed_ttl_s: float = 5.0,
        patience_s: float = 1.0,
    ) -> None:
        self._clock = clock
        self._look_up = look_up
        self._ttl_s, self._failed_ttl_s, self._patience_s = ttl_s, failed_ttl_s, patience_s
        self._known: dict[tuple[str, int], _Known] = {}
        self._under_way: dict[tuple[str, int], asyncio.Task[tuple[str, ...]]] = {}

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Give the addresses of a name, the one that worked last first; never empty.

        Raises OSError when there is no answer and none is remembered.
        """
        key = (host, port)
        known = self._known.get(key)
        if known is not None and self._clock() < known.ask_again_at:
            return known.addresses
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._refresh(key), name=f"resolve {host}")
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._forget_task(key, done))
        if known is None:
            # Others may wait for the same lookup, so that a caller's cancellation must not reach it.
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                caller = asyncio.current_task()
                if task.cancelled() and (caller is None or not caller.cancelling()):
                    raise socket.gaierror(socket.EAI_FAIL, "the resolver is closed") from None
                raise
        await asyncio.wait({task}, timeout=self._patience_s)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task.result()
        known.ask_again_at = max(known.ask_again_at, self._clock() + self._failed_ttl_s)
        return known.addresses

    def prefer(self, host: str, port: int, address: str) -> None:
        """Note that an address took a connection: it is tried first from now on."""
        known = self._known.get((host, port))
        if known is not None and known.addresses[0] != address and address in known.addresses:
            known.addresses = (address, *(other for other in known.addresses if other != address))

    def doubt(self, host: str, port: int) -> None:
        """Note that no address took a connection: ask again at the next one."""
        known = self._known.get((host, port))
        if known is not None:
            known.ask_again_at = self._clock()

    async def close(self) -> None:
        """End the lookups under way."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refresh(self, key: tuple[str, int]) -> tuple[str, ...]:
        addresses = await self._look_up(*key)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        known = self._known.get(key)
        if known is not None and known.addresses[0] in addresses:
            first = known.addresses[0]
            addresses = (first, *(other for other in addresses if other != first))
        self._known[key] = _Known(addresses, self._clock() + self._ttl_s)
        return addresses

    def _forget_task(self, key: tuple[str, int], task: asyncio.Task[tuple[str, ...]]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # taken note of, also when every caller has gone
