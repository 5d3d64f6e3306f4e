"""Settlements on their way: sent without waiting, kept until the store has them, sent again when it may not."""

from collections import deque
from collections.abc import Callable

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import POST_UNHELD, Aim, encode_numbers

MOST_KEPT = 100_000
"""Of an outage; beyond, the oldest is let go: the books know it, and floors bring it back."""
MOST_AT_ONCE = 1_000
_SURE_S = 600.0
"""The store remembers for 15 minutes what is settled. Later, one that may have arrived already is not posted again:
the books know it too."""


_FLAGS_AT = 7
"""Where among the numbers of a settlement its flags are."""


class Settlement:
    """One, with what is needed to say it again. numbers: as `settle.lua` takes them."""

    __slots__ = ("_keeper", "aim", "first_sent_s", "numbers")

    def __init__(self, aim: Aim, numbers: tuple[str | int, ...]) -> None:
        self.aim, self.numbers = aim, numbers
        self.first_sent_s = 0.0
        """When it was first handed to a connection; 0: never."""
        self._keeper: Settlements | None = None

    @property
    def member(self) -> str:
        return str(self.numbers[0])

    @property
    def flags(self) -> int:
        return int(self.numbers[_FLAGS_AT])

    def command(self) -> bytes:
        return self.aim.settle(self.member, encode_numbers(self.numbers))

    def forget_unheld(self) -> None:
        """From now on post nothing where nothing is held."""
        numbers = list(self.numbers)
        numbers[_FLAGS_AT] = self.flags & ~POST_UNHELD
        self.numbers = tuple(numbers)

    def belongs_to(self, keeper: "Settlements") -> None:
        self._keeper = keeper

    def told(self, reply: object) -> None:
        if self._keeper is not None:
            self._keeper.told(self, reply)


class Settlements:
    """dropped: told how many were let go."""

    def __init__(self, link: StoreLink, clock_s: Callable[[], float], dropped: Callable[[int], None]) -> None:
        self._link, self._clock_s, self._dropped = link, clock_s, dropped
        self._waiting: deque[Settlement] = deque()
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
            if not self._try(settlement):
                self._waiting.appendleft(settlement)
                return

    def _try(self, settlement: Settlement) -> bool:
        if settlement.first_sent_s and self._clock_s() - settlement.first_sent_s > _SURE_S:
            settlement.forget_unheld()
        settlement.belongs_to(self)
        if not self._link.tell(settlement.command(), settlement.told):
            return False
        self.on_their_way += 1
        if not settlement.first_sent_s:
            settlement.first_sent_s = self._clock_s()
        return True

    def told(self, settlement: Settlement, reply: object) -> None:
        """The store has it; None: it may not."""
        self.on_their_way -= 1
        if reply is None:
            self._keep(settlement)

    def _keep(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        if len(self._waiting) > MOST_KEPT:
            self._waiting.popleft()
            self._dropped(1)
