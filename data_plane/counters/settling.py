"""Settlements on their way: sent without waiting, kept until the store has them, sent again when it may not."""

from collections import deque
from collections.abc import Callable

import msgspec

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import POST_UNHELD, Aim

MOST_KEPT = 100_000
"""Of an outage; beyond, the oldest is let go: the books know it, and floors bring it back."""
MOST_AT_ONCE = 1_000
MOST_TOGETHER = 32
"""In one call: some 300 µs of the store, for which everybody else waits."""
_SURE_S = 600.0
"""The store remembers for 15 minutes what is settled. Later, one that may have arrived already is not posted again:
the books know it too."""


_FLAGS_AT = 7
"""Where among the numbers of a settlement its flags are."""


class Settlement(msgspec.Struct, gc=False):
    """One, with what is needed to say it again."""

    aim: Aim
    numbers: tuple[str | int, ...]
    """As `settle.lua` takes them."""
    first_sent_s: float = 0.0
    """When it was first handed to a connection; 0: never."""

    @property
    def member(self) -> str:
        return str(self.numbers[0])

    @property
    def flags(self) -> int:
        return int(self.numbers[_FLAGS_AT])

    def forget_unheld(self) -> None:
        """From now on post nothing where nothing is held."""
        numbers = list(self.numbers)
        numbers[_FLAGS_AT] = self.flags & ~POST_UNHELD
        self.numbers = tuple(numbers)


class Leaving:
    """Settlements of one claims' that leave with the same call. It is open until it does."""

    __slots__ = ("_aim", "_keeper", "sent_s", "settlements")

    def __init__(self, first: Settlement, keeper: "Settlements", sent_s: float) -> None:
        self._aim, self._keeper = first.aim, keeper
        self.settlements = [first]
        self.sent_s = sent_s
        keeper.leaving[first.aim] = self

    @property
    def size(self) -> int:
        return len(self.settlements)

    def compose(self) -> bytes:
        self.close()
        return self._aim.settle((self._keeper.pod_id, 0), [each.numbers for each in self.settlements])

    def take(self, reply: object) -> None:
        self.close()
        self._keeper.told(self, reply)

    def close(self) -> None:
        """Let no other join."""
        if self._keeper.leaving.get(self._aim) is self:
            del self._keeper.leaving[self._aim]


class Settlements:
    """dropped: told how many were let go."""

    def __init__(
        self, link: StoreLink, clock_s: Callable[[], float], dropped: Callable[[int], None], pod_id: str
    ) -> None:
        self.pod_id = pod_id
        self._link, self._clock_s, self._dropped = link, clock_s, dropped
        self._waiting: deque[Settlement] = deque()
        self.leaving: dict[Aim, Leaving] = {}
        """Those that others may still join."""
        self.on_their_way = 0

    def __len__(self) -> int:
        """Settlements that the store has not acknowledged."""
        return len(self._waiting) + self.on_their_way

    def send(self, settlement: Settlement) -> None:
        """Send it now, or as soon as there is a store."""
        # Not behind those that wait: each is about another attempt, so their order means nothing.
        if not self._try(settlement):
            self._keep(settlement)

    def send_waiting(self) -> None:
        """Send again what was not acknowledged, some of it."""
        for _ in range(min(len(self._waiting), MOST_AT_ONCE)):
            settlement = self._waiting.popleft()
            if settlement.first_sent_s and self._clock_s() - settlement.first_sent_s > _SURE_S:
                settlement.forget_unheld()
            if not self._try(settlement):
                self._waiting.appendleft(settlement)
                return

    def _try(self, settlement: Settlement) -> bool:
        leaving = self.leaving.get(settlement.aim)
        if leaving is not None and len(leaving.settlements) < MOST_TOGETHER:
            leaving.settlements.append(settlement)
        else:
            leaving = Leaving(settlement, self, self._clock_s())
            if not self._link.tell_together(leaving):
                leaving.close()
                return False
        self.on_their_way += 1
        return True

    def told(self, leaving: Leaving, reply: object) -> None:
        """The store has them; None: it may not."""
        self.on_their_way -= len(leaving.settlements)
        if reply is not None:
            return
        for settlement in leaving.settlements:
            settlement.first_sent_s = settlement.first_sent_s or leaving.sent_s
            self._keep(settlement)

    def _keep(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        if len(self._waiting) > MOST_KEPT:
            self._waiting.popleft()
            self._dropped(1)
