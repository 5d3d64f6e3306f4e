"""The processes of a small fleet: pods and a simulated provider, each as somebody would start it."""

import base64
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

from deploy.local.ports import pick_free_ports
from tests.fakes.control_plane import ControlPlane
from tests.gateway.wire import Answer, Headers, Stream, call, open_stream, until

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 20.0


class Pod:
    """One pod process with a folder of its own; may be stopped or killed and started again on the same disk."""

    def __init__(self, control: ControlPlane, counters_url: str, home: Path, **settings: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        gateway_port, admin_port = pick_free_ports(2)
        scheme = "https" if "SWITCHYARD_GATEWAY_TLS_CERT" in settings else "http"
        self.url = f"{scheme}://127.0.0.1:{gateway_port}"
        self.admin_url = f"http://127.0.0.1:{admin_port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SWITCHYARD_")},
            **control.installation.pod_environment(control.address, counters_url),
            "SWITCHYARD_POD_STATE": str(home / "state"),
            "SWITCHYARD_GATEWAY_PORT": str(gateway_port),
            "SWITCHYARD_POD_ADMIN_PORT": str(admin_port),
            "SWITCHYARD_DRAIN_ACCEPT_SECONDS": "0",
            "PYTHONFAULTHANDLER": "1",
            **settings,
        }

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def log(self) -> str:
        return (self.home / "pod.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        with (self.home / "pod.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "data_plane"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Start it and wait until it serves what it is to serve."""
        self.launch()
        self.wait_until_complete()

    def wait_until_complete(self) -> None:
        until(lambda: self.check_alive() and self.is_complete(), f"the pod did not come up: {self.log[-2000:]}", 60)

    def check_alive(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the pod ended with {self.process.returncode}: {self.log[-3000:]}")
        return True

    def is_complete(self) -> bool:
        """Whether it is ready and holds all four shards, so that nothing is pending."""
        answer = self.probe("/readyz")
        return answer is not None and answer.status == 200 and len(answer.json["shards"]) >= 4

    def probe(self, path: str) -> Answer | None:
        """Ask the admin port; None: nobody listens."""
        try:
            return call(self.admin_url, "GET", path)
        except OSError:
            return None

    def stop(self, limit_s: float = 20.0) -> int:
        """SIGTERM; give back the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(limit_s)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever state it is in: gone afterwards."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    # Asking it.

    def call(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Answer:
        return call(self.url, method, target, headers, body)

    def open(self, method: str, target: str, headers: Headers = (), body: bytes | None = None) -> Stream:
        return open_stream(self.url, method, target, headers, body)

    def metrics(self) -> str:
        return call(self.admin_url, "GET", "/metrics").text

    def metric(self, name: str) -> float:
        """The value of a metric; name as it stands in the text, labels included."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def settle(self, limit_s: float = 10.0) -> None:
        """Wait until nothing runs and every event was taken by the control plane."""
        until(
            lambda: self.metric("switchyard_in_flight") == 0 and self.metric("switchyard_spool_records") == 0,
            "the pod did not come to rest",
            limit_s,
            0.03,
        )


class Provider:
    """The simulated provider as a process, and its books."""

    def __init__(self, home: Path) -> None:
        self._log = home / "provider.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.simulated_provider", "--port", "0"],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = until(self._announced, "the simulated provider did not come up", START_LIMIT_S)

    def _announced(self) -> str | None:
        found = re.search(r"ready at (http://\S+)", self._log.read_text())
        return found[1] if found else None

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def script(self, name: str, *answers: Mapping[str, Any]) -> None:
        """Queue exact answers for requests with `x-sim-script: <name>`."""
        data = json.dumps({"script": name, "answers": answers}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/script", data), timeout=10).close()

    def records(self, marker: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/ledger?marker={marker}")["requests"]
        return found

    def record(self, marker: str) -> dict[str, Any]:
        """The one ended record with that marker."""

        def ended() -> dict[str, Any] | None:
            records = self.records(marker)
            return records[0] if len(records) == 1 and records[0]["ended_at_ms"] else None

        found: dict[str, Any] = until(ended, f"no ended record with marker {marker}")
        return found

    def request(self, marker: str) -> "Recorded":
        """The one request with that marker, as it came over the wire."""
        records = until(lambda: self.records(marker), f"no record with marker {marker}")
        assert len(records) == 1
        kept = self.get(f"/ledger/{records[0]['id']}/request")
        headers = [(str(name).lower(), str(value)) for name, value in kept["headers"]]
        return Recorded(kept["method"], kept["target"], headers, base64.b64decode(kept["body_base64"]))


class Recorded:
    """What a provider received. Header names in lower case."""

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.method, self.target, self.headers, self.body = method, target, headers, body

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def header_values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


def wait_until_ready(url: str, limit_s: float) -> float:
    """Seconds until a readiness probe says 200."""
    began = time.monotonic()

    def is_ready() -> bool:
        try:
            return bool(urllib.request.urlopen(f"{url}/readyz", timeout=1).status == 200)
        except (URLError, OSError):
            return False

    until(is_ready, f"{url} is not ready", limit_s)
    return time.monotonic() - began
