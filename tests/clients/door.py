"""A door before a gateway: writes down who came when and what was answered, and may answer in the gateway's place."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from data_plane.protocols.codec import RequestHead, WireAnswer

Says = Callable[[RequestHead, int], WireAnswer | None]
"""Answers a request in the gateway's place; None: it goes through. The number counts those for a model, from 1."""
_OWN_FRAMING = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a model's answer. at_s: by a clock that never goes back."""

    at_s: float
    path: str
    status: int
    user_agent: str
    streams_on: bool
    """Whether an answer of the gateway behind the door was handed on."""


@dataclass
class Door:
    """url: where clients are pointed at; asked: how many came; visits: in the order in which they were answered."""

    url: str
    asked: int = 0
    visits: list[Visit] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients end with their connections open; that is no error of anybody's."""


@contextmanager
def opened(gateway_url: str, says: Says | None = None) -> Iterator[Door]:
    """Open a door before a gateway. says: what is answered here instead."""
    to = urlsplit(gateway_url)
    door = Door("")
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            begun_s = time.monotonic()
            with guard:
                door.asked += self.command == "POST"
                said = says(self._head(), door.asked) if says is not None and self.command == "POST" else None
            status = self._fetch(body) if said is None else self._say(said)
            if self.command == "POST":
                agent = self.headers.get("user-agent", "")
                with guard:
                    door.visits.append(Visit(begun_s, self.path, status, agent, said is None))

        def _head(self) -> RequestHead:
            path, _, query = self.path.partition("?")
            headers = tuple((name.lower().encode(), value.encode()) for name, value in self.headers.items())
            return RequestHead(self.command, path, query, headers)

        def _say(self, said: WireAnswer) -> int:
            self.send_response_only(said.status)
            for name, value in said.headers:
                self.send_header(name.decode(), value.decode())
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)
            return said.status

        def _fetch(self, body: bytes) -> int:
            behind = http.client.HTTPConnection(str(to.hostname), to.port, timeout=300)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN_FRAMING}
                if self.headers.get("upgrade"):
                    headers["Connection"] = "Upgrade"
                behind.request(self.command, self.path, body or None, headers)
                answer = behind.getresponse()
                self._hand_on(answer)
                return answer.status
            finally:
                behind.close()

        def _hand_on(self, answer: http.client.HTTPResponse) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OWN_FRAMING:
                    self.send_header(name, value)
            if self.command == "HEAD" or answer.status in (204, 304):
                self.end_headers()
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                while piece := answer.read1(65536):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            except (http.client.HTTPException, ConnectionError):
                # Cut behind the door, or the client has gone: no clean end is made of it here.
                self.close_connection = True

        do_GET = do_HEAD = do_POST = _pass

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = _Server(("127.0.0.1", 0), Handler)
    door.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
