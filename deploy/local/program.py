"""One child process: what is run, as whom, where it logs, how it is stopped.

Children live in a session of their own, so that a Ctrl-C reaches only the process that looks after them, and ask the
kernel to be ended with it, so that even `kill -9` of the parent leaves nothing behind.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
UNPRIVILEGED_ID = 65534
"""`nobody`, which every Linux knows; PostgreSQL refuses to run under an id without a name."""


class Identity(Enum):
    """As whom a child runs."""

    SAME = "as the user who started it"
    UNPRIVILEGED = "as an unprivileged user id; only root can ask for it"
    NAMESPACE = "as the same user, but seen as an unprivileged one inside a user namespace of its own"


@dataclass(frozen=True, slots=True)
class Program:
    """What a child process is. Valid once built; starting it is `popen_arguments`' or the supervisor's work."""

    name: str
    arguments: tuple[str, ...]
    log_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """The whole environment of the child, not an addition to the parent's."""
    identity: Identity = Identity.SAME
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 8.0
    """How long the child may take to end before it is killed."""

    def popen_arguments(self, log_descriptor: int) -> dict[str, Any]:
        """Give the keywords for `subprocess.Popen` or `asyncio.create_subprocess_exec`.

        log_descriptor: open for append, so that the log may be cut from outside while the child writes.
        """
        keywords: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": log_descriptor,
            "stderr": log_descriptor,
            "env": dict(self.environment),
            "start_new_session": True,
            "preexec_fn": _entry_steps(self.identity, os.getpid()),
        }
        if self.identity is Identity.UNPRIVILEGED:
            keywords |= {"user": UNPRIVILEGED_ID, "group": UNPRIVILEGED_ID, "extra_groups": []}
        return keywords

    def open_log(self) -> int:
        """Open the log for append; only its owner may read it."""
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def can_make_user_namespace() -> bool:
    """Say whether this machine lets us run a child in a user namespace of its own."""
    if not sys.platform.startswith("linux"):
        return False
    child = os.fork()
    if child == 0:
        try:
            _enter_user_namespace(_libc())
        except OSError:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _entry_steps(identity: Identity, parent: int) -> Callable[[], None] | None:
    """Build what the child does between fork and exec. The library is loaded before the fork, never after it."""
    if not sys.platform.startswith("linux"):
        return None
    libc = _libc()

    def enter() -> None:
        if identity is Identity.NAMESPACE:
            _enter_user_namespace(libc)
        # A change of user id clears the request, so it comes last; and the parent may be gone already.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return enter


def _enter_user_namespace(libc: ctypes.CDLL) -> None:
    user_id, group_id = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{UNPRIVILEGED_ID} {group_id} 1")
    Path("/proc/self/uid_map").write_text(f"{UNPRIVILEGED_ID} {user_id} 1")
