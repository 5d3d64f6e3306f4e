"""Deals floors to the streams of pods.

All pods speak to one store, so each floor goes to two of them and not to all: one that just then loses its way to the
store is made up for by the other. Of a counter only the newest floor waits. The whole books of an organization, after a
loss, go to one stream, page by page (`fleet/counter_recovery.py`).

A pod keeps a floor until the store has it, and nobody says so here. So whenever a stream begins or ends, what was given
to it may be gone, and the next look tells the last hour once more: a floor that the store has raises nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from control_plane.usage.floors import floors_changed
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()

INTERVAL_S = 10.0
STREAMS_EACH = 2
MOST_PER_RECEIPT = 500
MOST_WAITING = 20_000

Run = Callable[..., Awaitable[Any]]
"""Runs a blocking function in a thread: fleet.database.DatabaseThreads.run."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """What one receipt carries. book: the floors are a page of it."""

    floors: Sequence[usage_pb2.Floor]
    book: usage_pb2.FloorBook | None = None


class Mailbox:
    """What waits for one stream."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str, str], usage_pb2.Floor] = {}
        self._pages: deque[Dealt] = deque()
        self._has_some = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def put(self, floor: usage_pb2.Floor) -> None:
        if len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[floor.organization_id, floor.budget_id, floor.counter, floor.period] = floor
        self._has_some.set()
        self._is_empty.clear()

    def put_page(self, book: usage_pb2.FloorBook, floors: Sequence[usage_pb2.Floor]) -> None:
        """Put a page of an organization's whole books behind the pages before it."""
        self._pages.append(Dealt(floors, book))
        self._has_some.set()
        self._is_empty.clear()

    async def some(self) -> Dealt:
        """Wait until there are floors, and take as many as a receipt carries; pages go first."""
        await self._has_some.wait()
        if self._pages:
            dealt = self._pages.popleft()
        else:
            keys = list(self._waiting)[:MOST_PER_RECEIPT]
            dealt = Dealt([self._waiting.pop(key) for key in keys])
        if not self._waiting and not self._pages:
            self._has_some.clear()
            self._is_empty.set()
        return dealt

    async def emptied(self) -> None:
        """Wait until everything was taken."""
        await self._is_empty.wait()


class FloorFeed:
    """One per gRPC process."""

    def __init__(self, run: Run, *, interval_s: float = INTERVAL_S) -> None:
        self._run, self._interval_s = run, interval_s
        self._mailboxes: list[Mailbox] = []
        self._turn = count()
        self._since: datetime | None = None
        self._may_have_lost = True
        """Something that was told may not have arrived."""

    def open(self) -> Mailbox:
        """Begin to deal to a stream."""
        mailbox = Mailbox()
        self._mailboxes.append(mailbox)
        self._may_have_lost = True
        return mailbox

    def close(self, mailbox: Mailbox) -> None:
        self._mailboxes.remove(mailbox)
        self._may_have_lost = True

    @property
    def has_streams(self) -> bool:
        return bool(self._mailboxes)

    async def poll(self) -> None:
        """Look for counters that moved, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Look once. Without a stream there is nobody to tell; the first one that begins hears of it."""
        if not self._mailboxes:
            return
        since = None if self._may_have_lost else self._since
        self._may_have_lost = False
        try:
            self._since, floors = await self._run(floors_changed, since)
        except DatabaseFailure as failure:
            # What moved meanwhile is found at the next look.
            self._may_have_lost = self._may_have_lost or since is None
            log.warning("floors not read", why=type(failure).__name__)
        else:
            self.deal(floors)

    def next_stream(self) -> Mailbox | None:
        """One of the streams, another one each time, for what one pod has to do in order; None: there is none."""
        return self._mailboxes[next(self._turn) % len(self._mailboxes)] if self._mailboxes else None

    def is_open(self, mailbox: Mailbox) -> bool:
        return mailbox in self._mailboxes

    def deal(self, floors: Sequence[usage_pb2.Floor]) -> list[Mailbox]:
        """Give floors to some of the streams, others each time; says which."""
        if not self._mailboxes:
            return []
        first = next(self._turn)
        chosen = [
            self._mailboxes[(first + number) % len(self._mailboxes)]
            for number in range(min(STREAMS_EACH, len(self._mailboxes)))
        ]
        for mailbox in chosen:
            for floor in floors:
                mailbox.put(floor)
        return chosen
