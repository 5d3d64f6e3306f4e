"""A scripted provider on raw sockets, and pools to ask it. It answers exactly the bytes it is told."""

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from data_plane.upstream.connections import Origin, Timeouts, UpstreamPool, UpstreamRequest
from data_plane.upstream.request import Body

LOOPBACK = ("127.0.0.0/8", "::1/128")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One accepted connection, seen from the provider."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number
        self.served = 0

    async def head(self) -> bytes:
        """Read the head of the next request. Raises IncompleteReadError when the client has closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.served += 1
        return head

    async def request(self) -> tuple[bytes, bytes]:
        """Read the next request whole: head and body."""
        head = await self.head()
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head, await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()

    async def closed_by_client(self) -> bool:
        """Wait for the client's end of the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return True


Script = Callable[[Peer], Awaitable[Any]]


class Provider:
    """Listens on a free port. peers: every connection that was ever accepted."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.peers: list[Peer] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.origin = Origin("http", "127.0.0.1", 1)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        peer = Peer(reader, writer, len(self.peers))
        self.peers.append(peer)
        try:
            await self._script(peer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            self.tasks.discard(task)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()


@contextlib.asynccontextmanager
async def provider(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Provider]:
    """Serve a script for each connection until the block ends."""
    serving = Provider(script)
    server = await asyncio.start_server(serving.accept, host, 0, ssl=tls, limit=1 << 20, backlog=512)
    port = server.sockets[0].getsockname()[1]
    serving.origin = Origin("https" if tls else "http", "localhost" if tls else host, port)
    try:
        yield serving
    finally:
        server.close()
        for task in tuple(serving.tasks):
            task.cancel()
        await asyncio.gather(*serving.tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_pool(**options: Any) -> AsyncIterator[UpstreamPool]:
    """Give a pool that may dial loopback and sweeps often; closed at the end of the block, with nothing left open."""
    defaults: dict[str, Any] = {"private_networks": LOOPBACK, "sweep_ms": 10}
    pool = UpstreamPool(**(defaults | options))
    try:
        yield pool
    finally:
        await pool.close()
        assert pool.stats().open == 0


def a_request(origin: Origin, body: Body = b"{}", **changes: Any) -> UpstreamRequest:
    """Build a POST that may go to loopback."""
    fields: dict[str, Any] = {
        "origin": origin,
        "method": "POST",
        "target": "/v1/messages?beta=true",
        "headers": ((b"content-type", b"application/json"), (b"x-api-key", b"secret")),
        "body": body,
        "timeouts": Timeouts(connect_ms=2000, first_byte_ms=2000, idle_ms=2000, stall_ms=2000),
        "allow_private": True,
    }
    return UpstreamRequest(**(fields | changes))


def answering(*answers: bytes) -> Script:
    """Answer each request on a connection with the next bytes, the last ones for ever."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answers[min(peer.served, len(answers)) - 1])

    return script


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until something is so, in short looks; fail when it is not in time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


@cache
def tls_pair() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a CA and a certificate of it for `localhost` and 127.0.0.1: one context to serve, one that trusts it."""
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    with TemporaryDirectory() as folder:
        chain = Path(folder, "chain.pem")
        chain.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + leaf.public_bytes(pem)
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=ca.public_bytes(pem).decode())
    return server, client
