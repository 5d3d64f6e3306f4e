"""What the books say, on its way to the counters: posted sums are raised to it, never lowered."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import bulk, head
from data_plane.counters.scripts import FLOOR
from switchyard_contract.counters import FOR_EVER, MICRO, budget_key, laying_text, meta_key

log = structlog.get_logger()

AT_ONCE = 100
_MOST_KEPT = 200_000
_MOST_PAGES = 1_000
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


class Book(Protocol):
    """Which page of an organization's whole books floors are; `switchyard_contract.v1.usage_pb2.FloorBook`."""

    @property
    def organization_id(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def attempt(self) -> str: ...
    @property
    def before(self) -> int: ...
    @property
    def is_last(self) -> bool: ...


Raise = tuple[str, int, int]
"""A key, what the books say (micro-USD), and how long a new counter is kept."""


@dataclass(frozen=True, slots=True)
class _Page:
    book: Book
    raises: tuple[Raise, ...]


class Floors:
    """The newest floor of each counter, until the store has it; and whole books, page by page."""

    def __init__(self, link: StoreLink) -> None:
        self._link = link
        self._waiting: dict[tuple[str, str], Raise] = {}
        """By organization and key."""
        self._pages: deque[_Page] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._pages)

    def add(self, floors: Iterable[Floor]) -> None:
        for floor in floors:
            one = _raise_of(floor)
            self._waiting[floor.organization_id, one[0]] = one
        while len(self._waiting) > _MOST_KEPT:
            # The books say it again.
            del self._waiting[next(iter(self._waiting))]

    def add_page(self, book: Book, floors: Iterable[Floor]) -> None:
        """Lay a page of a book behind the pages before it; which attempt it is of decides whether it still counts."""
        raises = tuple(_raise_of(floor) for floor in floors if floor.organization_id == book.organization_id)
        self._pages.append(_Page(book, raises))
        while len(self._pages) > _MOST_PAGES:
            # Those behind it are refused by the store then, and the control plane begins again.
            self._pages.popleft()

    async def send_waiting(self) -> None:
        """Send all there is, a hundred at a time and of one organization each, so that nothing waits behind it."""
        while self._pages and self._link.is_up:
            page = self._pages[0]
            if not await self._lay(page):
                return
            if self._pages and self._pages[0] is page:
                self._pages.popleft()
        if not self._link.is_up:
            return
        by_organization: dict[str, list[Raise]] = {}
        for (organization_id, _), one in self._waiting.items():
            by_organization.setdefault(organization_id, []).append(one)
        for organization_id, rows in by_organization.items():
            for start in range(0, len(rows), AT_ONCE):
                some = rows[start : start + AT_ONCE]
                if await self._tell(organization_id, some) is None:
                    return
                for one in some:
                    if self._waiting.get((organization_id, one[0])) == one:
                        del self._waiting[organization_id, one[0]]

    async def _lay(self, page: _Page) -> bool:
        """Lay a page. False: the store is away. What is in the store already is laid again, to no effect."""
        book, raises = page.book, page.raises
        done = 0
        while done < len(raises) or not done:
            some = raises[done : done + AT_ONCE]
            begins = book.before + done
            goes_on_from = laying_text(book.attempt, begins) if begins else ""
            done += len(some) or 1
            is_end = book.is_last and done >= len(raises)
            step = (laying_text(book.attempt, begins + len(some)), goes_on_from, book.generation if is_end else 0)
            laid = await self._tell(book.organization_id, some, step)
            if laid is None:
                return False
            if laid < 0:
                log.warning("books not laid in: what was laid before is gone", organization=book.organization_id)
                return True
        return True

    async def _tell(
        self, organization_id: str, some: Sequence[Raise], step: tuple[str, str, int] = ("", "", 0)
    ) -> int | None:
        leads_to, goes_on_from, opens = step
        words = [leads_to.encode(), goes_on_from.encode(), b"%d" % opens]
        words += [b"%d" % number for _, posted, kept_ms in some for number in (posted, kept_ms)]
        keys = [meta_key(organization_id), *(key for key, _, _ in some)]
        reply = await self._link.fetch(head(FLOOR, keys, len(words)) + b"".join(map(bulk, words)))
        return reply if isinstance(reply, int) else None


def _raise_of(floor: Floor) -> Raise:
    key = budget_key(floor.organization_id, floor.budget_id, floor.period, floor.counter)
    return key, floor.posted_nano_usd // MICRO, 0 if floor.period == FOR_EVER else _KEPT_MS
