"""Breadcrumbs: which versions were being taken over when this pod last ended.

A mark is set before an offer is judged, and it stays on probation until the pod has lived on for a while. A version is
quarantined when two runs ended while they judged it, or while it was on probation and an older one is there to serve.
The second needs that condition because a pod may be killed for reasons of its own; the first is no coincidence.

Errors that Python can catch leave no marks (they are a NACK); these are for what takes the whole process: a crash in
compiled code, no memory left, a loop without end that the liveness probe ends.
Source: docs/decisions/0039-crash-breadcrumbs.md
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from switchyard_contract.seal import ShardVersion

ENDINGS_UNTIL_QUARANTINE = 2
MAX_QUARANTINED = 100

Version = tuple[str, ShardVersion]
"""A shard's name and where it stands."""


@dataclass(frozen=True, slots=True)
class _Mark:
    shard: str
    epoch: int
    version: int
    phase: Literal["judging", "probation", "idle"]
    """idle: left by an earlier run, not taken over by this one."""
    endings: int = 0
    """Runs that ended while this version was at work."""

    @property
    def names(self) -> Version:
        return self.shard, ShardVersion(self.epoch, self.version)


class Breadcrumbs:
    """A small file beside the shelf, replaced whole. It must survive the process, not the machine: no sync."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError when the file cannot be read; a damaged one is taken for an empty one."""
        self._path = directory / "breadcrumbs.json"
        self._marks: dict[Version, _Mark] = {}
        self._quarantined: list[Version] = []
        self._read()

    @property
    def quarantined(self) -> frozenset[Version]:
        return frozenset(self._quarantined)

    @property
    def marked(self) -> frozenset[Version]:
        return frozenset(self._marks)

    def count_start(self, has_older: Callable[[str, ShardVersion], bool]) -> None:
        """Draw the conclusions from how the last run ended; once per start. Raises OSError.

        has_older: whether an older version of the shard could serve in its place.
        """
        judged = {names for names, mark in self._marks.items() if mark.phase == "judging"}
        # What ended inside the reader ended there of what it was reading, and of nothing else.
        at_work = judged or {names for names, mark in self._marks.items() if mark.phase == "probation"}
        for names in at_work:
            mark = self._marks[names]
            endings = mark.endings + 1
            if endings >= ENDINGS_UNTIL_QUARANTINE and (names in judged or has_older(*names)):
                self._quarantined = [*self._quarantined, names][-MAX_QUARANTINED:]
                del self._marks[names]
            else:
                self._marks[names] = replace(mark, endings=endings)
        self._marks = {names: replace(mark, phase="idle") for names, mark in self._marks.items()}
        self._write()

    def judging(self, shard: str, at: ShardVersion) -> None:
        """This version is about to be read; marks of its forerunners are superseded. Raises OSError."""
        known = self._marks.get((shard, at)) or _Mark(shard, at.epoch, at.version, "judging")
        # A newer version's endings are kept: a pod that died of it before the shelf had the older one reads that first.
        self._marks = {
            names: mark for names, mark in self._marks.items() if names[0] != shard or at.is_before(names[1])
        }
        self._marks[(shard, at)] = replace(known, phase="judging")
        self._write()

    def adopted(self, shard: str, at: ShardVersion) -> None:
        """It was read without harm and is in force: on probation. Raises OSError."""
        mark = self._marks.get((shard, at))
        if mark is not None:
            self._marks[(shard, at)] = replace(mark, phase="probation")
            self._write()

    def clear(self, shard: str, at: ShardVersion) -> None:
        """It was refused, or the pod has lived with it long enough. Raises OSError."""
        if self._marks.pop((shard, at), None) is not None:
            self._write()

    def clear_all(self) -> None:
        """The pod stops in good order. Raises OSError."""
        if self._marks:
            self._marks.clear()
            self._write()

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            marks = [_Mark(**mark) for mark in content["marks"]]
            quarantined = [(str(each[0]), ShardVersion(int(each[1]), int(each[2]))) for each in content["quarantined"]]
        except FileNotFoundError:
            return
        except (ValueError, TypeError, KeyError, IndexError):
            # What a damaged file knew is learned again; it must not stop a start.
            return
        self._marks, self._quarantined = {mark.names: mark for mark in marks}, quarantined

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
