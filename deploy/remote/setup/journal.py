"""What `switchyard setup` did to a tool's files: enough to undo it to the byte, in a private file per tool."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.remote.own_files import needed_folder, read_private, remove, write_private
from deploy.remote.refused import Refused
from deploy.remote.setup.document import ABSENT, Entry
from deploy.remote.setup.edit import Format

VERSION = 1


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file. path: where its bytes are, links followed. before None: there was no file.

    mode_before: its permissions, to be put back. made_folders: those that did not exist, the innermost first.
    """

    path: Path
    kind: Format
    before: bytes | None = field(repr=False)
    mode_before: int
    after_digest: str
    entries: tuple[Entry, ...] = field(repr=False)
    backups: tuple[Path, ...] = ()
    made_folders: tuple[Path, ...] = ()

    def is_as_we_left_it(self, content: bytes | None) -> bool:
        return content is not None and digest(content) == self.after_digest


@dataclass(frozen=True, slots=True)
class Journal:
    """One tool's set-up. key_id, key_expires_at_s: of the static key it was given, if any."""

    tool: str
    url: str
    made_at: str
    files: tuple[FileRecord, ...]
    key_id: str = ""
    key: str = field(default="", repr=False)
    key_expires_at_s: int = 0
    key_file: Path | None = None


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def journal_read(tool: str, environment: Mapping[str, str]) -> Journal | None:
    """What was done for a tool, None when nothing was. Raises Refused."""
    path = _path(tool, environment)
    text = read_private(path)
    if text is None:
        return None
    try:
        raw = json.loads(text)
        if raw["version"] != VERSION:
            raise Refused(f"{path} was written by another version of switchyard")
        return Journal(
            tool=raw["tool"],
            url=raw["url"],
            made_at=raw["made_at"],
            files=tuple(_file_of(file) for file in raw["files"]),
            key_id=raw["key_id"],
            key=raw["key"],
            key_expires_at_s=raw["key_expires_at_s"],
            key_file=None if raw["key_file"] is None else Path(raw["key_file"]),
        )
    except (ValueError, KeyError, TypeError) as failure:
        raise Refused(f"{path} is damaged; the backups lie beside the tool's own files") from failure


def journal_write(journal: Journal, environment: Mapping[str, str]) -> None:
    raw = {
        "version": VERSION,
        "tool": journal.tool,
        "url": journal.url,
        "made_at": journal.made_at,
        "files": [_raw_file(file) for file in journal.files],
        "key_id": journal.key_id,
        "key": journal.key,
        "key_expires_at_s": journal.key_expires_at_s,
        "key_file": None if journal.key_file is None else str(journal.key_file),
    }
    write_private(_path(journal.tool, environment), json.dumps(raw, indent=1) + "\n")


def journal_forget(tool: str, environment: Mapping[str, str]) -> None:
    remove(_path(tool, environment))


def lock_path(tool: str, environment: Mapping[str, str]) -> Path:
    return _path(tool, environment).with_suffix(".lock")


def _path(tool: str, environment: Mapping[str, str]) -> Path:
    return needed_folder(environment) / "setup" / f"{tool}.json"


def _raw_file(file: FileRecord) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "kind": file.kind.value,
        "before": None if file.before is None else base64.b64encode(file.before).decode(),
        "mode_before": file.mode_before,
        "after_digest": file.after_digest,
        "entries": [
            {
                "path": list(entry.path),
                "before": _raw_value(entry.before),
                "after": _raw_value(entry.after),
                "made_parents": [list(parent) for parent in entry.made_parents],
            }
            for entry in file.entries
        ],
        "backups": [str(path) for path in file.backups],
        "made_folders": [str(path) for path in file.made_folders],
    }


def _file_of(raw: Mapping[str, Any]) -> FileRecord:
    return FileRecord(
        path=Path(raw["path"]),
        kind=Format(raw["kind"]),
        before=None if raw["before"] is None else base64.b64decode(raw["before"]),
        mode_before=raw["mode_before"],
        after_digest=raw["after_digest"],
        entries=tuple(
            Entry(
                tuple(entry["path"]),
                _value_of(entry["before"]),
                _value_of(entry["after"]),
                tuple(tuple(parent) for parent in entry["made_parents"]),
            )
            for entry in raw["entries"]
        ),
        backups=tuple(Path(path) for path in raw["backups"]),
        made_folders=tuple(Path(path) for path in raw["made_folders"]),
    )


def _raw_value(value: Any) -> dict[str, Any]:
    # TOML has dates, which JSON has not; they come back as text, which is not worth more here.
    return {} if value is ABSENT else {"is": value if _is_json(value) else str(value)}


def _value_of(raw: Mapping[str, Any]) -> Any:
    return raw.get("is", ABSENT)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
