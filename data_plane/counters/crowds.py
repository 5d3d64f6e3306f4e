"""Many in one call: attempts of one claims' that ask in the same turn of the loop.

What is the same for all of them is sent, read and looked up once, and they are answered one behind the other. A call of
one is the same call.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from data_plane.counters.packing import Aim, Numbers, Reserved
from data_plane.policy.grant import Ask, Denial, Grant, Restart

MOST_ASKING = 16
"""In one call: some 300 µs of the store, for which everybody else waits."""
Decision = Grant | Denial | Restart


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """One of those that ask."""

    ask: Ask
    member: str
    flags: int
    first: Reserved
    """The amounts of either candidate, as the script takes them."""
    second: Reserved | tuple[()]
    answer: asyncio.Future[Decision]


Take = Callable[[Aim, list[Waiting], Sequence[object]], None]


class Asking:
    """Attempts that wait for the same call. It is open until it leaves."""

    __slots__ = ("_aim", "_hurry", "_open", "_take", "_told", "_waiting")

    def __init__(
        self,
        first: Waiting,
        aim: Aim,
        told: Numbers,
        *,
        open_calls: "dict[Aim, Asking]",
        hurry: Callable[[], None],
        take: Take,
    ) -> None:
        """told: what `reserve.lua` is told once for all of them. open_calls: where others find this one until then.
        hurry: has it leave at once. take: takes what the script said to each, None where it said nothing."""
        self._aim, self._told, self._open, self._hurry, self._take = aim, told, open_calls, hurry, take
        open_calls[aim] = self
        self._waiting = [first]

    @property
    def size(self) -> int:
        return len(self._waiting)

    def join(self, one: Waiting) -> None:
        """Ask with the others."""
        waiting = self._waiting
        waiting.append(one)
        if len(waiting) >= MOST_ASKING:
            # The first must not wait for all the others of a large crowd to come.
            self.close()
            self._hurry()

    def compose(self) -> bytes:
        self.close()
        asks = [(one.member, one.flags, *one.first, *one.second) for one in self._waiting]
        return self._aim.reserve(self._told, asks)

    def take(self, reply: object) -> None:
        self.close()
        waiting = self._waiting
        replies = reply if isinstance(reply, list) and len(reply) == len(waiting) else [None] * len(waiting)
        self._take(self._aim, waiting, replies)

    def close(self) -> None:
        """Let nobody else join."""
        if self._open.get(self._aim) is self:
            del self._open[self._aim]
