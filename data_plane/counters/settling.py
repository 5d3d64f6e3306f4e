"""Settlements on their way: sent without waiting, kept until the store has them, sent again when it may not."""

from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import POST_UNHELD, Aim, encode_numbers

MOST_KEPT = 100_000
"""Of an outage; beyond, the oldest is let go: the books know it, and floors bring it back."""
MOST_AT_ONCE = 500
_SURE_S = 600.0
"""The store remembers for 15 minutes what is settled. Later, one that may have arrived already is not posted again:
the books know it too."""


class Settlement(msgspec.Struct, gc=False):
    """One, with what is needed to say it again."""

    aim: Aim
    member: str
    numbers: tuple[str | int, ...]
    """As `settle.lua` takes them, but for the flags."""
    flags: int
    first_sent_s: float
    """When it was first handed to a connection; 0: never."""

    def command(self) -> bytes:
        *before, pod_id, at_us = self.numbers
        return self.aim.settle(self.member, encode_numbers((*before, self.flags, pod_id, at_us)))


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
        if self._waiting or not self._try(settlement):
            self._keep(settlement)

    def send_waiting(self) -> None:
        """Send again what was not acknowledged, some of it."""
        for _ in range(min(len(self._waiting), MOST_AT_ONCE)):
            settlement = self._waiting.popleft()
            if not self._try(settlement):
                self._waiting.appendleft(settlement)
                return

    def _try(self, settlement: Settlement) -> bool:
        now_s = self._clock_s()
        if settlement.first_sent_s and now_s - settlement.first_sent_s > _SURE_S:
            settlement.flags &= ~POST_UNHELD

        def take(reply: object) -> None:
            self.on_their_way -= 1
            if reply is None:
                self._keep(settlement)

        if not self._link.tell(settlement.command(), take):
            return False
        self.on_their_way += 1
        settlement.first_sent_s = settlement.first_sent_s or now_s
        return True

    def _keep(self, settlement: Settlement) -> None:
        self._waiting.append(settlement)
        if len(self._waiting) > MOST_KEPT:
            surplus = len(self._waiting) - MOST_KEPT
            for _ in islice(iter(int, 1), surplus):
                self._waiting.popleft()
            self._dropped(surplus)
