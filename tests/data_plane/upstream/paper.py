"""A connection on a transport of paper, and its owner: what is written is noted, what arrives is said by the test."""

import asyncio
from collections.abc import Callable, Sequence

from data_plane.upstream.link import Link
from data_plane.upstream.request import Origin, Timeouts
from data_plane.upstream.response import UpstreamResponse


class PaperTransport(asyncio.Transport):
    """Notes what is asked of it. pending: bytes it claims not to have sent yet."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.writes = 0
        self.pending = 0
        self.reading = True
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.writes += 1

    def writelines(self, list_of_data: Sequence[bytes | bytearray | memoryview]) -> None:  # type: ignore[override]
        for data in list_of_data:
            self.write(data)

    def get_write_buffer_size(self) -> int:
        return self.pending

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


class Bench:
    """Owner, clock, transport and connection of one test. freed: how often the connection came back."""

    def __init__(self, scheme: str = "http") -> None:
        self.now = 100.0
        self.freed = 0
        self.is_lost = False
        self.held_back: list[Callable[[], None]] | None = None
        self.transport = PaperTransport()
        self.link = Link(
            owner=self,
            origin=Origin("https" if scheme == "https" else "http", "provider.test", 1),
            host_address="192.0.2.1",
            clock=lambda: self.now,
            loop=asyncio.get_running_loop(),
            max_age_s=1000.0,
        )
        self.link.connection_made(self.transport)

    def link_opened(self, link: Link) -> None:
        pass

    def link_freed(self, link: Link) -> None:
        self.freed += 1

    def link_lost(self, link: Link) -> None:
        self.is_lost = True

    def send_soon(self, link: Link) -> None:
        """At once, unless the test holds requests back."""
        if self.held_back is None:
            link.send()
        else:
            self.held_back.append(link.send)

    def ask(
        self, body: bytes = b"", timeouts: Timeouts | None = None, method: str = "POST"
    ) -> asyncio.Future[UpstreamResponse]:
        return self.link.ask(b"HEAD\r\n\r\n", body, method, timeouts or Timeouts())
