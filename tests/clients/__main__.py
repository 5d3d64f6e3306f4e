"""`make test-clients`: each real coding tool creates a file through its own tool, by way of the gateway.

Installs the pinned tools from npm into `.bootstrap/clients`, starts `switchyard up` on free ports, runs each tool once
and checks the file, and that the console's API shows the exchange under the right client. Then `switchyard setup` for
four of them in a scratch home: the tool works by what it wrote, and `--remove` leaves the files as they were, to the
byte. Ends with a table.

Usage: python -m tests.clients [--only NAME] [--gateway URL --key KEY]     NAME: codex, setup-codex
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.clients.setup_proof import CASES, SetupCase, SetupProblem, set_up, undo
from tests.clients.tools import TOOLS, Run, Tool, write_files
from tests.end_to_end.stack import ROOT, Stack, start_stack, until

INSTALL_DIR = ROOT / ".bootstrap" / "clients"
LIMIT_S = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="run one tool by name")
    parser.add_argument("--gateway", help="base URL of a gateway that already runs; then the counting is not checked")
    parser.add_argument("--key", help="a virtual key for it")
    chosen = parser.parse_args()
    install_tools()
    tools = [tool for tool in TOOLS if chosen.only in (None, tool.name)]
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="switchyard-clients-")))
        running: Stack | None = None
        gateway, key = chosen.gateway, chosen.key
        if gateway is None:
            running = stack.enter_context(start_stack(home / "state"))
            gateway, key = running.gateway_url, running.virtual_key
        failures = 0
        for tool in tools:
            problem, took_s = run_tool(tool, gateway, key, home / tool.name)
            if problem is None and running is not None:
                problem = check_counted(tool.client, running)
            print(f"  {tool.name:20} {'passed' if problem is None else 'FAILED'}  {took_s:5.1f} s", flush=True)
            if problem is not None:
                failures += 1
                print("    " + problem.replace("\n", "\n    "))
        cases = [case for case in CASES if chosen.only in (None, f"setup-{case.tool}")] if running is not None else []
        for case in cases:
            assert running is not None
            problem, took_s = run_setup(case, running, home / f"setup-{case.tool}")
            print(
                f"  {'setup ' + case.tool:20} {'passed' if problem is None else 'FAILED'}  {took_s:5.1f} s", flush=True
            )
            if problem is not None:
                failures += 1
                print("    " + problem.replace("\n", "\n    "))
    print(f"{len(tools) + len(cases) - failures} passed, {failures} failed")
    return 1 if failures else 0


def install_tools() -> None:
    """Install the pinned tools once; a changed pin installs again."""
    wanted = (Path(__file__).parent / "package.json").read_text(encoding="utf-8")
    INSTALL_DIR.mkdir(parents=True, exist_ok=True)
    kept = INSTALL_DIR / "package.json"
    if (INSTALL_DIR / "node_modules" / ".bin" / "opencode").exists() and kept.read_text(encoding="utf-8") == wanted:
        return
    kept.write_text(wanted, encoding="utf-8")
    print("Installing the coding tools from npm ...", flush=True)
    command = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
    subprocess.run(command, cwd=INSTALL_DIR, check=True)


def run_tool(tool: Tool, gateway: str, key: str, folder: Path) -> tuple[str | None, float]:
    """Start a tool in an empty project; None when it made the file, else what it printed."""
    home, project = _folders(folder)
    run = tool.prepare(gateway, key)
    write_files(home, run.files)
    return _create_file(run, home, project)


def run_setup(case: SetupCase, running: Stack, folder: Path) -> tuple[str | None, float]:
    """Set a tool up, let it make a file by what was written, undo it."""
    home, project = _folders(folder)
    begun = time.monotonic()
    try:
        before = set_up(case, home, running)
        problem, _ = _create_file(case.run, home, project)
        if problem is None:
            problem = check_counted(case.client, running)
        undo(case, home, before)
    except (SetupProblem, AssertionError, OSError, subprocess.TimeoutExpired) as failure:
        return str(failure), time.monotonic() - begun
    return problem, time.monotonic() - begun


def _folders(folder: Path) -> tuple[Path, Path]:
    home, project = folder / "home", folder / "project"
    project.mkdir(parents=True)
    home.mkdir()
    return home, project


def _create_file(run: Run, home: Path, project: Path) -> tuple[str | None, float]:
    bin_dir = INSTALL_DIR / "node_modules" / ".bin"
    environment = {
        "HOME": str(home),
        "PATH": f"{bin_dir}:{os.environ['PATH']}",
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
            output = process.communicate(timeout=LIMIT_S)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0].decode(errors="replace") + f"\n(no end within {LIMIT_S} s)"
    took_s = time.monotonic() - begun
    made = project / "hello.txt"
    if made.exists() and "hello from switchyard" in made.read_text(encoding="utf-8"):
        return None, took_s
    return f"hello.txt was not made; exit {process.returncode}\n" + output[-3000:], took_s


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


def check_counted(client: str, running: Stack) -> str | None:
    """The exchange has to show up in the ledger under the tool's name, with a session."""

    def seen() -> bool:
        rows = running.api("GET", "exchanges?limit=50")["results"]
        return any(row["client"] == client and row["session"] for row in rows)

    try:
        until(seen, 20, f"no exchange of client {client} in the ledger")
    except AssertionError as failure:
        return str(failure)
    return None


if __name__ == "__main__":
    sys.exit(main())
