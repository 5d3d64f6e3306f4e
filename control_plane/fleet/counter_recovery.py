"""After the counter store lost what it counted: the books to a pod, then a new generation in the policy of all.

Until then pods spend what they were issued (`reliability.md` c). Any gRPC process that has a pod's usage stream can
have the books laid in, whichever one heard of the loss: what is to be done is a row. One pod lays them in, in order.
Whether they are in is read from the store itself, and a pod that does not get on is followed by another one.
Source: docs/decisions/0194-books-are-laid-into-the-contents-they-open.md
"""

import asyncio
import contextlib
import functools
import secrets
import time
from uuid import UUID

import redis
import structlog
from django.db import Error as DatabaseFailure

from control_plane.fleet.counter_losses import (
    Loss,
    first_generations_raise,
    generations_raise,
    loss_claim,
    loss_give_up,
    loss_laid,
    loss_progress,
    losses_note,
    losses_unlaid,
)
from control_plane.fleet.database import DatabaseThreads
from control_plane.usage.floor_feed import FloorFeed, Mailbox
from control_plane.usage.floors import floors_count, floors_of_organization
from control_plane.usage.laid_books import laid_books
from switchyard_contract.counters import read_learning_word
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger()

LOOK_S = 1.0
FIRST_LOOK_EVERY = 10
"""Every so many looks: whether an organization has its first books."""
READ_EVERY_S = 0.1
"""So often the store is asked how far the books are laid in."""
PATIENCE_S = 5.0
"""So long a pod may take for a page, or for anything to be seen of it in the store."""
MOST_AT_ONCE = 20
"""Organizations."""


class CounterRecovery:
    """One per gRPC process."""

    def __init__(self, database: DatabaseThreads, floors: FloorFeed, *, look_s: float = LOOK_S) -> None:
        self._database, self._floors, self._look_s = database, floors, look_s
        self._heard: dict[UUID, int | None] = {}
        self._wanted = asyncio.Event()
        self._laying: dict[Loss, asyncio.Task[None]] = {}

    def heard(self, word: str) -> None:
        """A pod says that it has lost counters. Does not block."""
        said = read_learning_word(word)
        if said is None:
            return
        with contextlib.suppress(ValueError):
            # Whoever names no organization is told nothing.
            self._heard[UUID(said[0])] = said[1]
            self._wanted.set()

    async def run(self) -> None:
        """Recover until cancelled."""
        looks = 0
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._look_s):
                        await self._wanted.wait()
                self._wanted.clear()
                try:
                    await self._look(looks)
                except DatabaseFailure as failure:
                    # Pods say it again with their next word.
                    log.warning("counters not recovered, trying again", why=type(failure).__name__)
                    await asyncio.sleep(self._look_s)
                looks += 1
        finally:
            for task in self._laying.values():
                task.cancel()

    async def _look(self, looks: int) -> None:
        if self._heard:
            heard, self._heard = self._heard, {}
            await self._database.run(losses_note, heard)
        if self._floors.has_streams:
            for loss in await self._database.run(losses_unlaid):
                if loss not in self._laying and len(self._laying) < MOST_AT_ONCE:
                    self._laying[loss] = task = asyncio.create_task(self._lay(loss))
                    task.add_done_callback(functools.partial(self._forget, loss))
        if raised := await self._database.run(generations_raise):
            log.info("counters begun anew from the books", organizations=raised)
        if looks % FIRST_LOOK_EVERY == 0:
            await self._database.run(first_generations_raise)

    def _forget(self, loss: Loss, _: asyncio.Task[None]) -> None:
        self._laying.pop(loss, None)

    async def _lay(self, loss: Loss) -> None:
        """Have the books of an organization laid in by one of the pods, and note it."""
        try:
            stream = self._floors.next_stream()
            floors = await self._database.run(floors_count, loss.organization_id)
            if stream is None or not await self._database.run(loss_claim, loss, floors=floors):
                return
            attempt = secrets.token_hex(4)
            told = await self._tell(loss, attempt, stream)
            if told is not None and await self._is_laid(loss, attempt, stream):
                await self._database.run(loss_laid, loss, told)
                log.info("books laid in after a loss", organization_id=loss.organization_id.hex, floors=told)
                self._wanted.set()
                return
            log.warning("books not laid in, trying another pod", organization_id=loss.organization_id.hex)
            await self._database.run(loss_give_up, loss)
        except DatabaseFailure as failure:
            # The claim lapses by itself.
            log.warning("books not laid in, trying again", why=type(failure).__name__)

    async def _tell(self, loss: Loss, attempt: str, stream: Mailbox) -> int | None:
        """Tell a stream all pages as it takes them; how many floors there were, None: it does not take them."""
        after, before = None, 0
        while True:
            page = await self._database.run(floors_of_organization, loss.organization_id, after)
            book = usage_pb2.FloorBook(
                organization_id=loss.organization_id.hex, generation=loss.generation + 1, attempt=attempt,
                before=before, is_last=page.after is None,
            )  # fmt: skip
            stream.put_page(book, page.floors)
            before, after = before + len(page.floors), page.after
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await stream.emptied()
            except TimeoutError:
                return None
            if after is None:
                return before
            if not await self._database.run(loss_progress, loss, 0):
                return None

    async def _is_laid(self, loss: Loss, attempt: str, stream: Mailbox) -> bool:
        """Wait until the store says that it has all of the books, as long as they come nearer."""
        floors, moved_at_s = 0, time.monotonic()
        while self._floors.is_open(stream) and time.monotonic() - moved_at_s < PATIENCE_S:
            try:
                laid = (await asyncio.to_thread(laid_books, [loss.organization_id]))[loss.organization_id]
            except redis.RedisError as failure:
                log.warning("what is laid in is not known", why=type(failure).__name__)
            else:
                if laid.generation == loss.generation + 1:
                    return True
                if laid.attempt == attempt and laid.floors > floors:
                    floors, moved_at_s = laid.floors, time.monotonic()
                    if not await self._database.run(loss_progress, loss, floors):
                        return False
            await asyncio.sleep(READ_EVERY_S)
        return False
