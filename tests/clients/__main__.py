"""`make test-clients`: each real coding tool creates a file through its own tool, by way of the gateway.

Installs the pinned tools from npm into `.bootstrap/clients`, starts `switchyard up` on free ports, runs each tool once
and checks the file, and that the console's API shows the exchange under the right client. Then `switchyard setup` for
four of them in a scratch home: the tool works by what it wrote, and `--remove` leaves the files as they were, to the
byte. Ends with a table.

`make test-clients ARGS=refusals`: what each tool and SDK does when it is told no (docs/clients/refusals.md).
`ARGS=good-news`: what is left, in Codex's own meter and Claude Code's status bar.

Usage: python -m tests.clients [--only NAME] [--gateway URL --key KEY]     NAME: codex, setup-codex
       python -m tests.clients refusals [--only CLIENT] [--case CASE] [--markdown]
       python -m tests.clients good-news
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clients import good_news, refusals
from tests.clients.installing import install_tools
from tests.clients.setup_proof import CASES, SetupCase, SetupProblem, set_up, undo
from tests.clients.starting import folders, start
from tests.clients.tools import TOOLS, Run, Tool, write_files
from tests.end_to_end.stack import Stack, start_stack, until


def main() -> int:
    if sys.argv[1:2] == ["refusals"]:
        return refusals.main(sys.argv[2:])
    if sys.argv[1:2] == ["good-news"]:
        return good_news.main()
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


def run_tool(tool: Tool, gateway: str, key: str, folder: Path) -> tuple[str | None, float]:
    """Start a tool in an empty project; None when it made the file, else what it printed."""
    home, project = folders(folder)
    run = tool.prepare(gateway, key)
    write_files(home, run.files)
    return _create_file(run, home, project)


def run_setup(case: SetupCase, running: Stack, folder: Path) -> tuple[str | None, float]:
    """Set a tool up, let it make a file by what was written, undo it."""
    home, project = folders(folder)
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


def _create_file(run: Run, home: Path, project: Path) -> tuple[str | None, float]:
    ended = start(run, home, project)
    made = project / "hello.txt"
    if made.exists() and "hello from switchyard" in made.read_text(encoding="utf-8"):
        return None, ended.took_s
    return f"hello.txt was not made; exit {ended.exit_code}\n" + ended.output[-3000:], ended.took_s


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
