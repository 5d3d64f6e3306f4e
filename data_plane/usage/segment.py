"""A segment: one append-only file of the spool, its space set aside before the first record comes."""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from data_plane.usage.record import RecordKind

SUFFIX = ".segment"
SMALLEST_BYTES = 256 * 1024

ExchangeKey = tuple[str, int]
"""Exchange id and attempt."""
Entry = tuple[RecordKind, int, ExchangeKey, bytes]
"""A record that may have to be written once more: kind, sequence, whose it is, and its payload. A plain tuple, since
two are made for every exchange."""


@dataclass(slots=True, eq=False)
class Segment:
    """What the spool knows of a file without reading it."""

    number: int
    path: Path
    file: int
    capacity_bytes: int
    used_bytes: int = 0
    last_sequence: int = 0
    """Of its last FINAL; 0: none."""
    open_records: dict[ExchangeKey, Entry] = field(default_factory=dict)
    """The latest record of each exchange that was admitted here and is not final anywhere."""
    needed_until: int = 0
    """Position of the record that made the last of them needless; until it is synced they are all there is."""

    @property
    def free_bytes(self) -> int:
        return self.capacity_bytes - self.used_bytes


class Disk(Protocol):
    """What the spool asks of the operating system; a test puts one that fails in its place. Each raises OSError."""

    def create(self, path: Path, capacity_bytes: int) -> int:
        """Make a file and set its space aside; gives the descriptor."""

    def write(self, file: int, data: bytes, offset: int) -> None: ...
    def sync(self, files: Iterable[int]) -> None: ...
    def free_bytes(self, directory: Path) -> int: ...


class LocalDisk:
    """The pod's own disk."""

    def create(self, path: Path, capacity_bytes: int) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, capacity_bytes)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        sync_directory(path.parent)
        return file

    def write(self, file: int, data: bytes, offset: int) -> None:
        done = os.pwrite(file, data, offset)
        while done < len(data):
            done += os.pwrite(file, data[done:], offset + done)

    def sync(self, files: Iterable[int]) -> None:
        for file in files:
            os.fdatasync(file)

    def free_bytes(self, directory: Path) -> int:
        facts = os.statvfs(directory)
        return facts.f_bavail * facts.f_frsize


def create_segment(disk: Disk, directory: Path, number: int, capacity_bytes: int) -> Segment:
    """Make the next segment, a smaller one where the space for a whole one is gone. Raises OSError."""
    path = segment_path(directory, number)
    while True:
        try:
            return Segment(number, path, disk.create(path, capacity_bytes), capacity_bytes)
        except OSError as failure:
            if failure.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or capacity_bytes <= SMALLEST_BYTES:
                raise
            capacity_bytes = max(capacity_bytes // 2, SMALLEST_BYTES)


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:016x}{SUFFIX}"


def segment_number(path: Path) -> int:
    return int(path.name.removesuffix(SUFFIX), 16)


def sync_directory(directory: Path) -> None:
    """Make names that were added or removed last."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
