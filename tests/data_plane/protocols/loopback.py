"""A one-answer HTTP server on loopback, for feeding what we write to the official SDKs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Play:
    """What is answered to every request, and how many came."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    aborts: bool = False
    """Close the connection in the middle of the chunked body."""
    requests: list[str] = field(default_factory=list)


@contextmanager
def playing(play: Play) -> Iterator[str]:
    """Serve one play; gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            play.requests.append(self.path)
            self.send_response_only(play.status)
            for name, value in play.headers:
                self.send_header(name.decode(), value.decode())
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(play.body), play.body))
            if play.aborts:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
