"""One child process: what is run, as whom, where it logs, how it is stopped.

Children live in a session of their own, so that a Ctrl-C reaches only the process that looks after them, and ask the
kernel to be ended with it, so that even `kill -9` of the parent leaves nothing behind.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

_ENTRY = (sys.executable, "-I", "-S", str(Path(__file__).with_name("entry.py")))


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
        return {
            "stdin": subprocess.DEVNULL,
            "stdout": log_descriptor,
            "stderr": log_descriptor,
            "env": dict(self.environment),
            "start_new_session": True,
        }

    def command_line(self) -> tuple[str, ...]:
        """Give what is started: `entry.py`, which becomes the program; where that is moot, the program itself."""
        if not sys.platform.startswith("linux"):
            return self.arguments
        program, *rest = self.arguments
        found = shutil.which(program, path=self.environment.get("PATH", os.defpath)) or program
        return (*_ENTRY, self.identity.name, str(os.getpid()), found, *rest)

    def open_log(self) -> int:
        """Open the log for append; only its owner may read it."""
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def can_make_user_namespace() -> bool:
    """Say whether this machine lets us run a child in a user namespace of its own."""
    if not sys.platform.startswith("linux"):
        return False
    tried = subprocess.run([*_ENTRY, "probe", "0"], check=False, capture_output=True)
    return tried.returncode == 0
