"""The upload of a large body over TLS: a slice at a time, with turns of the loop between.

On TLS one write of a large body is one long encryption and a copy of all of it (docs/decisions, hot path); meanwhile
nobody else on the pod is served.
"""

import asyncio
from collections.abc import Iterable

SLICE_BYTES = 256 * 1024
# After so many slices the loop gets a turn, also when the provider takes them as fast as they come.
SLICES_PER_TURN = 4


class SlicedUpload:
    """What is left of one body. It ends when all is written, or when it is stopped."""

    __slots__ = ("_is_paused", "_is_sending", "_is_turn_scheduled", "_loop", "_transport", "_unsent")

    def __init__(
        self,
        transport: asyncio.Transport,
        parts: Iterable[bytes | bytearray | memoryview],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport, self._loop = transport, loop
        # The next part last.
        self._unsent = [view for part in parts if (view := memoryview(part).cast("B")).nbytes]
        self._unsent.reverse()
        self._is_paused = self._is_sending = self._is_turn_scheduled = False

    @property
    def unsent_bytes(self) -> int:
        """What the transport was not handed yet."""
        return sum(part.nbytes for part in self._unsent)

    def stop(self) -> None:
        """Hand nothing more over."""
        self._unsent.clear()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        if self._unsent and not self._is_sending and not self._is_turn_scheduled:
            self.send()

    def send(self) -> None:
        """Hand over as much as the transport takes, and go on by itself."""
        # The transport may call back to pause and resume from inside write: state is set before, read after.
        self._is_sending = True
        for _ in range(SLICES_PER_TURN):
            if not self._unsent or self._is_paused:
                break
            part = self._unsent.pop()
            if part.nbytes > SLICE_BYTES:
                self._unsent.append(part[SLICE_BYTES:])
            self._transport.write(part[:SLICE_BYTES])
        self._is_sending = False
        if self._unsent and not self._is_paused and not self._is_turn_scheduled:
            self._is_turn_scheduled = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_turn_scheduled = False
        self.send()
