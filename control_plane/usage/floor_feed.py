"""Deals floors to the streams of pods.

All pods speak to one store, so each floor goes to two of them and not to all: one that just then loses its way to the
store is made up for by the other. Of a counter only the newest floor waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from control_plane.usage.floors import floors_changed, floors_of_organization
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()

INTERVAL_S = 10.0
STREAMS_EACH = 2
MOST_PER_RECEIPT = 500
MOST_WAITING = 20_000
TAKEN_WITHIN_S = 10.0
"""So long a stream has to take a page of what was lost."""

Run = Callable[..., Awaitable[Any]]
"""Runs a blocking function in a thread: fleet.database.DatabaseThreads.run."""


class Mailbox:
    """What waits for one stream."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str, str, str], usage_pb2.Floor] = {}
        self._has_some = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def put(self, floor: usage_pb2.Floor) -> None:
        if len(self._waiting) >= MOST_WAITING:
            return
        self._waiting[floor.organization_id, floor.budget_id, floor.counter, floor.period] = floor
        self._has_some.set()
        self._is_empty.clear()

    async def some(self) -> list[usage_pb2.Floor]:
        """Wait until there are floors, and take as many as a receipt carries."""
        await self._has_some.wait()
        keys = list(self._waiting)[:MOST_PER_RECEIPT]
        floors = [self._waiting.pop(key) for key in keys]
        if not self._waiting:
            self._has_some.clear()
            self._is_empty.set()
        return floors

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

    def open(self) -> Mailbox:
        """Begin to deal to a stream."""
        mailbox = Mailbox()
        self._mailboxes.append(mailbox)
        return mailbox

    def close(self, mailbox: Mailbox) -> None:
        self._mailboxes.remove(mailbox)

    @property
    def has_streams(self) -> bool:
        return bool(self._mailboxes)

    async def poll(self) -> None:
        """Look for counters that moved, until cancelled."""
        while True:
            try:
                self._since, floors = await self._run(floors_changed, self._since)
            except DatabaseFailure as failure:
                # What moved meanwhile is found at the next look: `_since` stays.
                log.warning("floors not read", why=type(failure).__name__)
            else:
                self.deal(floors)
            await asyncio.sleep(self._interval_s)

    async def load(self, organization_id: Any) -> bool:
        """Tell all floors of an organization, page by page as streams take them.

        False: no stream took them all. Raises DatabaseFailure.
        """
        after = None
        while True:
            page = await self._run(floors_of_organization, organization_id, after)
            chosen = self.deal(page.floors)
            if not chosen or not await _is_taken_by_one(chosen):
                return False
            if page.after is None:
                return True
            after = page.after

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


async def _is_taken_by_one(chosen: Sequence[Mailbox]) -> bool:
    tasks = [asyncio.create_task(mailbox.emptied()) for mailbox in chosen]
    done, pending = await asyncio.wait(tasks, timeout=TAKEN_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return bool(done)
