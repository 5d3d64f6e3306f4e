"""Many in one call: attempts of one claims' that ask in the same turn of the loop, settlements that leave together.

What is the same for all of them is sent, read and looked up once. A call of one is the same call.
"""

import asyncio
from collections.abc import Callable, Sequence

from data_plane.counters.packing import Aim

MOST_ASKING = 16
"""In one call: some 300 µs of the store, for which everybody else waits."""


class Asking:
    """Attempts that wait for the same call. It is open until it leaves."""

    __slots__ = ("_aim", "_asks", "_hurry", "_loop", "_open", "_told", "_waiting")

    def __init__(
        self, aim: Aim, told: Sequence[str | int], open_calls: "dict[Aim, Asking]", hurry: Callable[[], None]
    ) -> None:
        """told: what `reserve.lua` is told once for all of them. open_calls: where others find this one until then.
        hurry: has it leave at once."""
        self._aim, self._told, self._open, self._hurry = aim, told, open_calls, hurry
        open_calls[aim] = self
        self._loop = asyncio.get_running_loop()
        self._asks: list[bytes] = []
        self._waiting: list[asyncio.Future[object]] = []

    @property
    def size(self) -> int:
        return len(self._asks)

    def join(self, ask: bytes) -> "asyncio.Future[object]":
        """Ask with the others. Gives the answer, or None."""
        answer: asyncio.Future[object] = self._loop.create_future()
        self._waiting.append(answer)
        asks = self._asks
        asks.append(ask)
        if len(asks) >= MOST_ASKING:
            # The first must not wait for all the others of a large crowd to come.
            self.close()
            self._hurry()
        return answer

    def compose(self) -> bytes:
        self.close()
        return self._aim.reserve(self._told, self._asks)

    def take(self, reply: object) -> None:
        self.close()
        waiting = self._waiting
        replies = reply if isinstance(reply, list) and len(reply) == len(waiting) else [None] * len(waiting)
        for answer, each in zip(waiting, replies, strict=True):
            if not answer.done():
                answer.set_result(each)

    def close(self) -> None:
        """Let nobody else join."""
        if self._open.get(self._aim) is self:
            del self._open[self._aim]
