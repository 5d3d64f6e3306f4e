"""What the books say, on its way to the counters: posted sums are raised to it, never lowered."""

from collections.abc import Iterable
from typing import Protocol

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import bulk, head
from data_plane.counters.scripts import FLOOR
from switchyard_contract.counters import FOR_EVER, MICRO, budget_key

AT_ONCE = 100
_MOST_KEPT = 200_000
_KEPT_MS = 100 * 86_400_000
"""A counter that only the books know, until an attempt says when its period ends: longer than a quarter."""


class Floor(Protocol):
    """A counter as the books have it; `switchyard_contract.v1.usage_pb2.Floor`."""

    @property
    def organization_id(self) -> str: ...
    @property
    def budget_id(self) -> str: ...
    @property
    def counter(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def posted_nano_usd(self) -> int: ...


class Floors:
    """The newest floor of each counter, until the store has it."""

    def __init__(self, link: StoreLink) -> None:
        self._link = link
        self._waiting: dict[tuple[str, str], tuple[int, int]] = {}
        """By organization and key: micro-USD, and how long a new counter is kept."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, floors: Iterable[Floor]) -> None:
        for floor in floors:
            key = budget_key(floor.organization_id, floor.budget_id, floor.period, floor.counter)
            kept_ms = 0 if floor.period == FOR_EVER else _KEPT_MS
            self._waiting[floor.organization_id, key] = (floor.posted_nano_usd // MICRO, kept_ms)
        while len(self._waiting) > _MOST_KEPT:
            # The books say it again.
            del self._waiting[next(iter(self._waiting))]

    async def send_waiting(self) -> None:
        """Send all there is, a hundred at a time and of one organization each, so that nothing waits behind it."""
        if not self._link.is_up:
            return
        by_organization: dict[str, list[tuple[str, int, int]]] = {}
        for (organization_id, key), (posted, kept_ms) in self._waiting.items():
            by_organization.setdefault(organization_id, []).append((key, posted, kept_ms))
        for organization_id, rows in by_organization.items():
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                words = [bulk(b"%d" % number) for _, posted, kept_ms in some for number in (posted, kept_ms)]
                command = head(FLOOR, [key for key, _, _ in some], len(words)) + b"".join(words)
                if not isinstance(await self._link.fetch(command), int):
                    return
                for key, posted, kept_ms in some:
                    if self._waiting.get((organization_id, key)) == (posted, kept_ms):
                        del self._waiting[organization_id, key]
