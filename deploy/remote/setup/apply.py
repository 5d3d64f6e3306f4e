"""Plans become files: a backup beside each, the journal first, every file replaced in one step."""

import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.remote.own_files import write_whole
from deploy.remote.refused import Refused
from deploy.remote.setup.journal import Journal, journal_forget, journal_write
from deploy.remote.setup.plan import NEW_FOLDER, FilePlan, look, with_backup

_SECRET = re.compile(
    r"\b(sypat|sysvc|syapi)_[0-9A-Za-z]{8,}|\bsk-[A-Za-z0-9_-]{12,}|\bAIza[0-9A-Za-z_-]{20,}"
    r"|(?<=_KEY\": \")[^\"]{9,}|(?<=_TOKEN\": \")[^\"]{9,}|(?<=_KEY=)\S{9,}|(?<=_TOKEN=)\S{9,}"
)


def masked(text: str) -> str:
    """Text for a terminal: keys shortened, since people show their screens and paste what is on them."""
    return _SECRET.sub(lambda found: found.group()[:6] + "…", text)


def diff_of(plan: FilePlan) -> str:
    """A unified diff of one file, keys shortened; empty when it stays as it is."""
    before, after = plan.found.text, "" if plan.after is None else plan.after.decode()
    name = str(plan.found.path)
    lines = list(
        difflib.unified_diff(
            masked(before).splitlines(),
            masked(after).splitlines(),
            name if plan.found.content is not None else "/dev/null",
            name if plan.after is not None else "/dev/null",
            lineterm="",
        )
    )
    if plan.changes_anything and plan.after is not None and plan.found.content is not None:
        if plan.mode != plan.found.mode:
            lines.append(f"permissions {plan.found.mode:04o} -> {plan.mode:04o}")
        if not lines:
            lines.append(f"{name}: a key or line endings change")
    if plan.found.path != plan.found.real and lines:
        lines.insert(0, f"# {name} is a link to {plan.found.real}")
    return "\n".join(lines)


def write_setup(plans: Sequence[FilePlan], journal: Journal, environment: Mapping[str, str]) -> None:
    """Write what was planned. Raises Refused; what was written before stays, and the journal knows it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    ready = []
    for plan in plans:
        _check_unchanged(plan)
        if plan.found.content is not None and plan.changes_anything:
            backup = _backup_path(plan.found.real, stamp)
            _write(backup, plan.found.content, plan.found.mode)
            plan = with_backup(plan, backup)
        ready.append(plan)
    records = tuple(plan.record for plan in ready if plan.record is not None)
    journal_write(
        Journal(
            tool=journal.tool,
            url=journal.url,
            made_at=journal.made_at,
            files=records,
            key_id=journal.key_id,
            key=journal.key,
            key_expires_at_s=journal.key_expires_at_s,
            key_file=journal.key_file,
        ),
        environment,
    )
    for plan in ready:
        if plan.changes_anything and plan.after is not None:
            plan.found.real.parent.mkdir(mode=NEW_FOLDER, parents=True, exist_ok=True)
            _write(plan.found.real, plan.after, plan.mode)


def write_removal(plans: Sequence[FilePlan], journal: Journal, environment: Mapping[str, str]) -> list[Path]:
    """Undo a set-up; give back the backups that stay because a file is not exactly what it was. Raises Refused."""
    for plan in plans:
        _check_unchanged(plan)
    left: list[Path] = []
    for plan, record in zip(plans, journal.files, strict=True):
        if plan.after is None:
            with suppress(FileNotFoundError):
                plan.found.real.unlink()
        elif plan.changes_anything:
            _write(plan.found.real, plan.after, plan.mode)
        if plan.after == record.before and not plan.kept:
            # What they hold is in the file again.
            for backup in record.backups:
                with suppress(OSError):
                    backup.unlink()
            for folder in record.made_folders:
                with suppress(OSError):
                    folder.rmdir()
        else:
            left += [backup for backup in record.backups if backup.exists()]
    journal_forget(journal.tool, environment)
    return left


def _check_unchanged(plan: FilePlan) -> None:
    now = look(plan.found.path)
    if now.content != plan.found.content or now.real != plan.found.real:
        raise Refused(f"{plan.found.path} was changed meanwhile. Run it again")


def _backup_path(path: Path, stamp: str) -> Path:
    backup, number = path.with_name(f"{path.name}.switchyard-backup-{stamp}"), 1
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.switchyard-backup-{stamp}-{number}")
    return backup


def _write(path: Path, content: bytes, mode: int) -> None:
    try:
        write_whole(path, content, mode)
    except OSError as failure:
        raise Refused(f"{path} cannot be written: {failure.strerror}") from failure
