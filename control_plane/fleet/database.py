"""Blocking database work for a process that runs an event loop: a few threads, each with a connection of its own."""

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import close_old_connections, connections

T = TypeVar("T")

THREADS = 4


class DatabaseThreads:
    """Runs blocking functions in threads; connections that broke or grew old are closed around each call."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="database")

    async def run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call it in a thread. A cancelled caller does not stop the call, which ends on its own."""
        call = functools.partial(_with_fresh_connection, function, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Close every thread's connections and end the threads. Blocking."""
        # The barrier makes each thread take exactly one of these.
        all_here = threading.Barrier(self._threads)
        for _ in range(self._threads):
            self._executor.submit(_close_connections, all_here)
        self._executor.shutdown(wait=True)


def _close_connections(all_here: threading.Barrier) -> None:
    connections.close_all()
    all_here.wait(timeout=10)


def _with_fresh_connection(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    close_old_connections()
    try:
        return function(*arguments, **named)
    finally:
        close_old_connections()
