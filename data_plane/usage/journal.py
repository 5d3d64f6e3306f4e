"""The journal: records into segments, and the promise of when they last.

Records are gathered and given to the operating system in one write, in the loop's next turn; what must not happen
before waits for that (`after_write`). From then on `kill -9` takes nothing; `fdatasync` follows in the disk's thread.
What the disk refuses stays in memory, in order, and is tried again until it is taken.
Source: docs/decisions/0035-the-spool.md, 0036-spool-writes-on-the-loop.md
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import structlog

from data_plane.usage.disk_thread import DiskThread
from data_plane.usage.record import RecordKind, check_size, encode_lead, encode_record
from data_plane.usage.segment import Disk, Entry, ExchangeKey, Segment, create_segment

log = structlog.get_logger()

SyncMode = Literal["group", "strict", "relaxed"]
_GROUP_INTERVAL_S, _GROUP_RECORDS = 0.020, 1024
_RELAXED_INTERVAL_S, _RELAXED_RECORDS = 1.0, 4096


class SpoolUnavailable(Exception):
    """The disk does not take what must last; records are kept in memory and tried again."""


class Observer(Protocol):
    """Who must know where records went."""

    def placed(self, entries: Sequence[Entry], position: int, segment: Segment) -> None:
        """Records have their place, perhaps another than before. position: of the first, among all of this run."""

    def events_synced(self, last_sequence: int) -> None:
        """Every event up to this one would survive a power loss."""

    def refused(self) -> None:
        """The disk did not take records."""


class Journal:
    """Appends on the loop, syncs in the thread. segments: oldest first; the newest may be the active one."""

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        thread: DiskThread,
        observer: Observer,
        *,
        boot_id: bytes,
        segments: deque[Segment],
        next_number: int,
        synced_sequence: int,
        segment_bytes: int,
        limit_bytes: int,
        sync: SyncMode,
    ) -> None:
        self.segments = segments
        self.active: Segment | None = None
        self.position = self.synced_position = 0
        self.refusals = 0
        """How often the disk refused, since the start."""
        self.refusals_in_a_row = 0
        self._directory, self._disk, self._thread, self._observer = directory, disk, thread, observer
        self._boot_id, self._next_number, self._synced_sequence = boot_id, next_number, synced_sequence
        # With one giant segment nothing could ever be deleted.
        self._segment_bytes, self._limit_bytes = min(segment_bytes, limit_bytes // 4), limit_bytes
        self._interval_s = _RELAXED_INTERVAL_S if sync == "relaxed" else _GROUP_INTERVAL_S
        self._group = _RELAXED_RECORDS if sync == "relaxed" else _GROUP_RECORDS
        self._loop = asyncio.get_running_loop()
        self._standby: Segment | None = None
        self._unsynced: list[Entry] = []
        """Together with what is stranded behind it: the newest records of all, without a gap in their positions."""
        self._stranded: deque[Entry] = deque()
        """Not even written. Younger than everything in _unsynced."""
        self._taken: list[Entry] = []
        """What came in this turn of the loop and has no place yet: younger than everything in _unsynced. While
        something is stranded, nothing is here."""
        self._gathered: list[bytes] = []
        """Pieces of records that have their place in the active segment and are to be written together."""
        self._is_write_due = False
        self._held_back: list[Callable[[], None]] = []
        """What waits for the next write."""
        self._placed_sequence = synced_sequence
        """Of the newest event that has its place."""
        self._unsynced_segments: set[Segment] = set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._is_syncing = self._is_preparing = self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._taken_bytes = self._beyond_bytes = 0
        self._disk_free_bytes = disk.free_bytes(directory)
        self.count_space()

    @property
    def is_refused(self) -> bool:
        """The disk refused twice in a row and has not taken anything since."""
        return self.refusals_in_a_row > 1

    def has_room(self, records: int, each_bytes: int) -> bool:
        """Whether so many records besides those of this turn could still be written, as far as anybody can know."""
        active = self.active
        room = self._beyond_bytes
        if active is not None:
            room += active.capacity_bytes - active.used_bytes
        return not self.refusals_in_a_row and room >= (records + len(self._taken)) * each_bytes

    def append(self, kind: RecordKind, sequence: int, key: ExchangeKey, payload: bytes) -> int:
        """Take a record and give its position; never raises for the disk's sake. ValueError: far too large."""
        check_size(key[0], payload)
        return self.append_entry((kind, sequence, key, payload))

    def append_entry(self, entry: Entry) -> int:
        """Take a record that was taken before: the same without a look at its size."""
        self.position += 1
        if self._stranded or self.refusals_in_a_row > 1:
            self._stranded.append(entry)
        else:
            # Placed and encoded with all others of this turn, in one go: half the cost of doing it one by one.
            self._taken.append(entry)
            if not self._is_write_due:
                self._write_soon()
        return self.position

    def after_write(self, call: Callable[[], None]) -> None:
        """Have something called as soon as the operating system has every record that was taken until now.

        Calls are made in their order, all those of one turn behind one write. What the disk refuses they do not wait
        for: it is kept in memory and tried again, as ever.
        """
        self._held_back.append(call)
        if not self._is_write_due:
            self._write_soon()

    def write(self) -> None:
        """Give everything to the operating system; never raises for the disk's sake."""
        try:
            self._write_gathered()
        except OSError as failure:
            self._refused(failure)
        else:
            self._sync_soon()

    async def synced(self, position: int) -> None:
        """Return once that record would survive a power loss. Raises SpoolUnavailable while the disk refuses."""
        if position <= self.synced_position:
            return
        if self.is_refused:
            raise SpoolUnavailable("the spool's disk refuses records")
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((position, waiter))
        self._sync_now()
        await waiter

    def open_first(self) -> None:
        """Have an active segment, so that the spool's name and numbers last from the start."""
        if self.active is None and not self.refusals_in_a_row:
            try:
                self._roll()
            except OSError as failure:
                self._refused(failure)
            else:
                self._sync_now()

    def tick(self) -> None:
        """Look at the free space, try a disk that refused again. Called a few times a second."""
        if self.refusals_in_a_row and not self._is_syncing:
            self._write_again()
        self._prepare_standby()
        self._thread.submit(lambda: self._disk.free_bytes(self._directory), self._set_free, lambda _: None)

    def count_space(self) -> None:
        """To be called when segments came or went."""
        self._taken_bytes = sum(each.capacity_bytes for each in self.segments)
        if self._standby:
            self._taken_bytes += self._standby.capacity_bytes
        self._count_beyond()

    async def close(self) -> None:
        """Make everything last; the files are closed by their owner."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self.synced(self.position)
        except SpoolUnavailable:
            log.error(
                "records did not reach the disk before the stop", records=len(self._unsynced) + len(self._stranded)
            )
        await self._thread.finish()
        if self._standby is not None:
            os.close(self._standby.file)
            self._standby.path.unlink()

    # Writing.

    def _place(self, entries: Sequence[Entry], position: int) -> None:
        """Give records their places, in order. position: of the first.

        Raises OSError when another segment is needed and cannot be had; what has no place then is stranded.
        """
        segment, gathered, begun = self.active, self._gathered, 0
        for index, entry in enumerate(entries):
            kind, sequence, (exchange_id, attempt), payload = entry
            lead = encode_lead(kind, sequence, exchange_id, attempt, payload)
            size = len(lead) + len(payload)
            if segment is None or segment.used_bytes + size > segment.capacity_bytes:
                if segment is not None:
                    self._note_placed(entries[begun:index], position + begun, segment)
                begun = index
                try:
                    segment = self._roll()
                except OSError:
                    self._stranded.extend(entries[index:])
                    raise
            segment.used_bytes += size
            self._placed_sequence = sequence or self._placed_sequence
            gathered += (lead, payload)
        if segment is not None:
            self._note_placed(entries[begun:], position + begun, segment)

    def _note_placed(self, entries: Sequence[Entry], position: int, segment: Segment) -> None:
        self._unsynced += entries
        self._observer.placed(entries, position, segment)

    def _write_soon(self) -> None:
        self._is_write_due = True
        self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_write_due = False
        if self._taken:
            self.write()
        held_back, self._held_back = self._held_back, []
        for call in held_back:
            call()

    def _write_gathered(self) -> None:
        """Raises OSError; what could not be written is then to be placed anew."""
        if self._taken:
            taken, self._taken = self._taken, []
            self._place(taken, self.position - len(taken) + 1)
        self._write_placed()

    def _write_placed(self) -> None:
        """The same for what has its place already."""
        if not self._gathered:
            return
        segment = self.active
        assert segment is not None, "what is gathered has its place in the active segment"
        data = b"".join(self._gathered)
        self._disk.write(segment.file, data, segment.used_bytes - len(data))
        self._gathered.clear()
        self._unsynced_segments.add(segment)

    def _roll(self) -> Segment:
        """Go on in the next segment. Raises OSError."""
        self._write_placed()
        segment, self._standby = self._standby, None
        if segment is None:
            segment = create_segment(self._disk, self._directory, self._next_number, self._segment_bytes)
            self._next_number += 1
        # What was not synced never left the pod: should it be lost, its sequence may be given again.
        opening = encode_record(RecordKind.OPENED, self._synced_sequence + 1, "", 0, self._boot_id)
        self._disk.write(segment.file, opening, 0)
        segment.used_bytes = len(opening)
        if self.active is not None:
            self.active.capacity_bytes = self.active.used_bytes
        self.active = segment
        self.segments.append(segment)
        self._unsynced_segments.add(segment)
        self.count_space()
        self._prepare_standby()
        return segment

    def _prepare_standby(self) -> None:
        """Set the next segment's space aside before it is needed: that is when a full disk should be noticed."""
        if self._is_preparing or self._standby or self._is_closed:
            return
        if self._taken_bytes + self._segment_bytes > self._limit_bytes:
            return
        self._is_preparing = True
        number = self._next_number
        self._next_number += 1

        def prepared(segment: Segment) -> None:
            self._is_preparing = False
            if self.segments and segment.number < self.segments[-1].number:
                # The active one ran full or was refused meanwhile, and another was made. Segments are read back in the
                # order of their numbers, so this one comes too late.
                os.close(segment.file)
                segment.path.unlink()
                return
            self._standby = segment
            self.count_space()

        def failed(failure: OSError) -> None:
            self._is_preparing = False
            log.warning("no space for the next spool segment", error=failure.strerror)

        self._thread.submit(
            lambda: create_segment(self._disk, self._directory, number, self._segment_bytes), prepared, failed
        )

    def _set_free(self, free_bytes: int) -> None:
        self._disk_free_bytes = free_bytes
        self._count_beyond()

    def _count_beyond(self) -> None:
        """The room behind the active segment: asked for with every request, changed a few times a second."""
        held = self._standby.free_bytes if self._standby else 0
        self._beyond_bytes = held + max(0, min(self._limit_bytes - self._taken_bytes, self._disk_free_bytes))

    # Making records last.

    def _sync_soon(self) -> None:
        if self._is_syncing:
            return
        if len(self._unsynced) >= self._group:
            self._sync_now()
        elif self._timer is None and not self._is_closed:
            self._timer = self._loop.call_later(self._interval_s, self._sync_now)

    def _sync_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_syncing:
            return
        try:
            self._write_gathered()
        except OSError as failure:
            self._refused(failure)
            return
        if not self._unsynced_segments:
            return
        self._is_syncing = True
        segments, self._unsynced_segments = self._unsynced_segments, set()
        through, last_sequence = self.position - len(self._stranded), self._placed_sequence
        files = [segment.file for segment in sorted(segments, key=lambda each: each.number)]

        def done(_: None) -> None:
            self._is_syncing = False
            self._was_synced(through, last_sequence)

        def failed(failure: OSError) -> None:
            self._is_syncing = False
            self._refused(failure)

        self._thread.submit(lambda: self._disk.sync(files), done, failed)

    def _was_synced(self, through: int, last_sequence: int) -> None:
        younger = self.position - len(self._stranded) - len(self._taken) - through
        del self._unsynced[: max(0, len(self._unsynced) - younger)]
        self.synced_position = max(self.synced_position, through)
        if not self._stranded:
            self.refusals_in_a_row = 0
        if last_sequence > self._synced_sequence:
            self._synced_sequence = last_sequence
            self._observer.events_synced(last_sequence)
        while self._waiting and self._waiting[0][0] <= through:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)
        if self._waiting:
            self._sync_now()
        elif self._unsynced:
            self._sync_soon()

    def _refused(self, failure: OSError) -> None:
        """Write what is not known to last into a new segment; after the second refusal wait for the next tick.

        A file whose sync failed is never synced again: Linux may drop the dirty pages and call the next one a success.
        """
        self.refusals += 1
        self.refusals_in_a_row += 1
        self._observer.refused()
        # While it lasts it is tried four times a second; once a minute is told.
        if self.refusals_in_a_row <= 2 or self.refusals_in_a_row % 240 == 0:
            log.error("the spool's disk refused", error=failure.strerror, in_a_row=self.refusals_in_a_row)
        if self.active is not None:
            self.active.used_bytes -= sum(map(len, self._gathered))
            self.active.capacity_bytes = self.active.used_bytes
            self.active = None
            self.count_space()
        self._gathered.clear()
        self._unsynced_segments.clear()
        self._stranded.extendleft(reversed(self._unsynced))
        self._unsynced.clear()
        self._stranded.extend(self._taken)
        self._taken.clear()
        self._placed_sequence = self._synced_sequence
        if self.refusals_in_a_row == 1:
            self._write_again()
            return
        while self._waiting:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_exception(SpoolUnavailable("the spool's disk refuses records"))

    def _write_again(self) -> None:
        try:
            stranded, self._stranded = tuple(self._stranded), deque()
            self._place(stranded, self.position - len(stranded) + 1)
            if self.active is None:
                self._roll()
            self._write_placed()
        except OSError as failure:
            self._refused(failure)
        else:
            self._sync_now()
