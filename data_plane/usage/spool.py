"""The spool: what was admitted and what came of it, on the pod's own disk before anybody else knows.

Two number spaces. A *position* counts every record of this run: `synced` waits for one. A *sequence* counts the events
(FINAL records) of this spool for ever: receipts name one. An event may leave the pod only once it is synced; otherwise
a power loss could give its sequence to another event.

Failures: SpoolInUse at opening, SpoolUnavailable while the disk refuses.
Source: docs/decisions/0035-the-spool.md
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import structlog

from data_plane.usage.backlog import Backlog
from data_plane.usage.disk_thread import DiskThread
from data_plane.usage.former_runs import FormerRuns, forget_former_runs
from data_plane.usage.journal import Journal, SpoolUnavailable, SyncMode
from data_plane.usage.record import RecordKind
from data_plane.usage.recovery import Recovered, SpoolInUse, closed_by_end, recover, write_acked
from data_plane.usage.segment import Disk, Entry, ExchangeKey, LocalDisk, Segment, sync_directory

__all__ = ["Spool", "SpoolInUse", "SpoolUnavailable", "SyncMode", "open_spool"]

log = structlog.get_logger()

TICK_S = 0.25
RESERVE_PER_EXCHANGE_BYTES = 4 * 1024
LEFT_OVER_FINALS = 5_000
"""So many events before a run's end may have lost their settlement with it."""
RESERVED_EXCHANGES = 16
"""Admission stops while so many more exchanges could still write their FINAL."""
# To ask an enumeration for a member costs more than all else that is done with it here.
_ADMITTED, _PROGRESS, _FINAL = RecordKind.ADMITTED, RecordKind.PROGRESS, RecordKind.FINAL


class Spool:
    """Made by `open_spool`; belongs to one event loop. The methods without `async` never wait."""

    def __init__(
        self,
        directory: Path,
        recovered: Recovered,
        disk: Disk,
        *,
        segment_bytes: int,
        limit_bytes: int,
        sync: SyncMode,
    ) -> None:
        self.boot_id = recovered.boot_id
        self.run = recovered.former.run
        """Of this spool: later runs have higher numbers."""
        self.damaged_records = recovered.damaged_records
        self._former = recovered.former
        self._directory, self._lock = directory, recovered.lock
        self._thread = DiskThread()
        self._segments: deque[Segment] = deque(recovered.segments)
        self._sequence = recovered.next_sequence - 1
        self._acked = self._acked_on_disk = recovered.acked
        self._homes: dict[ExchangeKey, Segment] = {}
        """Where each exchange that is under way was admitted."""
        self._backlog = Backlog(self._segments, synced_through=self._sequence)
        self._journal = Journal(
            directory,
            disk,
            self._thread,
            self,
            boot_id=recovered.boot_id,
            segments=self._segments,
            next_number=recovered.next_number,
            synced_sequence=self._sequence,
            segment_bytes=segment_bytes,
            limit_bytes=limit_bytes,
            sync=sync,
        )
        self.after_write: Callable[[Callable[[], None]], None] = self._journal.after_write
        """Has something called in a moment, when no kill takes any more what was noted until now."""
        self._cut_sequences: frozenset[int] = frozenset()
        self._left_through = 0
        self._skips = recovered.has_torn_end
        """The next number is left out: it may have been given before. Whoever counts them sees that one is missing."""
        self._is_cleaning = False
        self._timer: asyncio.TimerHandle | None = None

    # What the exchange stages call.

    def can_admit(self) -> bool:
        """Whether one more exchange may begin: only while all in flight, and some more, can still be closed."""
        return self._journal.has_room(len(self._homes) + RESERVED_EXCHANGES, RESERVE_PER_EXCHANGE_BYTES)

    def admitted(self, event: bytes, exchange_id: str, attempt: int) -> int:
        """Note that an attempt begins. What goes upstream for it goes by `after_write`: then no kill takes the record.

        Gives the record's position for `synced`.
        """
        return self._journal.append(_ADMITTED, 0, (exchange_id, attempt), event)

    def progress(self, event: bytes, exchange_id: str, attempt: int) -> int:
        """Note what is known by now; the last one is what an exchange cut by a kill is billed by.

        Not where the room gets short: what is left is for the ends of what runs.
        """
        if not self.can_admit():
            return self._journal.position
        return self._journal.append(_PROGRESS, 0, (exchange_id, attempt), event)

    def final(self, event: bytes, exchange_id: str, attempt: int) -> int:
        """Close an attempt with its event. Never refused: what the disk does not take waits in memory.

        A kill in this very turn of the loop makes it a row that is estimated
        (docs/decisions/0036-spool-writes-on-the-loop.md).
        """
        if self._skips:
            self._sequence, self._skips = self._sequence + 1, False
        position = self._journal.append(_FINAL, self._sequence + 1, (exchange_id, attempt), event)
        self._sequence += 1
        self._backlog.add(self._sequence, event)
        return position

    async def synced(self, sequence: int) -> None:
        """Return once a record would survive a power loss. sequence: the position its writing gave.

        Raises SpoolUnavailable while the disk refuses.
        """
        await self._journal.synced(sequence)

    # What the reporter calls.

    async def unreported(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next events behind a sequence, ascending; waits until there is one. Only synced ones are given."""
        while True:
            events = self._backlog.from_memory(after, limit)
            if events is None:
                events = await self._thread.run(self._backlog.disk_reader(after, limit))
                # What no segment holds any more (damage) is stepped over.
                events = events or self._backlog.from_memory_beyond(after, limit)
            if events:
                return events
            await self._backlog.wait_beyond(max(after, self._backlog.synced_through))

    @property
    def acked_sequence(self) -> int:
        return self._acked

    def stored_through(self, sequence: int) -> None:
        """The control plane has stored every event up to this one: segments may go."""
        self._acked = max(self._acked, min(sequence, self._backlog.synced_through))
        self._backlog.forget_through(self._acked)

    @property
    def former_runs(self) -> FormerRuns | None:
        """What is to be said of the runs before this one; None while the control plane has not stored all of them."""
        return self._former if self._acked >= self._left_through else None

    async def left_over(self) -> AsyncIterator[tuple[bytes, bool]]:
        """The newest events of former runs that the control plane has not stored, and whether the end of their run cut
        them. Older ones were settled long before that end."""
        after = max(self._acked, self._left_through - len(self._cut_sequences) - LEFT_OVER_FINALS)
        while after < self._left_through:
            for sequence, event in await self.unreported(after, 500):
                after = sequence
                if sequence > self._left_through:
                    return
                yield event, sequence in self._cut_sequences

    # What probes and the fleet page show.

    @property
    def depth_records(self) -> int:
        """Events that the control plane has not stored yet."""
        return self._sequence - self._acked

    @property
    def depth_bytes(self) -> int:
        return sum(segment.used_bytes for segment in self._segments)

    @property
    def in_flight(self) -> int:
        return len(self._homes)

    @property
    def is_broken(self) -> bool:
        """The disk refused records twice in a row; it is tried again until it takes them."""
        return self._journal.is_refused

    @property
    def refusals(self) -> int:
        """How often the disk refused, since the start."""
        return self._journal.refusals

    async def close(self) -> None:
        """Make everything last and let go of the disk. The spool takes no more records afterwards."""
        if self._timer is not None:
            self._timer.cancel()
        await self._journal.close()
        self._clean()
        await self._thread.close()
        for segment in self._segments:
            os.close(segment.file)
        os.close(self._lock)  # Closing it gives the lock up.

    # What the journal tells.

    def placed(self, entries: Sequence[Entry], position: int, segment: Segment) -> None:
        homes = self._homes
        for at, entry in enumerate(entries, position):
            kind, sequence, key, _ = entry
            if kind is not _FINAL:
                homes.setdefault(key, segment).open_records[key] = entry
                continue
            segment.last_sequence = sequence
            home = homes.pop(key, None)
            if home is not None:
                del home.open_records[key]
                home.needed_until = at

    def events_synced(self, last_sequence: int) -> None:
        self._backlog.synced(last_sequence)

    def refused(self) -> None:
        # What this run takes from now on may go out without a record that lasts (Journal.after_write).
        with contextlib.suppress(OSError):
            forget_former_runs(self._directory)

    # Keeping house.

    async def begin(self, recovered: Recovered) -> None:
        """Close the books of the last run: one row for each exchange that its end cut. Called by `open_spool`."""
        for key, payload in recovered.adopted:
            self.final(payload, *key)
        before = self._sequence
        for key, payload in recovered.unfinished.items():
            self.final(closed_by_end(payload, key, was_running=key in recovered.running), *key)
        self._cut_sequences = frozenset(range(before + 1, self._sequence + 1))
        self._left_through = self._sequence
        for segment in recovered.segments:
            segment.needed_until = self._journal.position
        self._journal.open_first()
        try:
            await self._journal.synced(self._journal.position)
        except SpoolUnavailable:
            log.error("the spool cannot be written; this pod admits nothing until it can")
        if recovered.unfinished or recovered.damaged_records:
            log.warning(
                "spool recovered",
                counted=len(recovered.running),
                estimated=len(recovered.unfinished) - len(recovered.running),
                damaged_records=recovered.damaged_records,
                torn_tails=recovered.torn_tails,
            )
        self._tick()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        if not self._is_cleaning and not self._journal.refusals_in_a_row:
            self._clean()
            self._carry_over()
        self._journal.tick()

    def _clean(self) -> None:
        """Delete the oldest segments that nobody needs: stored to the end and with nothing open in them.

        Only ever the oldest: a FINAL must not go before the ADMITTED it closes, or a restart would close it twice.
        """
        gone: list[Segment] = []
        while self._segments and self._is_needless(self._segments[0]):
            gone.append(self._segments.popleft())
        acked = self._acked
        if not gone and acked == self._acked_on_disk:
            return
        self._journal.count_space()
        self._is_cleaning = True

        def clean() -> None:
            write_acked(self._directory, self.boot_id, acked)
            for segment in gone:
                segment.path.unlink()
                os.close(segment.file)
            if gone:
                sync_directory(self._directory)

        def cleaned(_: None) -> None:
            self._is_cleaning = False
            self._acked_on_disk = acked

        def failed(failure: OSError) -> None:
            self._is_cleaning = False
            log.warning("the spool could not be tidied", error=failure.strerror)

        self._thread.submit(clean, cleaned, failed)

    def _is_needless(self, segment: Segment) -> bool:
        return (
            segment is not self._journal.active
            and segment.last_sequence <= self._acked
            and not segment.open_records
            and segment.needed_until <= self._journal.synced_position
        )

    def _carry_over(self) -> None:
        """Copy what long exchanges have in the oldest segment into the newest, so that they hold nothing back."""
        oldest = self._segments[0] if self._segments else None
        if oldest is None or oldest is self._journal.active or oldest.last_sequence > self._acked:
            return
        for key, latest in tuple(oldest.open_records.items()):
            del oldest.open_records[key], self._homes[key]
            oldest.needed_until = self._journal.append_entry(latest)


async def open_spool(
    directory: Path, *, segment_bytes: int, limit_bytes: int, sync: SyncMode, disk: Disk | None = None
) -> Spool:
    """Open the spool, close what the last run left open, and be ready for records.

    Raises SpoolInUse when another process has it, OSError when the folder cannot be read.
    """
    recovered = await asyncio.to_thread(recover, directory)
    spool = Spool(
        directory, recovered, disk or LocalDisk(), segment_bytes=segment_bytes, limit_bytes=limit_bytes, sync=sync
    )
    await spool.begin(recovered)
    return spool
