"""Whether a service does its work yet, asked as the outside would ask. All probes are quick and never raise."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Probe = Callable[[], Awaitable[bool]]
HTTP_TIMEOUT_S = 5.0
GRPC_TIMEOUT_S = 20.0
WORKER_HEARTBEAT = "switchyard:worker:heartbeat"


def answers_200(url: str) -> Probe:
    """GET the URL; ready when the status is 200."""

    async def probe() -> bool:
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(HTTP_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    head = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                    writer.write(head.encode())
                    status_line = await reader.readline()
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        return status_line.split(b" ")[1:2] == [b"200"]

    return probe


def grpc_serves(address: str) -> Probe:
    """Ask gRPC's health service; ready when it says SERVING.

    A process of its own asks: gRPC's threads must not be in a process that forks, and the supervisor does.
    """

    async def probe() -> bool:
        asker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "deploy.local.grpc_health",
            address,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(GRPC_TIMEOUT_S):
                return await asker.wait() == 0
        except TimeoutError:
            return False
        finally:
            if asker.returncode is None:
                asker.kill()
                await asker.wait()

    return probe


def has_key(redis_url: str, key: str) -> Probe:
    """Ready when the key exists."""

    async def probe() -> bool:
        client = redis.Redis.from_url(redis_url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.exists(key))
        except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
            return False
        finally:
            client.close()

    return probe


def engine_answers(is_ready: Callable[[], bool]) -> Probe:
    """Engines on loopback are asked directly: an answer takes milliseconds."""

    async def probe() -> bool:
        return is_ready()

    return probe


async def lives() -> bool:
    """For what has nothing to ask: being there is enough, and the supervisor knows that already."""
    return True


def free_bytes(folder: Path) -> int:
    """Disk space left for us below the nearest parent that exists."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    told = os.statvfs(existing)
    return told.f_bavail * told.f_frsize
