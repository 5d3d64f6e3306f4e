"""Where the counter store is: the forms that COUNTERS_URL may have.

    redis://[user:password@]host[:port][/database]                       one server
    rediss://...                                                         the same over TLS
    redis+sentinel://[user:password@]host[:port],host[:port]/service[/database]    the master that the sentinels name
    rediss+sentinel://...                                                the same, all of it over TLS

After "?": `ssl_ca_certs=<file>`; `ssl_cert_reqs=none` (a certificate nobody checks); `sentinel_password=<password>`.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

PORT, SENTINEL_PORT = 6379, 26379
_SCHEMES = {"redis": (False, False), "rediss": (True, False)} | {
    "redis+sentinel": (False, True), "rediss+sentinel": (True, True)
}  # fmt: skip
_OPTIONS = {"ssl_ca_certs", "ssl_cert_reqs", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A server, or the sentinels that know it."""

    nodes: tuple[tuple[str, int], ...]
    """Of the server itself: one. Of sentinels: all."""
    service: str
    """The name the sentinels know the master by; "": no sentinels."""
    database: int
    is_tls: bool
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    ca_file: str = ""
    checks_certificate: bool = True


def read_store_address(url: str) -> StoreAddress:
    """Read COUNTERS_URL. Raises ValueError with what is wrong, never with the password."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"the scheme is none of {', '.join(_SCHEMES)}")
    is_tls, is_sentinel = _SCHEMES[parts.scheme]
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if options.keys() - _OPTIONS:
        raise ValueError(f"options besides {', '.join(sorted(_OPTIONS))}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    path = [part for part in parts.path.split("/") if part]
    service = unquote(path.pop(0)) if is_sentinel and path else ""
    if is_sentinel and not service:
        raise ValueError("the sentinels' name of the master is missing: .../<service>[/<database>]")
    nodes = tuple(_node(host, SENTINEL_PORT if is_sentinel else PORT) for host in hosts.split(","))
    if len(nodes) > 1 and not is_sentinel:
        raise ValueError("more than one host; several are for redis+sentinel://")
    if len(path) > 1 or (path and not path[0].isdecimal()):
        raise ValueError("the database is no number")
    return StoreAddress(
        nodes=nodes,
        service=service,
        database=int(path[0]) if path else 0,
        is_tls=is_tls,
        username=unquote(username),
        password=unquote(password),
        sentinel_password=options.get("sentinel_password", ""),
        ca_file=options.get("ssl_ca_certs", ""),
        checks_certificate=options.get("ssl_cert_reqs", "required") != "none",
    )


def _node(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    try:
        return parts.hostname, parts.port or port
    except ValueError:
        raise ValueError("a port is no port") from None
