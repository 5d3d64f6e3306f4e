"""What a set-up, or its undoing, would do to each file: worked out before anything is asked or written."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.remote.refused import Refused
from deploy.remote.setup.document import Change, Unreadable
from deploy.remote.setup.edit import Format, is_empty, merged, unmerged
from deploy.remote.setup.journal import FileRecord, digest

LARGEST_FILE = 4 * 1024 * 1024
NEW_FILE, NEW_FOLDER = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is. path: as people name it; real: links followed. content None: there is none."""

    path: Path
    real: Path
    content: bytes | None = field(repr=False)
    mode: int = NEW_FILE

    @property
    def text(self) -> str:
        return "" if self.content is None else self.content.decode()


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What becomes of a file. after None: it goes. record: what to remember; None: nothing any more.

    kept: entries of ours that the person has changed since, and that stay.
    """

    found: Found
    after: bytes | None = field(repr=False)
    mode: int
    record: FileRecord | None
    kept: tuple[tuple[str, ...], ...] = ()

    @property
    def changes_anything(self) -> bool:
        return self.after != self.found.content or (self.after is not None and self.mode != self.found.mode)


def look(path: Path) -> Found:
    """Read one of a tool's files, following links. Raises Refused for what is no plain file of this person."""
    try:
        real = path.resolve(strict=False)
        facts = real.stat()
    except FileNotFoundError:
        return Found(path, path.resolve(strict=False), None)
    except (OSError, RuntimeError) as failure:
        raise Refused(f"{path} cannot be read: {getattr(failure, 'strerror', None) or failure}") from failure
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(f"{_named(path, real)} is no plain file")
    if os.name == "posix" and facts.st_uid != os.geteuid():
        raise Refused(f"{_named(path, real)} belongs to somebody else")
    if facts.st_size > LARGEST_FILE:
        raise Refused(f"{_named(path, real)} is too large to be a configuration file")
    try:
        content = real.read_bytes()
        content.decode()
    except OSError as failure:
        raise Refused(f"{path} cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as failure:
        raise Refused(f"{path} is not in UTF-8; nothing was written") from failure
    return Found(path, real, content, stat.S_IMODE(facts.st_mode))


def plan_setup(
    found: Found, kind: Format, changes: Sequence[Change], former: FileRecord | None, *, holds_secret: bool
) -> FilePlan:
    """Work out a file with our entries in it. Raises Refused.

    A former set-up is undone first, in thought: what it put there and is no longer wanted goes, and what was there
    before it stays known.
    """
    base, base_mode = found.content, found.mode
    if former is not None:
        undone = plan_removal(found, former)
        base = undone.after
        base_mode = former.mode_before if former.before is not None else found.mode
    text = "" if base is None else base.decode()
    try:
        after_text, entries = merged(text, kind, changes)
    except Unreadable as failure:
        raise _broken(found.path, failure) from failure
    mode = NEW_FILE if base is None else base_mode
    if holds_secret:
        # A key must not be readable by others, whatever the file was before.
        mode &= ~0o077
    after = after_text.encode()
    if after == (base or b"") and base is not None:
        after = base
    record = FileRecord(
        path=found.real,
        kind=kind,
        before=base,
        mode_before=base_mode,
        after_digest=digest(after),
        entries=tuple(entries),
        backups=() if former is None else former.backups,
        made_folders=_missing_folders(found.real) if former is None else former.made_folders,
    )
    return FilePlan(found, after, mode, record)


def plan_removal(found: Found, former: FileRecord) -> FilePlan:
    """Work out a file without our entries: as it was, to the byte, where nobody touched it since. Raises Refused."""
    if found.content is None:
        return FilePlan(found, None, found.mode, None)
    if former.is_as_we_left_it(found.content):
        return FilePlan(found, former.before, former.mode_before, None)
    try:
        text, kept = unmerged(found.text, former.kind, former.entries)
        is_left_empty = former.before is None and is_empty(text, former.kind)
    except Unreadable as failure:
        raise _broken(found.path, failure) from failure
    # The person may have changed the permissions too; ours were only ever tighter.
    mode = former.mode_before if former.before is not None and not kept else found.mode
    return FilePlan(found, None if is_left_empty else text.encode(), mode, None, tuple(kept))


def with_backup(plan: FilePlan, backup: Path) -> FilePlan:
    assert plan.record is not None
    return replace(plan, record=replace(plan.record, backups=(*plan.record.backups, backup)))


def _missing_folders(path: Path) -> tuple[Path, ...]:
    missing = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return tuple(missing)


def _broken(path: Path, failure: Unreadable) -> Refused:
    return Refused(f"{path} cannot be merged: {failure}. Mend it first; nothing was written")


def _named(path: Path, real: Path) -> str:
    return str(path) if path == real else f"{path} leads to {real}, which"
