"""What can go wrong between this pod and a provider.

    UpstreamError
    ├── ForbiddenAddress         the name leads to an address this pod must not dial; nothing was sent
    ├── ConnectFailed            no TCP connection to any address of the name; nothing was sent
    │   └── NameNotResolved      DNS has no answer, and none is remembered
    ├── TlsFailed                no TLS session: certificate, name or protocol; nothing was sent
    ├── UpstreamTimeout          a phase took too long: resolve, connect, tls, send, first_byte, idle, stalled
    ├── ConnectionLost           reset, or closed before the answer's head was complete
    ├── TruncatedAnswer          closed in the middle of a body whose framing promised more
    ├── MalformedAnswer          not HTTP/1.1 as we accept it, or beyond the limits for heads
    ├── ConnectionsExhausted     this pod already holds as many connections to the origin as it may
    └── PoolClosed               the pod is stopping

A clean end is never one of these, and an error status (429, 500) is an answer, not an UpstreamError.
"""

from typing import Literal

Phase = Literal["resolve", "connect", "tls", "send", "first_byte", "idle", "stalled"]


class UpstreamError(Exception):
    """No complete answer came.

    origin: where to, as scheme://host:port; free of secrets.
    is_worth_another_target: another target may do better. Whether one may still be tried (no content sent to the
    client yet, attempts left) is for the forward stage to say.
    may_have_run: bytes of the request may have reached the provider, so it may have worked and charged.
    """

    kind = "upstream_error"
    is_worth_another_target = True
    may_have_run = True

    def __init__(self, message: str, *, origin: str) -> None:
        super().__init__(message)
        self.origin = origin


class ForbiddenAddress(UpstreamError):
    """The name resolves to an address that is not public unicast and not in an allowed network.

    Not worth another target: a fallback would hide a wrong setting, or an attack, from those who must see it.
    """

    kind = "forbidden_address"
    is_worth_another_target = False
    may_have_run = False

    def __init__(self, *, origin: str, address: str, why: str) -> None:
        super().__init__(f"{origin} leads to {address}, which this pod must not dial: {why}", origin=origin)
        self.address, self.why = address, why


class ConnectFailed(UpstreamError):
    """No address of the name took a connection. why: the last failure, in the words of the system."""

    kind = "connect_failed"
    may_have_run = False

    def __init__(self, *, origin: str, why: str, addresses: tuple[str, ...] = ()) -> None:
        tried = f" (tried {', '.join(addresses)})" if addresses else ""
        super().__init__(f"no connection to {origin}{tried}: {why}", origin=origin)
        self.why, self.addresses = why, addresses


class NameNotResolved(ConnectFailed):
    """DNS gave no address for the name, and no good answer from before is held."""

    kind = "name_not_resolved"


class TlsFailed(UpstreamError):
    """TCP stood, but no TLS session came about."""

    kind = "tls_failed"
    may_have_run = False

    def __init__(self, *, origin: str, address: str, why: str) -> None:
        super().__init__(f"no TLS with {origin} at {address}: {why}", origin=origin)
        self.address, self.why = address, why


class UpstreamTimeout(UpstreamError):
    """One phase took longer than it may.

    resolve, connect, tls: together within `connect_ms`. send: the upload made no progress. first_byte: no complete head
    of an answer. idle: silence inside a body. stalled: the consumer on our side took nothing; not the provider's fault.
    """

    kind = "timeout"

    def __init__(self, *, origin: str, phase: Phase, limit_ms: int) -> None:
        super().__init__(f"{origin} exceeded {limit_ms} ms ({phase})", origin=origin)
        self.phase, self.limit_ms = phase, limit_ms
        self.may_have_run = phase not in ("resolve", "connect", "tls")
        self.is_worth_another_target = phase != "stalled"


class ConnectionLost(UpstreamError):
    """The connection was reset, or closed before the head of an answer was complete.

    bytes_received: bytes of this answer, head included, that had arrived. was_reused: the connection had served before,
    so with no byte received the provider most likely closed it while it was idle. was_sent: the request had left.
    """

    kind = "connection_lost"

    def __init__(self, *, origin: str, bytes_received: int, was_reused: bool, why: str, was_sent: bool = True) -> None:
        super().__init__(f"connection to {origin} lost after {bytes_received} bytes: {why}", origin=origin)
        self.bytes_received, self.was_reused, self.why = bytes_received, was_reused, why
        self.was_sent = self.may_have_run = was_sent


class TruncatedAnswer(UpstreamError):
    """The provider closed before the body was complete by its own framing.

    bytes_expected: the Content-Length; None for a chunked body.
    """

    kind = "truncated_answer"

    def __init__(self, *, origin: str, bytes_received: int, bytes_expected: int | None) -> None:
        promised = "an open chunked body" if bytes_expected is None else f"{bytes_expected} promised"
        super().__init__(f"{origin} ended its answer after {bytes_received} bytes of {promised}", origin=origin)
        self.bytes_received, self.bytes_expected = bytes_received, bytes_expected


class MalformedAnswer(UpstreamError):
    """The bytes are not an HTTP/1.1 answer that can be framed beyond doubt. why: which rule; never the bytes."""

    kind = "malformed_answer"

    def __init__(self, *, origin: str, why: str) -> None:
        super().__init__(f"{origin} answered what cannot be read: {why}", origin=origin)
        self.why = why


class ConnectionsExhausted(UpstreamError):
    """All connections this pod may hold to the origin are in use."""

    kind = "connections_exhausted"
    may_have_run = False

    def __init__(self, *, origin: str, limit: int) -> None:
        super().__init__(f"all {limit} connections to {origin} are in use", origin=origin)
        self.limit = limit


class PoolClosed(UpstreamError):
    """The pod is stopping and dials nobody any more."""

    kind = "pool_closed"
    is_worth_another_target = False
    may_have_run = False

    def __init__(self, *, origin: str) -> None:
        super().__init__(f"the pool is closed; {origin} was not asked", origin=origin)
