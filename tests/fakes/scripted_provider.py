"""A scripted upstream on raw asyncio: it expects exact calls, gives exact bytes, and fails the test at any other call.

    async def test_a_reset_before_the_first_byte_is_retried(scripted_provider: ScriptedProviderFactory) -> None:
        upstream = await scripted_provider()
        upstream.expect("POST", "/v1/messages").then_reset()
        upstream.expect("POST", "/v1/messages", body=b"{}").send(b"HTTP/1.1 200 OK\\r\\n...").pause(0.05).then_close()
        ...
        assert upstream.calls[1].header("x-api-key") == "k"

Expectations are met in the order in which they were stated, over all connections. When the test ends, an expectation
nobody met and a call nobody expected both fail it; `upstream.verify()` does so earlier. Make the fixture known to a
package of tests with `from tests.fakes.scripted_provider import scripted_provider` in its conftest.py.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

HEAD_LIMIT_BYTES = 256 * 1024
FLUSH_LIMIT_S = 2.0


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A request as it came over the wire. connection counts from 0 in order of arrival."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """Return the value of a header, the first of several; None when it is absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class _Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class _Pause:
    wait_s: float


@dataclass(frozen=True, slots=True)
class _Await:
    signal: asyncio.Event


_Step = _Send | _Pause | _Await
_End = Literal["keep", "close", "reset", "hang"]


@dataclass(slots=True)
class Expectation:
    """One call that must come, and what is answered. Every method returns it again: a script reads in a line."""

    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str]
    end: _End = "keep"
    steps: list[_Step] = field(default_factory=list)
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the call has arrived whole."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all steps were played, or the client had gone."""
    client_left: bool = False

    def send(self, *pieces: bytes) -> "Expectation":
        """Write raw bytes, each piece by itself: the status line and framing are the script's own business."""
        self.steps += [_Send(piece) for piece in pieces]
        return self

    def respond(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        reason: str = "OK",
        headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),),
    ) -> "Expectation":
        """Write a whole response framed by its length."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
        return self.send(head.encode("latin-1") + body)

    def begin_stream(
        self, *, status: int = 200, headers: Sequence[tuple[str, str]] = (("content-type", "text/event-stream"),)
    ) -> "Expectation":
        """Write the head of a chunked response."""
        lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers)]
        return self.send("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode("latin-1"))

    def chunk(self, *pieces: bytes) -> "Expectation":
        """Write pieces of a chunked body, a chunk each."""
        return self.send(*(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces))

    def end_stream(self) -> "Expectation":
        """Write the end of a chunked body."""
        return self.send(b"0\r\n\r\n")

    def pause(self, wait_s: float) -> "Expectation":
        self.steps.append(_Pause(wait_s))
        return self

    def wait_for(self, signal: asyncio.Event) -> "Expectation":
        """Go on only when the test says so: better than a pause wherever order matters."""
        self.steps.append(_Await(signal))
        return self

    def then_close(self) -> "Expectation":
        self.end = "close"
        return self

    def then_reset(self) -> "Expectation":
        self.end = "reset"
        return self

    def then_hang(self) -> "Expectation":
        """Say nothing more until the client goes."""
        self.end = "hang"
        return self

    def mismatch(self, call: ReceivedCall) -> str:
        """Say what about a call is not as expected; empty when all is."""
        if (call.method, call.target) != (self.method, self.target):
            return f"got {call.method} {call.target}, expected {self.method} {self.target}"
        for name, value in self.headers.items():
            if call.header(name) != value:
                return f"{call.method} {call.target}: header {name} is {call.header(name)!r}, expected {value!r}"
        if self.body is not None and call.body != self.body:
            at = next(
                (i for i, (a, b) in enumerate(zip(call.body, self.body, strict=False)) if a != b),
                min(len(call.body), len(self.body)),
            )
            got, wanted = call.body[max(0, at - 20) : at + 20], self.body[max(0, at - 20) : at + 20]
            return f"{call.method} {call.target}: body differs at byte {at}: got {got!r}, expected {wanted!r}"
        return ""


class ScriptedProvider:
    """The upstream of one test."""

    def __init__(self) -> None:
        self.calls: list[ReceivedCall] = []
        self.problems: list[str] = []
        self.connections = 0
        self.open_connections = 0
        self._expected: list[Expectation] = []
        self._next = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def expect(
        self, method: str, target: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Expectation:
        """State the next call. target: path and query, exactly. body: exact bytes, or None for any."""
        expectation = Expectation(method, target, body, headers or {})
        self._expected.append(expectation)
        return expectation

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_LIMIT_BYTES)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def verify(self) -> None:
        """Fail the test when a call was not expected, or an expected one has not come."""
        missing = [f"{item.method} {item.target} never came" for item in self._expected[self._next :]]
        problems = self.problems + missing
        assert not problems, "the scripted provider: " + "; ".join(problems)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number, self.connections = self.connections, self.connections + 1
        self.open_connections += 1
        try:
            while (call := await _read_call(reader, number)) is not None:
                self.calls.append(call)
                if not await self._answer(call, reader, writer):
                    break
        except ConnectionError:
            # The client went in the middle of its request or of our answer: what the test looks at is recorded already.
            return
        except _Malformed as failure:
            self.problems.append(f"connection {number}: {failure}")
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, call: ReceivedCall, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play the next expectation; True when the connection stays open for another call."""
        if self._next >= len(self._expected):
            return await self._refuse(writer, f"unexpected call: {call.method} {call.target}")
        expectation = self._expected[self._next]
        if problem := expectation.mismatch(call):
            return await self._refuse(writer, problem)
        self._next += 1
        expectation.met.set()
        try:
            for step in expectation.steps:
                match step:
                    case _Send(data):
                        writer.write(data)
                        await writer.drain()
                    case _Pause(wait_s):
                        await asyncio.sleep(wait_s)
                    case _Await(signal):
                        await signal.wait()
            if expectation.end == "hang":
                await reader.read()
                expectation.client_left = True
        except ConnectionError:
            expectation.client_left = True
            raise
        finally:
            expectation.answered.set()
        if expectation.end == "reset":
            await _reset(writer)
        return expectation.end == "keep"

    async def _refuse(self, writer: asyncio.StreamWriter, problem: str) -> bool:
        self.problems.append(problem)
        body = problem.encode()
        head = f"HTTP/1.1 599 Unexpected\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return False


class _Malformed(Exception):
    """The client sent something that is no HTTP/1.1 request."""


async def _read_call(reader: asyncio.StreamReader, connection: int) -> ReceivedCall | None:
    """Read one request; None when the client closed between requests."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise _Malformed(f"the request's head ended after {len(end.partial)} bytes") from end
        return None
    except asyncio.LimitOverrunError as failure:
        raise _Malformed("the request's head is too long") from failure
    request_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3:
        raise _Malformed(f"no request line: {request_line[:80]!r}")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    body = await _read_body(reader, {name.lower(): value for name, value in headers})
    return ReceivedCall(words[0], words[1], headers, body, connection)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    try:
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return await reader.readexactly(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            continue
        return bytes(body)
    except asyncio.IncompleteReadError as failure:
        raise ConnectionResetError("the client closed within a request's body") from failure
    except ValueError as failure:
        raise _Malformed(f"the body's framing is broken: {failure}") from failure


async def _reset(writer: asyncio.StreamWriter) -> None:
    """Send a TCP reset, once what was written before has left."""
    transport = writer.transport
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_LIMIT_S):
            while transport.get_write_buffer_size():
                await asyncio.sleep(0.001)
    own = transport.get_extra_info("socket")
    if own is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


ScriptedProviderFactory = Callable[[], Awaitable[ScriptedProvider]]


@pytest.fixture
async def scripted_provider() -> AsyncIterator[ScriptedProviderFactory]:
    """Make scripted upstreams; each is verified and stopped when the test ends."""
    made: list[ScriptedProvider] = []

    async def make() -> ScriptedProvider:
        provider = ScriptedProvider()
        await provider.start()
        made.append(provider)
        return provider

    yield make
    for provider in made:
        await provider.stop()
    for provider in made:
        provider.verify()
