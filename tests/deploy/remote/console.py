"""A scripted console: answers by method and path, and remembers what was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    authorization: str
    body: dict[str, Any]


Answer = Callable[[Asked], tuple[int, Any]]


@dataclass(slots=True)
class Console:
    url: str = ""
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, method: str, path: str, answer: Answer | tuple[int, Any]) -> None:
        self.answers[method, path] = answer if callable(answer) else lambda asked: answer

    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


@contextmanager
def scripted_console() -> Iterator[Console]:
    console = Console()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            is_form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            body = dict(parse_qsl(raw.decode())) if is_form else json.loads(raw or b"{}") or {}
            asked = Asked(self.command, self.path.removeprefix("/api/v1/"), self.headers["authorization"] or "", body)
            console.asked.append(asked)
            found = console.answers.get((asked.method, asked.path))
            status, answer = (404, {"detail": "There is nothing here."}) if found is None else found(asked)
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    console.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield console
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
