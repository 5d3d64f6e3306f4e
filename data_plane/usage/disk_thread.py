"""The one thread that waits for the disk, so that the event loop never does."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


class DiskThread:
    """Runs work in the order it was handed over and its consequence on the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._running: set[asyncio.Future[None]] = set()

    def submit(self, work: Callable[[], _T], done: Callable[[_T], None], failed: Callable[[OSError], None]) -> None:
        """Start work; `done` or `failed` follows on the loop. An error that is not the disk's is a mistake of ours."""
        running = asyncio.ensure_future(self._carry_out(work, done, failed))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def run(self, work: Callable[[], _T]) -> _T:
        return await self._loop.run_in_executor(self._thread, work)

    async def finish(self) -> None:
        """Return when everything handed over has run, and what that handed over in turn."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    async def close(self) -> None:
        await self.finish()
        self._thread.shutdown(wait=True)

    async def _carry_out(
        self, work: Callable[[], _T], done: Callable[[_T], None], failed: Callable[[OSError], None]
    ) -> None:
        try:
            result = await self.run(work)
        except OSError as failure:
            failed(failure)
        else:
            done(result)
