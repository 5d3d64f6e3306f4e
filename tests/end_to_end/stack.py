"""`switchyard up` on free ports in a folder of its own, as somebody would run it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deploy.local.ports import pick_free_ports
from tests.ports import ports_in_a_row

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 150.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running installation. `local` is what `local.json` says right now."""

    home: Path
    process: subprocess.Popen[bytes]

    @property
    def local(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "local.json").read_text())
        return found

    @property
    def gateway_url(self) -> str:
        return str(self.local["gateway_url"])

    @property
    def console_url(self) -> str:
        return str(self.local["console_url"])

    @property
    def provider_url(self) -> str:
        return str(self.local["simulated_provider_url"])

    @property
    def virtual_key(self) -> str:
        return str(self.local["virtual_key"])

    def pid(self, name: str) -> int:
        return int(self.local["pids"][name])

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the admin REST API with the first run's token; the parsed answer. Raises HTTPError."""
        return call_json(method, f"{self.console_url}/api/v1/{path}", self.local["api_token"], body)

    def ledger_of_provider(self, since_ms: int = 0) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.provider_url}/ledger?since={since_ms}", timeout=60) as answer:
            found = json.load(answer)
        return list(found["requests"])

    def kill(self, name: str) -> int:
        """Kill a process of the stack as a crash would; give back its pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_new_pid(self, name: str, old: int, limit_s: float = 60) -> int:

        def successor() -> int | None:
            # While a process is down, the file has no line for it.
            found = self.local["pids"].get(name)
            return int(found) if found is not None and int(found) != old else None

        return until(successor, limit_s, f"{name} was not restarted")

    def spools_are_empty(self) -> bool:
        """Whether every pod has handed all its events over."""
        for url in self.local["pod_admin_urls"]:
            try:
                with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                return False
            depth = next(line for line in text.splitlines() if line.startswith("switchyard_spool_records "))
            if float(depth.split()[1]) > 0:
                return False
        return True

    def is_ready(self) -> bool:
        urls = [f"{self.console_url}/readyz", *(f"{url}/readyz" for url in self.local["pod_admin_urls"])]
        return all(_answers_200(url) for url in urls)


def call_json(method: str, url: str, token: str, body: object = None) -> Any:
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def until(probe: Callable[[], _T | None], limit_s: float, failure: str, every_s: float = 0.1) -> _T:
    """Ask again and again until there is an answer that is neither None nor False; fail with a sentence in the end."""
    deadline = time.monotonic() + limit_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{failure} within {limit_s} s")
        time.sleep(every_s)


UP = (sys.executable, "-m", "deploy.command", "up")


@contextlib.contextmanager
def start_stack(home: Path, *, pods: int = 2, command: Sequence[str] = UP) -> Iterator[Stack]:
    """Start an installation and stop it again; its logs are shown when it does not come up."""
    ports = ports_in_a_row(4 + pods)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SWITCHYARD_")
        and name not in ("DATABASE_URL", "REDIS_URL", "COUNTERS_URL", "DJANGO_SETTINGS_MODULE")
    }
    environment |= {
        "SWITCHYARD_HOME": str(home),
        "SWITCHYARD_PODS": str(pods),
        "SWITCHYARD_CONSOLE_PORT": str(ports[0]),
        "SWITCHYARD_GATEWAY_PORT": str(ports[1]),
        "SWITCHYARD_GRPC_PORT": str(ports[2]),
        "SWITCHYARD_SIMULATED_PROVIDER_PORT": str(ports[3]),
        "SWITCHYARD_POD_ADMIN_PORT": str(ports[4]),
    }
    log_path = home.parent / "up.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        stack = Stack(home, process)
        until(lambda: _is_up(stack, log_path), START_LIMIT_S, "the stack did not come up")
        yield stack
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_up(stack: Stack, log_path: Path) -> bool:
    if stack.process.poll() is not None:
        raise AssertionError(
            f"`switchyard up` ended with {stack.process.returncode}:\n{_tail(log_path)}\n{_logs(stack.home)}"
        )
    return (stack.home / "local.json").exists() and "Switchyard is up" in log_path.read_text(errors="replace")


def _logs(home: Path) -> str:
    return "\n".join(f"--- {path.name}\n{_tail(path)}" for path in sorted((home / "logs").glob("*.log")))


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _answers_200(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that are free right now, for whatever a test starts beside the stack."""
    return list(pick_free_ports(count))
