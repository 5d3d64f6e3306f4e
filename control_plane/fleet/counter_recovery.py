"""After the counter store lost what it counted: floors to the pods, then a new generation in their policy.

Until then pods spend what they were issued (`reliability.md` c). Any gRPC process that has a pod's usage stream can
tell the floors, whichever one heard of the loss: what is to be done is a row.
"""

import asyncio
import contextlib
from uuid import UUID

import structlog
from django.db import Error as DatabaseFailure

from control_plane.fleet.counter_losses import (
    first_generations_raise,
    generations_raise,
    loss_told,
    losses_note,
    losses_untold,
)
from control_plane.fleet.database import DatabaseThreads
from control_plane.usage.floor_feed import FloorFeed
from switchyard_contract.counters import read_learning_word

log = structlog.get_logger()

LOOK_S = 1.0
FIRST_LOOK_EVERY = 10
"""Every so many looks: whether an organization has its first books."""


class CounterRecovery:
    """One per gRPC process."""

    def __init__(self, database: DatabaseThreads, floors: FloorFeed, *, look_s: float = LOOK_S) -> None:
        self._database, self._floors, self._look_s = database, floors, look_s
        self._heard: dict[UUID, int | None] = {}
        self._wanted = asyncio.Event()

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

    async def _look(self, looks: int) -> None:
        if self._heard:
            heard, self._heard = self._heard, {}
            await self._database.run(losses_note, heard)
        if self._floors.has_streams:
            for organization_id in await self._database.run(losses_untold):
                if await self._floors.load(organization_id):
                    await self._database.run(loss_told, organization_id)
                    log.info("floors told after a loss", organization_id=organization_id.hex)
        if raised := await self._database.run(generations_raise):
            log.info("counters begun anew from the books", organizations=raised)
        if looks % FIRST_LOOK_EVERY == 0:
            await self._database.run(first_generations_raise)
