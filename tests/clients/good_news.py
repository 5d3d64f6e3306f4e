"""What is left, shown by the tools themselves: `make test-clients ARGS=good-news`.

Codex reads a budget from our answers into its own meter, and writes that into its session file. Claude Code, in a
terminal, runs `switchyard statusline` with what its settings say and shows the line.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from switchyard_contract.virtual_key import KeyToken
from tests.clients.installing import NODE_BIN, install_tools
from tests.clients.refusals import PLENTY, Gateway, gateway
from tests.clients.starting import folders, start
from tests.clients.tools import TOOLS, write_files
from tests.end_to_end.stack import ROOT

SPENT_CALLS = 40
"""Of ten cents each: $4.00 of $30.00."""
LINE = re.compile(r"\$2\d\.\d\d of \$30\.00 a day left \(plenty\) · \S+")
SHOWN_WITHIN_S = 60


def main() -> int:
    install_tools()
    failures = 0
    with (
        tempfile.TemporaryDirectory(prefix="switchyard-good-news-") as home,
        gateway(Path(home) / "gateway") as running,
    ):
        key = running.key_for(PLENTY)
        for _ in range(SPENT_CALLS):
            running.spend(key)
        running.settle()
        for name, problem in (
            ("codex meter", meter_of_codex(running, key, Path(home) / "codex")),
            ("claude status bar", bar_of_claude_code(running, key, Path(home) / "claude")),
        ):
            print(f"  {name:18} {'passed' if not problem else 'FAILED'}\n      {problem}".rstrip(), flush=True)
            failures += bool(problem)
    return 1 if failures else 0


def meter_of_codex(running: Gateway, key: KeyToken, folder: Path) -> str:
    """Empty, or what is wrong with what Codex understood."""
    home, project = folders(folder)
    codex = next(tool for tool in TOOLS if tool.name == "codex")
    run = codex.prepare(running.url, key.text)
    write_files(home, run.files)
    ended = start(run, home, project)
    meters = [found for path in (home / ".codex").rglob("*.jsonl") for found in _meters(path)]
    if not meters:
        return f"no meter in its session file; exit {ended.exit_code}\n{ended.output[-1000:]}"
    print(f"      codex: {meters[0]}")
    right = 13 <= meters[0]["used_percent"] < 20 and meters[0]["window_minutes"] == 24 * 60
    return "" if right and meters[0]["resets_at"] > time.time() else f"it understood {meters[0]}"


def _meters(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        limits = json.loads(line).get("payload", {}).get("rate_limits") if "rate_limits" in line else None
        if limits and limits.get("primary"):
            yield limits["primary"]


def bar_of_claude_code(running: Gateway, key: KeyToken, folder: Path) -> str:
    """Empty, or what its terminal showed instead of the line."""
    home, project = folders(folder)
    command = f"{sys.executable} -m deploy.command statusline"
    settings = {
        # What `switchyard setup` writes; the command is not installed here, so it needs its path.
        "env": {
            "ANTHROPIC_BASE_URL": running.url,
            "ANTHROPIC_AUTH_TOKEN": key.text,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}",
        },
        "statusLine": {"type": "command", "command": command},
    }
    # As if its questions at the first start had been answered.
    answered = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "projects": {str(project): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }
    files = {".claude/settings.json": json.dumps(settings), ".claude.json": json.dumps(answered)}
    write_files(home, files)
    shown = ""
    with _terminal(("claude", "--model", "claude-sonnet-4-6"), home, project) as screen:
        deadline_s = time.monotonic() + SHOWN_WITHIN_S
        while time.monotonic() < deadline_s:
            if not select.select([screen], [], [], 0.2)[0]:
                continue
            with contextlib.suppress(OSError):
                shown += os.read(screen, 65536).decode(errors="replace")
            found = LINE.search(" ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown).split()))
            if found is not None:
                print(f"      claude code: {found[0]}")
                return ""
    return f"the line was not shown:\n{shown[-1500:]!r}"


@contextlib.contextmanager
def _terminal(arguments: tuple[str, ...], home: Path, project: Path) -> Iterator[int]:
    """A tool in a terminal of its own; gives the screen's file descriptor, and ends the tool."""
    environment = {
        "HOME": str(home),
        "PATH": f"{NODE_BIN}:{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "NO_PROXY": "127.0.0.1,localhost",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execvpe(arguments[0], arguments, environment)
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    try:
        yield screen
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(screen)


if __name__ == "__main__":
    sys.exit(main())
