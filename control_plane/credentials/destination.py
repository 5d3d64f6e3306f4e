"""Where a provider may live: public addresses over https, and what the deployment allows besides.

A base URL is typed by a tenant's admin and dialled from inside the installation, so it is checked when it is saved
and again by the pod on every new connection (the name may resolve to something else by then).
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

MAX_URL_LENGTH = 300
FOREIGN_PORTS = frozenset(
    {1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110}
    | {111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531}
    | {532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3306, 3659, 4045, 4190}
    | {5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211, 27017}
)
"""Ports where something other than HTTP listens: the Fetch standard's list, and databases."""


class ForbiddenDestination(ValueError):
    """The address is malformed, does not resolve, or leads where no provider may live. The message is for people."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that was checked."""

    base_url: str
    """Without a slash at its end."""
    is_private: bool
    """Whether an address of it lies inside the deployment's private networks."""
    is_only_private: bool = False
    """Whether all of them do."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; raises OSError."""
    return sorted({str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def check_destination(
    base_url: str, *, private_networks: Sequence[Network], resolver: Resolver = resolve
) -> Destination:
    """Check a base URL; raises ForbiddenDestination.

    Every address the name resolves to must be public unicast or inside `private_networks`; plain http only when all
    of them are inside.
    """
    text = base_url.strip()
    if len(text) > MAX_URL_LENGTH or any(ord(char) <= 32 or ord(char) == 127 for char in text):
        raise ForbiddenDestination("This is no address such as https://api.example.com.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as failure:
        raise ForbiddenDestination("This is no address such as https://api.example.com.") from failure
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ForbiddenDestination("The address must begin with https:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenDestination("The address must hold no user name or password; the credential has its own field.")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ForbiddenDestination("The address must end before any ? or #.")
    addresses = _addresses(parts.hostname, port or (443 if parts.scheme == "https" else 80), resolver)
    inside = [address for address in addresses if _is_within(address, private_networks)]
    for address in addresses:
        if address not in inside and not is_public(address):
            raise ForbiddenDestination(
                f"{parts.hostname} leads to {address}, which is not public. "
                "SWITCHYARD_PRIVATE_NETWORKS names the networks in which providers may live besides."
            )
    # Inside, the deployment's own networks are its own affair; outside nobody is made to talk to a mail server.
    if port is not None and (port == 0 or (port in FOREIGN_PORTS and len(inside) != len(addresses))):
        raise ForbiddenDestination(f"No provider listens on port {port}: it belongs to another protocol.")
    if parts.scheme == "http" and len(inside) != len(addresses):
        raise ForbiddenDestination("Plain http is allowed only inside the networks of SWITCHYARD_PRIVATE_NETWORKS.")
    return Destination(text.rstrip("/"), bool(inside), len(inside) == len(addresses))


def is_public(address: Address) -> bool:
    """Say whether an address is public unicast, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        for wrapped in (address.ipv4_mapped, address.sixtofour, _nat64(address)):
            if wrapped is not None:
                return is_public(wrapped)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _nat64(address: IPv6Address) -> IPv4Address | None:
    # 64:ff9b::/96 carries an IPv4 address in its last 32 bits.
    return IPv4Address(int(address) & 0xFFFFFFFF) if int(address) >> 32 == 0x64FF9B << 64 else None


def _is_within(address: Address, networks: Sequence[Network]) -> bool:
    plain: Address = address
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        plain = address.ipv4_mapped
    return any(plain.version == network.version and plain in network for network in networks)


def _addresses(host: str, port: int, resolver: Resolver) -> list[Address]:
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    # Spellings of an address that only the C library understands (127.1, 0x7f000001, 2130706433): no top-level
    # domain begins with a digit.
    if host.rstrip(".").rsplit(".", 1)[-1][:1].isdigit():
        raise ForbiddenDestination(f"{host} is neither a host name nor a plain address.")
    try:
        found = [ip_address(text.partition("%")[0]) for text in resolver(host, port)]
    except (OSError, UnicodeError) as failure:
        raise ForbiddenDestination(f"{host} does not resolve from here.") from failure
    if not found:
        raise ForbiddenDestination(f"{host} does not resolve from here.")
    return found
