"""What a pod says every few seconds of the attempts that it runs, so that nobody gives back what they hold."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from data_plane.counters.connection import StoreLink
from data_plane.counters.packing import (
    FURTHER,
    NO_AMOUNTS,
    OFFERED,
    TOOL_LOOP,
    UNCHECKED,
    bulk,
    encode_numbers,
    head,
    organization_keys,
)
from data_plane.counters.running import Contents, Running
from data_plane.counters.scripts import RENEW
from data_plane.policy.claims import SECOND

EVERY_S = 10.0
"""Leases last three times as long."""
AT_ONCE = 100
"""Attempts in one script call: some 100 µs of the store."""


def renewal_of(
    organization_id: str,
    held: Iterable[tuple[str, Sequence[str]]],
    *,
    generation: int,
    seen: tuple[int, int],
    most: int = AT_ONCE,
    at_us: int = 0,
) -> bytes:
    """Write the call that renews attempts. held: the member and the slots' names of each.

    generation, seen: what the policy names, and generation and sequence that were last seen. most: so many holds of
    pods that are gone are given back. at_us: 0: by the store's clock.
    """
    _, meta, held_key, due = organization_keys(organization_id)
    slots: dict[str, int] = {}
    members: list[str] = []
    pairs: list[int] = []
    for member, names in held:
        members.append(member)
        for name in names:
            pairs += (slots.setdefault(name, len(slots) + 1), len(members))
    told = encode_numbers([generation, *seen, most, len(members), *members, *pairs])
    return head(RENEW, (meta, held_key, due, *slots), 2) + bulk(told) + bulk(b"%d" % at_us)


class Renewing:
    """Of all that one pod runs. lost: told of contents that are no longer what was seen."""

    def __init__(
        self,
        link: StoreLink,
        maker: str,
        running: Mapping[str, Running],
        contents: Mapping[str, Contents],
        lost: Callable[[str, Contents], None],
    ) -> None:
        self._link, self._maker = link, maker
        self._running, self._contents, self._lost = running, contents, lost
        self._looks_around = asyncio.Event()

    def look_around(self) -> None:
        """Renew now: something has happened."""
        self._looks_around.set()

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._looks_around.wait()
            except TimeoutError:
                pass
            self._looks_around.clear()
            by_organization: defaultdict[str, list[Running]] = defaultdict(list)
            for running in self._running.values():
                by_organization[running.aim.organization_id].append(running)
            for organization_id in list(self._contents):
                await self._renew(organization_id, by_organization[organization_id])

    async def _renew(self, organization_id: str, running: list[Running]) -> None:
        contents = self._contents[organization_id]
        for start in range(0, max(1, len(running)), AT_ONCE):
            some = running[start : start + AT_ONCE]
            held = [(each.grant.member, each.aim.slots) for each in some]
            command = renewal_of(
                organization_id, held, generation=contents.wanted, seen=(contents.generation, contents.sequence)
            )
            reply = await self._link.fetch(command)
            if not isinstance(reply, list):
                return
            is_whole, generation, sequence, _, *missing = reply
            if not is_whole:
                self._lost(organization_id, contents)
            elif (generation, sequence) > (contents.generation, contents.sequence):
                contents.generation, contents.sequence = generation, sequence
            for number in missing:
                # Only what still runs: it may have been settled while the store answered.
                if some[number - 1].grant.member in self._running:
                    self.register(some[number - 1])

    def register(self, running: Running) -> None:
        """Have the store hold what runs already, unasked: it let it in once, or an outage's rules did."""
        grant, numbers = running.grant, running.numbers
        is_second = grant.candidate == SECOND
        flags = UNCHECKED | is_second * OFFERED | grant.ask.is_further * FURTHER | grant.ask.is_tool_loop * TOOL_LOOP
        both = (*NO_AMOUNTS, *numbers) if is_second else numbers
        self._link.tell(running.aim.reserve((-1, 0, self._maker, 0, 0, 0), [(grant.member, flags, *both)]), _ignore)


def _ignore(_reply: object) -> None:
    """A registration that was not taken is missing again at the next renewal."""
