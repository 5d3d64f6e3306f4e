"""`switchyard setup` for real: sign in, set a tool up in a scratch home, let the tool work, undo it to the byte."""

import http.cookiejar
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.clients.tools import PROMPT, Run, write_files
from tests.end_to_end.stack import Stack, until

USER_CODE = re.compile(r"Enter\s+([A-Z]{4}-[A-Z]{4})")
COMMAND_LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class SetupCase:
    """A tool, how it is started once it is set up, and files of its own that were there before, oddly written."""

    tool: str
    client: str
    run: Run


CASES: tuple[SetupCase, ...] = (
    SetupCase(
        "claude-code",
        "claude-code",
        Run(
            ("claude", "-p", PROMPT, "--permission-mode", "acceptEdits", "--allowedTools", "Write"),
            {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
            {".claude/settings.json": '{ "env": {"FOO":"1"},\n\n    "includeCoAuthoredBy": false}'},
        ),
    ),
    SetupCase(
        "codex",
        "codex",
        Run(
            ("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", PROMPT),
            {},
            {
                ".codex/config.toml": '# mine\nmodel = "o3"   # I like it\n\n[tui]\nnotifications = false\n'
                "\n# a provider of my own\n[model_providers.mine]\nname='Mine'\nbase_url='http://127.0.0.1:1/v1'\n"
            },
        ),
    ),
    SetupCase(
        "gemini-cli",
        "gemini-cli",
        Run(
            ("gemini", "-p", PROMPT, "--yolo", "--skip-trust"),
            {"GEMINI_TELEMETRY_ENABLED": "false"},
            {
                ".gemini/.env": "# mine\nexport FOO='bar'\nGEMINI_MODEL=gemini-old",
                ".gemini/settings.json": '{\n\t// no statistics\n\t"privacy": {"usageStatisticsEnabled": false}\n}\n',
            },
        ),
    ),
    SetupCase(
        "opencode",
        "opencode",
        Run(
            ("opencode", "run", PROMPT),
            {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
            {".config/opencode/opencode.jsonc": '{\n  "autoupdate": false, // never\n  "share": "disabled",\n}\n'},
        ),
    ),
)


class SetupProblem(Exception):
    """A step of the proof did not do what it should."""


def sign_in(home: Path, running: Stack) -> None:
    """Run `switchyard login` in a home, and approve it in the console as the first run's admin. Raises SetupProblem."""
    command = [sys.executable, "-m", "deploy.command", "login", "--url", running.console_url, "--no-browser"]
    told = home / "login.log"
    with told.open("wb") as log:
        process = subprocess.Popen(command, env=bare_environment(home), stdout=log, stderr=log, cwd=home)
    try:
        code = until(lambda: USER_CODE.search(told.read_text()), 30, "no code was shown")
        _approve(running, code[1])
        if process.wait(COMMAND_LIMIT_S) != 0:
            raise SetupProblem(f"login failed:\n{told.read_text()}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def set_up(case: SetupCase, home: Path, running: Stack) -> dict[str, bytes]:
    """Write the files that were there before and merge into them; give back what they held. Raises SetupProblem."""
    write_files(home, case.run.files)
    before = {name: (home / name).read_bytes() for name in case.run.files}
    sign_in(home, running)
    first = _switchyard(home, "setup", case.tool, "--yes")
    if "go" not in first or "@@" not in first:
        raise SetupProblem(f"no diff was shown:\n{first}")
    again = _switchyard(home, "setup", case.tool, "--yes")
    if "nothing to change" not in again:
        raise SetupProblem(f"the second time was not the same:\n{again}")
    return before


def undo(case: SetupCase, home: Path, before: Mapping[str, bytes]) -> None:
    """Take it out again; every file must be as it was, to the byte, and nothing of ours beside it."""
    _switchyard(home, "setup", case.tool, "--remove", "--yes")
    for name, content in before.items():
        now = (home / name).read_bytes()
        if now != content:
            raise SetupProblem(f"{name} is not as it was:\n{now.decode()!r}\n{content.decode()!r}")
        left = [path.name for path in (home / name).parent.iterdir() if "switchyard" in path.name]
        if left:
            raise SetupProblem(f"left beside {name}: {left}")


def bare_environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "CODEX_HOME": str(home / ".codex"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _switchyard(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.command", *arguments],
        env=bare_environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )
    if done.returncode != 0:
        raise SetupProblem(f"switchyard {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _approve(running: Stack, code: str) -> None:
    """What a person does in the browser."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    console, local = running.console_url, running.local

    def page(path: str) -> str:
        with opener.open(f"{console}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def send(path: str, body: str, **fields: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', body)
        if token is None:
            raise SetupProblem(f"{path} shows no form:\n{body[:500]}")
        form = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token[1]}).encode()
        request = urllib.request.Request(f"{console}{path}", form, {"Referer": f"{console}{path}"})
        with opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())

    send("/sign-in", page("/sign-in"), email=local["admin_email"], password=local["admin_password"])
    body = page(f"/device?code={code}")
    organization = re.search(r'name="organization" value="([^"]+)"', body)
    if organization is None:
        raise SetupProblem(f"the code was not found:\n{body[-2000:]}")
    done = send("/device", body, code=code, organization=organization[1], lifetime=str(24 * 3600), decision="approve")
    if "is signed in" not in done:
        raise SetupProblem(f"it was not approved:\n{done[-2000:]}")
