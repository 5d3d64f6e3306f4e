"""A receiver of webhooks that checks every signature and keeps what it is handed; it may be told to fail.

def test_...(webhook_receiver: WebhookReceiver) -> None:
    webhook_receiver.answer_next(503, 200)
    ...
    assert [call.event for call in webhook_receiver.calls] == [...]
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Call:
    """One request that came. is_accepted: it was answered with 2xx."""

    headers: dict[str, str]
    raw: bytes
    is_accepted: bool

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    def is_signed_with(self, secret: str) -> bool:
        """What a receiver has to do: the signature over timestamp, dot and body."""
        signed = self.headers["x-switchyard-timestamp"].encode() + b"." + self.raw
        wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, self.headers["x-switchyard-signature"])


class _Handler(BaseHTTPRequestHandler):
    server: "WebhookReceiver"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", "0")))
        status = self.server.next_status()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.keep(Call(headers, raw, 200 <= status < 300))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The tests' output is no access log."""


class WebhookReceiver(ThreadingHTTPServer):
    """Listens on a free port of loopback while it is used as a context."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[Call] = []
        self._statuses: list[int] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    @property
    def accepted(self) -> list[Call]:
        return [call for call in self.calls if call.is_accepted]

    def answer_next(self, *statuses: int) -> None:
        """Answer the next calls so; those after them with 200."""
        with self._lock:
            self._statuses.extend(statuses)

    def next_status(self) -> int:
        with self._lock:
            return self._statuses.pop(0) if self._statuses else 200

    def keep(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)

    def __enter__(self) -> "WebhookReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


@pytest.fixture
def webhook_receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver
