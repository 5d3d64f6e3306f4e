"""Starting a coding tool headless, in a home and a project of its own."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.installing import NODE_BIN, PYTHON_BIN
from tests.clients.tools import Run

LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tool ended. exit_code: negative when it was killed, having taken too long."""

    exit_code: int
    output: str
    took_s: float


def folders(folder: Path) -> tuple[Path, Path]:
    """An empty home and an empty project."""
    home, project = folder / "home", folder / "project"
    project.mkdir(parents=True)
    home.mkdir()
    return home, project


def start(run: Run, home: Path, project: Path, limit_s: float = LIMIT_S) -> Ended:
    """Run a tool to its end; its files are there already."""
    environment = {
        "HOME": str(home),
        "PATH": f"{NODE_BIN}:{PYTHON_BIN}:{os.environ['PATH']}",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "CODEX_HOME": str(home / ".codex"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "NO_PROXY": "127.0.0.1,localhost",
        **run.environment,
    }
    (home / ".codex").mkdir(exist_ok=True)
    begun = time.monotonic()
    with _own_group(list(run.arguments), project, environment) as process:
        try:
            output = process.communicate(timeout=limit_s)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace") + f"\n(no end within {limit_s} s)"
    return Ended(process.returncode, output, time.monotonic() - begun)


@contextlib.contextmanager
def _own_group(arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Some tools leave a helper daemon behind in their group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
