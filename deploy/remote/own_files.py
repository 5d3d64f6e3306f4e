"""Files of the command line's own: private to the person, written whole or not at all, locked while they change."""

import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.remote.refused import Refused

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
LOCK_LIMIT_S = 40.0


def home_of(environment: Mapping[str, str]) -> Path | None:
    """The person's home; None where the environment names none."""
    text = environment.get("HOME") or environment.get("USERPROFILE")
    return Path(text) if text else None


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """Where the command line keeps what it knows. None: nowhere, so nothing is known."""
    if sys.platform == "win32" and environment.get("APPDATA"):
        return Path(environment["APPDATA"]) / "switchyard"
    configured = environment.get("XDG_CONFIG_HOME")
    if configured:
        return Path(configured) / "switchyard"
    home = home_of(environment)
    return None if home is None else home / ".config" / "switchyard"


def needed_folder(environment: Mapping[str, str]) -> Path:
    """The same; raises Refused where there is none."""
    folder = folder_of(environment)
    if folder is None:
        raise Refused("neither HOME nor XDG_CONFIG_HOME is set, so there is no place to keep anything")
    return folder


def read_private(path: Path) -> str | None:
    """The text of a private file, None where there is none. Raises Refused when others could read it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
                raise Refused(f"{path} can be read by others. Run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as failure:
        raise Refused(f"{path} cannot be read: {getattr(failure, 'strerror', None) or failure}") from failure


def write_private(path: Path, text: str) -> None:
    """Write a file that only the person may read."""
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        write_whole(path, text.encode(), PRIVATE_FILE)
    except OSError as failure:
        raise Refused(f"{path} cannot be written: {failure.strerror}") from failure


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, so that nobody ever reads half of it. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Only now, and not by the umask: until here it was private, afterwards it is as it was.
        beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock among processes of this person. Raises Refused when another one keeps it for too long."""
    try:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    except OSError as failure:
        raise Refused(f"{path} cannot be written: {failure.strerror}") from failure
    try:
        deadline = time.monotonic() + LOCK_LIMIT_S
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise Refused(f"another `switchyard` has held {path} for {LOCK_LIMIT_S:.0f} s")
            time.sleep(0.02)
        yield
    finally:
        # Closing gives the lock back, also when the process dies.
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
