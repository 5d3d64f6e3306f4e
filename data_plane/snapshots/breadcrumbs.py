"""Breadcrumbs: which versions were being taken over when this pod last ended.

A mark is set before an offer is judged and removed once the pod has lived on for a while. A pod that comes up twice
with the same mark set ended twice of it: that version is quarantined, and the one before serves on. Errors that Python
can catch are no reason for marks (they are a NACK); these are for what takes the whole process: a crash in compiled
code, no memory left, a loop without end that the liveness probe ends.
Source: docs/decisions/0039-crash-breadcrumbs.md
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from switchyard_contract.seal import ShardVersion

STARTS_UNTIL_QUARANTINE = 2
MAX_QUARANTINED = 100


@dataclass(frozen=True, slots=True)
class _Mark:
    shard: str
    epoch: int
    version: int
    starts: int = 0
    """How many starts found it set."""
    is_active: bool = True
    """Taken over by the process that wrote this and not lived with long enough."""

    @property
    def names(self) -> tuple[str, ShardVersion]:
        return self.shard, ShardVersion(self.epoch, self.version)


class Breadcrumbs:
    """A small file beside the shelf, replaced whole. It must survive the process, not the machine: no sync."""

    def __init__(self, directory: Path) -> None:
        """Read what the last run left; counts this start. Raises OSError."""
        self._path = directory / "breadcrumbs.json"
        marks, quarantined = self._read()
        counted = [replace(mark, starts=mark.starts + mark.is_active, is_active=False) for mark in marks]
        guilty = [mark.names for mark in counted if mark.starts >= STARTS_UNTIL_QUARANTINE]
        self._quarantined = (quarantined + [each for each in guilty if each not in quarantined])[-MAX_QUARANTINED:]
        self._marks = {mark.names: mark for mark in counted if mark.names not in self._quarantined}
        self._write()

    @property
    def quarantined(self) -> tuple[tuple[str, ShardVersion], ...]:
        return tuple(self._quarantined)

    @property
    def marked(self) -> frozenset[tuple[str, ShardVersion]]:
        return frozenset(self._marks)

    def set(self, shard: str, at: ShardVersion) -> None:
        """This version is about to be taken over."""
        known = self._marks.get((shard, at)) or _Mark(shard, at.epoch, at.version)
        # A version that is offered again supersedes the marks of its forerunners.
        self._marks = {names: mark for names, mark in self._marks.items() if names[0] != shard or names[1] == at}
        self._marks[(shard, at)] = replace(known, is_active=True)
        self._write()

    def clear(self, shard: str, at: ShardVersion) -> None:
        """It was refused, or the pod has lived with it long enough."""
        if self._marks.pop((shard, at), None) is not None:
            self._write()

    def clear_all(self) -> None:
        """The pod stops in good order."""
        if self._marks:
            self._marks.clear()
            self._write()

    def _read(self) -> tuple[list[_Mark], list[tuple[str, ShardVersion]]]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            marks = [_Mark(**mark) for mark in content["marks"]]
            quarantined = [(str(each[0]), ShardVersion(int(each[1]), int(each[2]))) for each in content["quarantined"]]
        except FileNotFoundError:
            return [], []
        except (ValueError, TypeError, KeyError, IndexError):
            # A damaged file must not stop a start; what it knew is learned again.
            return [], []
        return marks, quarantined

    def _write(self) -> None:
        content = {
            "marks": [asdict(mark) for mark in self._marks.values()],
            "quarantined": [[shard, at.epoch, at.version] for shard, at in self._quarantined],
        }
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, json.dumps(content).encode())
        finally:
            os.close(file)
        fresh.replace(self._path)
