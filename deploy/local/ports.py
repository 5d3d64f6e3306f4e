"""Ports of this machine: which are free, which are taken."""

import errno
import random
import socket

# Below the range from which the kernel hands out ports for outgoing connections, so that a stopped engine finds its
# port free when it comes back.
LOWEST, HIGHEST = 20_000, 31_999
ATTEMPTS = 200


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could listen there now. Connections of a former server that linger do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            if failure.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def pick_free_port(avoid: frozenset[int] = frozenset()) -> int:
    """Pick a port on loopback that nobody listens on."""
    chance = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = chance.randint(LOWEST, HIGHEST)
        if port not in avoid and is_port_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST} in {ATTEMPTS} tries")


def pick_free_ports(count: int, avoid: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """Pick several different ones."""
    picked: set[int] = set()
    while len(picked) < count:
        picked.add(pick_free_port(avoid | picked))
    return tuple(picked)
