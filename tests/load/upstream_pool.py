"""CPU microseconds per upstream request: our pool beside aiohttp's client, on one event loop each.

    python tests/load/upstream_pool.py [--seconds 3] [--concurrency 32] [--rounds 3]

The provider runs in a process of its own, so that the CPU counted is the client's alone (user and system time of this
process). Rounds alternate between the two clients; the median is printed. Not a test: numbers depend on the machine.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_plane.upstream.connections import Origin, Sink, UpstreamPool, UpstreamRequest, UpstreamResponse
from data_plane.upstream.failure import UpstreamError

ANSWER_HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: %b\r\n%b\r\n"
    b"request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\nanthropic-ratelimit-requests-limit: 4000\r\n"
    b"anthropic-ratelimit-requests-remaining: 3999\r\nServer: bench\r\n"
    b"anthropic-organization-id: 00000000-0000-0000-0000-000000000000\r\n\r\n"
)
EVENT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" hello there"}}\n\n'
)
EVENTS = 50
REQUEST_HEADERS = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"user-agent", b"claude-cli/2.0.0 (external, cli)"),
    (b"anthropic-version", b"2023-06-01"),
    (b"anthropic-beta", b"interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14"),
    (b"x-api-key", b"sk-ant-api03-000000000000000000000000000000000000000000000000"),
    (b"x-app", b"cli"),
    (b"x-stainless-lang", b"js"),
    (b"x-stainless-retry-count", b"0"),
    (b"accept-encoding", b"identity"),
)


class BenchProvider(asyncio.Protocol):
    """Answers /plain with 2 KB at once and /stream with EVENTS events, a write each."""

    PLAIN = ANSWER_HEAD % (b"application/json", b"Content-Length: 2048") + b"x" * 2048
    STREAM_HEAD = ANSWER_HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked")
    CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)

    def __init__(self) -> None:
        self.missing = 0
        self.head = b""
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.missing:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = self.head[:end].lower(), self.head[end + 4 :]
            start = head.index(b"content-length:") + 15
            stop = head.find(b"\r\n", start)
            self.missing = int(head[start : stop if stop > 0 else len(head)])
            self.is_stream = head.startswith(b"post /stream")
            self.head = b""
        self.missing -= len(data)
        if self.missing == 0:
            if self.is_stream:
                task = asyncio.ensure_future(self.stream())
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            else:
                self.transport.write(self.PLAIN)  # type: ignore[attr-defined]

    async def stream(self) -> None:
        write = self.transport.write  # type: ignore[attr-defined]
        write(self.STREAM_HEAD)
        for _ in range(EVENTS):
            await asyncio.sleep(0.002)
            if self.transport.is_closing():
                return
            write(self.CHUNK)
        write(b"0\r\n\r\n")


def serve(listening: socket.socket) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(BenchProvider, sock=listening)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


class CountingSink:
    def __init__(self, done: "asyncio.Future[int]") -> None:
        self.received, self.done = 0, done

    def data(self, data: bytes) -> None:
        self.received += len(data)

    def end(self) -> None:
        self.done.set_result(self.received)

    def failed(self, error: UpstreamError) -> None:
        self.done.set_exception(error)


async def count_pulled(response: UpstreamResponse) -> int:
    received = 0
    while (data := await response.chunk()) is not None:
        received += len(data)
    return received


async def count_pushed(response: UpstreamResponse) -> int:
    sink: Sink
    sink = counting = CountingSink(asyncio.get_running_loop().create_future())
    response.pipe_to(sink)
    return await counting.done


Ask = Callable[[], Awaitable[int]]


async def measure(ask: Ask, expected: int, concurrency: int, seconds: float) -> tuple[float, float]:
    """Give CPU microseconds per request and requests per second, after a short warm-up."""
    count = 0
    ends_at = 0.0

    async def worker() -> None:
        nonlocal count
        while time.perf_counter() < ends_at:
            received = await ask()
            if received != expected:
                raise RuntimeError(f"{received} bytes instead of {expected}")
            count += 1

    for duration in (0.3, seconds):
        count = 0
        began = time.perf_counter()
        ends_at = began + duration
        before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        after = resource.getrusage(resource.RUSAGE_SELF)
        took = time.perf_counter() - began
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s / count * 1e6, count / took


async def bench(port: int, options: argparse.Namespace) -> None:
    origin = Origin("http", "127.0.0.1", port)
    pool = UpstreamPool(private_networks=["127.0.0.0/8"])
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    headers = {name.decode(): value.decode() for name, value in REQUEST_HEADERS}

    def with_pool(target: str, body: bytes, count: Callable[[UpstreamResponse], Awaitable[int]]) -> Ask:
        async def ask() -> int:
            request = UpstreamRequest(origin, "POST", target, REQUEST_HEADERS, body, allow_private=True)
            return await count(await pool.send(request))

        return ask

    def with_aiohttp(target: str, body: bytes) -> Ask:
        url = f"http://127.0.0.1:{port}{target}"

        async def ask() -> int:
            received = 0
            async with session.post(url, data=body, headers=headers) as response:
                async for data in response.content.iter_any():
                    received += len(data)
            return received

        return ask

    print(f"{'case':34}{'client':14}{'CPU us/request':>16}{'requests/s':>12}")
    for name, target, size in (
        ("2 KB up, 2 KB down", "/plain", 2_000),
        ("60 KB up, 2 KB down", "/plain", 60_000),
        ("400 KB up, 2 KB down", "/plain", 400_000),
        (f"2 KB up, stream of {EVENTS} events", "/stream", 2_000),
    ):
        body = b"x" * size
        expected = 2048 if target == "/plain" else EVENTS * len(EVENT)
        clients: dict[str, Ask] = {
            "pool, pull": with_pool(target, body, count_pulled),
            "pool, push": with_pool(target, body, count_pushed),
            "aiohttp": with_aiohttp(target, body),
        }
        results: dict[str, list[tuple[float, float]]] = {client: [] for client in clients}
        for _ in range(options.rounds):
            for client, ask in clients.items():
                results[client].append(await measure(ask, expected, options.concurrency, options.seconds))
        for client, rows in results.items():
            cpu_us = statistics.median(row[0] for row in rows)
            rate = statistics.median(row[1] for row in rows)
            print(f"{name:34}{client:14}{cpu_us:16.1f}{rate:12.0f}")
            if options.json:
                print(json.dumps({"case": name, "client": client, "cpu_us": cpu_us, "requests_per_s": rate}))
    await pool.close()
    await session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="also print each row as JSON")
    options = parser.parse_args()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(512)
    port = listening.getsockname()[1]
    provider = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
    provider.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bench(port, options))
    finally:
        provider.terminate()
        provider.join()


if __name__ == "__main__":
    main()
