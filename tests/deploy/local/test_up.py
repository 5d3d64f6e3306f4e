"""`switchyard up` as a person has it: start, use, lose a process, stop with one Ctrl-C, start again with the data."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source_tree import ROOT
from tests.ports import ports_in_a_row

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(420)]

START_DEADLINE_S = 180.0
DEADLINE_S = 60.0
EVERYTHING = {
    "postgresql", "broker", "counters", "web", "grpc", "simulated-provider", "pod-1", "pod-2", "worker", "beat",
}  # fmt: skip


class Run:
    """One `switchyard up` in a process of its own."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home = home
        self._output = home.parent / "output"
        with self._output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.command", "up"],
                cwd=ROOT,
                env=environment,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def told(self) -> str:
        return self._output.read_text()

    @property
    def local(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "local.json").read_text())
        return found

    def until(self, claim: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
        ends_s = time.monotonic() + deadline_s
        while not claim():
            assert self.process.poll() is None, self.told
            assert time.monotonic() < ends_s, self.told
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Run]]:
    names = ("CONSOLE_PORT", "GRPC_PORT", "GATEWAY_PORT", "SIMULATED_PROVIDER_PORT", "POD_ADMIN_PORT")
    # One more than there are names: each of two pods has an admin port.
    ports = ports_in_a_row(len(names) + 1)
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {f"SWITCHYARD_{name}": str(port) for name, port in zip(names, ports, strict=False)}
    environment["SWITCHYARD_HOME"] = str(tmp_path / "home")
    runs: list[Run] = []

    def begin() -> Run:
        run = Run(tmp_path / "home", environment)
        runs.append(run)
        return run

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def ask(run: Run, text: str) -> dict[str, Any]:
    body = {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    headers = {
        "x-api-key": run.local["virtual_key"],
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
    }
    request = urllib.request.Request(
        f"{run.local['gateway_url']}/v1/messages", data=json.dumps(body).encode(), headers=headers
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_start_use_lose_a_pod_stop_and_start_again(start: Callable[[], Run]) -> None:
    first = start()
    first.until((first.home / "local.json").exists, START_DEADLINE_S)
    first.until(lambda: "Switchyard is up" in first.told)
    local = first.local
    assert set(local["pids"]) == EVERYTHING
    assert (first.home / "local.json").stat().st_mode & 0o777 == 0o600
    assert ask(first, "Hello")["role"] == "assistant"

    lost = local["pids"]["pod-1"]
    os.kill(lost, signal.SIGKILL)
    first.until(lambda: first.local["pids"].get("pod-1") not in (None, lost))
    assert "pod-1 was ended by SIGKILL; starting it again in 0.5 s" in first.told

    process_ids = first.local["pids"].values()
    assert first.stop() == 0
    assert "Switchyard is down. The data is kept." in first.told
    assert [process_id for process_id in process_ids if is_alive(process_id)] == []
    assert not (first.home / "local.json").exists()

    second = start()
    second.until((second.home / "local.json").exists, START_DEADLINE_S)
    kept = ("admin_password", "api_token", "virtual_key")
    assert {name: second.local[name] for name in kept} == {name: local[name] for name in kept}
    assert ask(second, "Hello again")["role"] == "assistant"
    assert second.stop() == 0


def test_a_stop_in_the_middle_of_the_start_leaves_nothing(start: Callable[[], Run]) -> None:
    run = start()
    run.until(lambda: "postgresql, broker, counters: ready" in run.told)
    started = [int(line.split()[0]) for line in children_of(run.process.pid)]
    assert started
    assert run.stop() == 0
    assert [process_id for process_id in started if is_alive(process_id)] == []
    assert not (run.home / "local.json").exists()


def children_of(process_id: int) -> list[str]:
    return Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
