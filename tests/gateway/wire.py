"""HTTP/1.1 at the level these tests need: exact headers, exact bytes, hanging up in the middle, and plain sockets."""

import contextlib
import http.client
import json
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Headers = Iterable[tuple[str, str]]
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names in lower case; an aborted one has `is_cut`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool = False

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Stream:
    """An answer that is read bit by bit."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self.response = connection.getresponse()
        self._pieces: list[bytes] = []

    @property
    def status(self) -> int:
        return self.response.status

    def header(self, name: str) -> str | None:
        return self.response.getheader(name)

    def read_events(self, count: int) -> bytes:
        """Read until so many events have come; whatever came along with the last one is kept too."""
        while (received := self.received).replace(b"\r\n", b"\n").count(b"\n\n") < count:
            if not self.read_some():
                raise AssertionError(f"the answer ended before event {count}: {received[-300:]!r}")
        return received

    def read_some(self) -> bytes:
        """The next bytes; empty at the end. Raises IncompleteRead when it was cut."""
        piece = self.response.read1(65536)
        if not piece and self.response.chunked and self.response.fp is not None and not self.response.isclosed():
            raise http.client.IncompleteRead(piece)
        self._pieces.append(piece)
        return piece

    @property
    def received(self) -> bytes:
        return b"".join(self._pieces)

    def rest(self) -> Answer:
        """Read to the end, clean or cut."""
        is_cut = False
        try:
            while self.read_some():
                continue
        except (http.client.IncompleteRead, ConnectionError):
            is_cut = True
        return Answer(self.response.status, _headers_of(self.response), self.received, is_cut)

    def hang_up(self) -> None:
        """Leave without a word."""
        # The response object holds the socket too: closing the connection alone would not close it.
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.hang_up()


def open_stream(url: str, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Stream:
    """Send a request and give back its answer as soon as the head has come."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=LIMIT_S)
    connection.putrequest(method, target, skip_accept_encoding=True)
    names = set()
    for name, value in headers:
        names.add(name.lower())
        connection.putheader(name, value)
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    return Stream(connection)


def call(url: str, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Answer:
    """Send a request and read its answer to the end."""
    with open_stream(url, method, target, headers, body) as stream:
        return stream.rest()


def _headers_of(response: http.client.HTTPResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in response.getheaders())


# Below HTTP.


@contextlib.contextmanager
def connect(url: str, limit_s: float = LIMIT_S) -> Iterator[socket.socket]:
    """A plain connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=limit_s) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def read_until_close(sock: socket.socket) -> bytes:
    """Everything until the other side closes or resets."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionError:
        return received
    return received


def read_answer(sock: socket.socket) -> Answer:
    """One answer off a plain connection, which stays open."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    body = response.read()
    return Answer(response.status, _headers_of(response), body)


def exchange_raw(url: str, data: bytes, limit_s: float = 5.0) -> tuple[int, bytes]:
    """Send bytes as they are; give back the status of the first answer (0: none) and all that came.

    The connection is taken to be closed by the other side; TimeoutError is raised when it is not.
    """
    with connect(url, limit_s) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        received = read_until_close(sock)
    status = int(received[9:12]) if received.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) else 0
    return status, received


def reset(sock: socket.socket) -> None:
    """End a connection with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def until(holds: Any, failure: str, limit_s: float = 10.0, every_s: float = 0.01) -> Any:
    """Ask until there is an answer that is neither None nor False."""
    deadline = time.monotonic() + limit_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{failure} (within {limit_s} s)")
        time.sleep(every_s)
    return found
