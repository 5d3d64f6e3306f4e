"""Events that wait for the reporter: the newest in memory, the rest read back from the segments.

In good times everything is in memory and the disk is only written. After a restart, or while the control plane is out
of reach for longer than the memory lasts, the reporter is fed from disk until it has caught up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

from data_plane.usage.record import Record, RecordKind, read_records
from data_plane.usage.segment import Segment

MEMORY_BYTES = 8 * 1024 * 1024

Events = list[tuple[int, bytes]]


class Backlog:
    """segments: the spool's own, oldest first; looked at, never changed."""

    def __init__(self, segments: Iterable[Segment], *, synced_through: int) -> None:
        self._segments = segments
        self.synced_through = synced_through
        """The newest event that may leave the pod."""
        self._held: deque[tuple[int, bytes]] = deque()
        self._held_bytes = 0
        self._more = asyncio.Event()
        # Where the last read from disk stopped, so that a long backlog is read once and not once per batch.
        self._place: tuple[int, Segment, int] | None = None

    def add(self, sequence: int, event: bytes) -> None:
        self._held.append((sequence, event))
        self._held_bytes += len(event)
        while self._held_bytes > MEMORY_BYTES:
            self._held_bytes -= len(self._held.popleft()[1])

    def synced(self, through: int) -> None:
        self.synced_through = max(self.synced_through, through)
        self._more.set()

    def forget_through(self, sequence: int) -> None:
        while self._held and self._held[0][0] <= sequence:
            self._held_bytes -= len(self._held.popleft()[1])

    async def wait_beyond(self, sequence: int) -> None:
        """Return once an event behind that sequence may leave."""
        while self.synced_through <= sequence:
            self._more.clear()
            await self._more.wait()

    def from_memory(self, after: int, limit: int) -> Events | None:
        """The events behind a sequence; None: the disk has to be asked."""
        if after >= self.synced_through:
            return []
        if not self._held or self._held[0][0] > after + 1:
            return None
        return self.from_memory_beyond(after, limit)

    def from_memory_beyond(self, after: int, limit: int) -> Events:
        """The same, also where events in between are not held."""
        if not self._held:
            return []
        skipped = max(0, after + 1 - self._held[0][0])
        return [each for each in islice(self._held, skipped, skipped + limit) if each[0] <= self.synced_through]

    def disk_reader(self, after: int, limit: int) -> Callable[[], Events]:
        """A blocking read of the events behind a sequence, for the spool's thread.

        Its place in the segments is fixed here, on the loop; the thread runs its work in order, so no segment is
        deleted before it is read.
        """
        through = self.synced_through
        wanted = [segment for segment in self._segments if segment.last_sequence > after]
        start = 0
        if self._place is not None and wanted and self._place[0] == after and self._place[1] is wanted[0]:
            start = self._place[2]

        def read() -> Events:
            events: Events = []
            newest, offset = after, start
            for segment in wanted:
                for each in read_records(segment.file, start=offset):
                    if not isinstance(each, Record) or each.kind != RecordKind.FINAL:
                        continue
                    if each.sequence > through:
                        return events
                    if each.sequence <= newest:
                        continue
                    newest = each.sequence
                    events.append((each.sequence, each.payload))
                    if len(events) == limit:
                        self._place = (newest, segment, each.end)
                        return events
                offset = 0
            return events

        return read
