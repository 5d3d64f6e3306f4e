"""Which former runs of a spool left all they wrote: what none of them wrote down never went to a provider.

A request goes out only behind its record's write (`Spool.admitted`), and no kill takes what was written. Three things
do: the machine loses its power, a record is damaged, or the disk had refused. So beside the segments lies a file that
names the kernel that ran and the first run since which none of the three happened. It is not synced: whatever loses it
ends the kernel that it names.
Source: docs/decisions/0178-nothing-was-sent.md
"""

from dataclasses import dataclass
from pathlib import Path

_NAME = "whole-since"
_KERNEL = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class FormerRuns:
    """Runs of one spool, by their numbers. `run`: the one that speaks, of which nothing is said."""

    run: int
    whole_since: int
    """All from here on, up to the one that speaks, left everything they wrote. Equal to it: none did."""


def judge_former_runs(directory: Path, *, run: int, is_damaged: bool) -> FormerRuns:
    """Say which runs before this one are whole, and write it down for the next. Blocking; raises OSError.

    run: of this one. is_damaged: something of what lies here cannot be read.
    """
    kernel = _kernel_now()
    since = _read(directory, kernel)
    if since is None or since > run or is_damaged:
        since = run
        forget_former_runs(directory)
        if kernel:
            _write(directory, f"{kernel} {since}\n")
    return FormerRuns(run, since)


def forget_former_runs(directory: Path) -> None:
    """Have the next run say nothing of those before it. Raises OSError."""
    (directory / _NAME).unlink(missing_ok=True)


def _write(directory: Path, text: str) -> None:
    fresh = directory / f"{_NAME}.new"
    fresh.write_text(text, encoding="ascii")
    fresh.replace(directory / _NAME)


def _read(directory: Path, kernel: str) -> int | None:
    """The first whole run, as the last one left it; None: this kernel knows of none."""
    try:
        known, _, since = (directory / _NAME).read_text(encoding="ascii").strip().partition(" ")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    is_number = since.isascii() and since.isdigit()
    return int(since) if kernel and known == kernel and is_number else None


def _kernel_now() -> str:
    """Names the time between two starts of this machine; empty where the system has no name for it."""
    try:
        return _KERNEL.read_text(encoding="ascii").strip()
    except OSError:
        return ""
