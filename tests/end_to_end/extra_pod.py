"""One more pod beside those of a running stack, with its own port, its own disk and surroundings of the test's choice.

Its environment is made by the code that makes it for `switchyard up`.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.installation import open_installation
from deploy.local.surroundings import StoreUrls, pod_environment, read_local_settings
from tests.end_to_end.stack import ROOT, Stack, free_ports, until

READY_LIMIT_S = 30.0
ANTHROPIC = {"anthropic-version": "2023-06-01", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod said, whatever the status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class ExtraPod:
    """A pod that the test started. id: its name in the fleet."""

    id: str
    gateway_url: str
    admin_url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    def readiness(self) -> tuple[int, dict[str, Any]]:
        answer = ask(f"{self.admin_url}/readyz")
        return answer.status, answer.json()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.admin_url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    def is_ready(self) -> bool:
        try:
            return self.readiness()[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def message(self, key: str, **headers: str) -> Answer:
        """Ask for a short answer in the Anthropic protocol."""
        body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
        return ask(f"{self.gateway_url}/v1/messages", body, {**ANTHROPIC, "authorization": f"Bearer {key}", **headers})


def ask(url: str, body: object = None, headers: Mapping[str, str] | None = None, method: str = "") -> Answer:
    """One request; an answer with an error status is an answer."""
    request = urllib.request.Request(
        url,
        method=method or ("GET" if body is None else "POST"),
        data=None if body is None else json.dumps(body).encode(),
        headers=dict(headers or {}),
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as failure:
        with failure:
            found = {name.lower(): value for name, value in failure.headers.items()}
            return Answer(failure.code, found, failure.read())


@contextlib.contextmanager
def extra_pod(
    stack: Stack,
    name: str,
    *,
    grpc_address: str = "",
    counters_url: str = "",
    tree: Path = ROOT,
) -> Iterator[ExtraPod]:
    """A pod that is ready when the block begins and gone when it ends.

    name: also of its disk, which outlives it. grpc_address, counters_url: where other than the stack's own. tree: the
    source that it runs.
    """
    gateway_port, admin_port = free_ports(2)
    local = stack.local
    settings = read_local_settings(
        {
            "SWITCHYARD_HOME": str(stack.home),
            "SWITCHYARD_GATEWAY_PORT": str(gateway_port),
            "SWITCHYARD_POD_ADMIN_PORT": str(admin_port),
        }
    )
    stores = StoreUrls(local["database_url"], local["redis_url"], counters_url or local["counters_url"])
    state = stack.home.parent / "extra-pods" / name
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    surroundings = {
        **pod_environment(settings, stores, open_installation(settings.secrets_folder), plain(os.environ), 0),
        "SWITCHYARD_POD_ID": name,
        "SWITCHYARD_POD_STATE": str(state),
        "SWITCHYARD_CONTROL_GRPC": grpc_address or local["grpc_address"],
        **source_of(tree),
    }
    log_path = state.parent / f"{name}.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.command", "pod"], cwd=tree, env=surroundings, stdout=log, stderr=log
        )
    pod = ExtraPod(name, f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{admin_port}", process, log_path)
    try:
        until(lambda: _is_up(pod), READY_LIMIT_S, f"{name} did not become ready; see {log_path}")
        yield pod
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def source_of(tree: Path) -> dict[str, str]:
    """What makes Python run the source in a folder, and not the installed one."""
    return {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'proto'}"}


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what this machine may have set for a stack of its own."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("SWITCHYARD_")
        and name not in ("DATABASE_URL", "REDIS_URL", "COUNTERS_URL", "DJANGO_SETTINGS_MODULE")
    }


def _is_up(pod: ExtraPod) -> bool:
    if pod.process.poll() is not None:
        raise AssertionError(f"{pod.id} ended with {pod.process.returncode}:\n{pod.log_path.read_text()[-3000:]}")
    return pod.is_ready()
