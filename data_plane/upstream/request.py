"""What is asked of a provider, and its first bytes on the wire."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

import msgspec

Part = bytes | bytearray | memoryview
# Parts are sent one behind the other as one body: who replaces a few bytes in a large one need not join it anew.
Body = Part | tuple[Part, ...]

# A body these methods never carry needs no length when it is empty (RFC 9110 section 8.6).
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a provider lives, from its base_url. host: a name, or an address without brackets."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def host_header(self) -> bytes:
        """Give the value of `Host`: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port != (443 if self.scheme == "https" else 80):
            host = f"{host}:{self.port}"
        try:
            return host.encode("ascii")
        except UnicodeEncodeError:
            return host.encode("idna")

    def literal_address(self) -> str | None:
        """Give the address when the host is one, else None."""
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase may take; a limit is exceeded by at most one sweep of the pool (250 ms).

    connect_ms: name, TCP and TLS together. first_byte_ms: from the end of the upload to the complete head.
    idle_ms: silence inside a body while we are reading, and an upload without progress.
    stall_ms: our own side takes nothing, so that reading is paused.
    """

    connect_ms: int = 5_000
    first_byte_ms: int = 600_000
    idle_ms: int = 300_000
    stall_ms: int = 600_000


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One request, final but for `Host` and `Content-Length`, which the pool adds.

    target: path and query, ASCII. headers: without Host, Content-Length, Transfer-Encoding and Connection.
    body: must not be changed until the answer has begun: the event loop sends it without copying.
    allow_private: the provider may live inside the deployment's private networks.
    retry_stale: a kept connection that dies before the first byte of an answer is replaced once by a fresh one. The
    provider may in principle have taken the request; false where that must not be risked.
    opening: what `encode_opening` makes of the same origin, method, target and headers, for who asks often; empty: it
    is made here.
    """

    origin: Origin
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: Body = b""
    timeouts: Timeouts = Timeouts()
    allow_private: bool = False
    retry_stale: bool = True
    opening: bytes = b""


def size_of(body: Body) -> int:
    """Count the bytes of a body; the length of a memoryview counts items, not bytes."""
    if isinstance(body, tuple):
        return sum(size_of(part) for part in body)
    return body.nbytes if isinstance(body, memoryview) else len(body)


def encode_head(request: UpstreamRequest, host_header: bytes) -> bytes:
    """Write request line and headers; raises ValueError as `encode_opening` does."""
    opening = request.opening or encode_opening(request.method, request.target, host_header, request.headers)
    size = size_of(request.body)
    if size or request.method not in _BODILESS:
        return b"%bContent-Length: %d\r\n\r\n" % (opening, size)
    return opening + b"\r\n"


def encode_opening(method: str, target: str, host_header: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Write request line, Host and headers; the framing follows.

    Raises ValueError when a part holds a line break, a space in the target or the like: then one request could become
    two, and some stage before this one is broken.
    """
    lines = [b"%b %b HTTP/1.1\r\nHost: %b" % (method.encode("ascii"), target.encode("ascii"), host_header)]
    lines += [b": ".join(header) for header in headers]
    lines.append(b"")
    opening = b"\r\n".join(lines)
    # Counting is cheaper than looking at every header: an injected line break shows as one too many.
    breaks = len(lines)
    if opening.count(b"\n") != breaks or opening.count(b"\r") != breaks or b"\0" in opening:
        raise ValueError("a header of the upstream request holds a line break or NUL")
    if " " in target or not target.startswith("/") or not method.isalpha():
        raise ValueError("method or target of the upstream request is not valid")
    return opening
