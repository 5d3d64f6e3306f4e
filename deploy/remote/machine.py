"""What this machine is called, and how `switchyard` is started on it again."""

import os
import shutil
import socket
import sys
from pathlib import Path


def machine_name() -> str:
    """A name that its owner recognizes: the host's, without its domain."""
    return (socket.gethostname().partition(".")[0] or "a machine")[:60]


def own_command() -> tuple[str, ...]:
    """How another program starts this command line: the installed script by its full path, else the module.

    A full path, because editors and desktop programs start tools with a shorter PATH than a shell's.
    """
    installed = shutil.which("switchyard")
    if installed is not None:
        return (str(Path(installed).absolute()),)
    script = Path(sys.executable).parent / ("switchyard.exe" if os.name == "nt" else "switchyard")
    if script.is_file() and os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", "deploy.command")


def has_browser() -> bool:
    """Whether a window can be opened here; over SSH and in containers it cannot."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
