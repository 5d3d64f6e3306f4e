"""Disks that fail on demand, and that know what of a file would survive a power loss."""

import errno
import threading
from collections.abc import Iterable
from pathlib import Path

from data_plane.usage.segment import LocalDisk


class FailingDisk(LocalDisk):
    """The pod's disk with a fault switch for each operation; counts how often a fault was met."""

    def __init__(self) -> None:
        self.sync_faults = 0
        """So many syncs to come fail."""
        self.write_faults = 0
        self.is_full = False
        self.may_prepare = threading.Event()
        """While it is clear, segments made ahead by the spool's thread are slow to come."""
        self.may_prepare.set()
        self.free = 1 << 40
        self.written: dict[int, int] = {}
        self.synced: dict[int, int] = {}
        """Descriptor to the end of what the last sync covered."""
        self.paths: dict[int, Path] = {}

    def create(self, path: Path, capacity_bytes: int) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        if threading.current_thread() is not threading.main_thread():
            self.may_prepare.wait(30)
        file = super().create(path, capacity_bytes)
        self.paths[file], self.written[file], self.synced[file] = path, 0, 0
        return file

    def write(self, file: int, data: bytes, offset: int) -> None:
        if self.write_faults:
            self.write_faults -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().write(file, data, offset)
        self.written[file] = offset + len(data)

    def sync(self, files: Iterable[int]) -> None:
        files = list(files)
        ends = {file: self.written[file] for file in files}
        if self.sync_faults:
            self.sync_faults -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().sync(files)
        self.synced.update(ends)

    def free_bytes(self, directory: Path) -> int:
        return 0 if self.is_full else self.free
