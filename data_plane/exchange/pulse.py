"""Signs of life: a stream that has been silent for a while gets bytes its protocol ignores.

Thinking models fall silent for minutes, and clients and proxies in between give up. One sweep serves all streams.
"""

import asyncio
from collections.abc import Callable

from data_plane.exchange.ports import ClientGone, ClientStream
from data_plane.protocols.codec import Tap


class Pulse:
    """One stream's silence. The relay says when it wrote; the sweep writes between events only."""

    __slots__ = ("is_writing", "last_s", "out", "sign", "tap")

    def __init__(self, out: ClientStream, tap: Tap, sign: bytes, now_s: float) -> None:
        self.out, self.tap, self.sign, self.last_s = out, tap, sign, now_s
        self.is_writing = False


class Pulses:
    """The sweep over all open streams; `run` is owned by the application's task group."""

    def __init__(self, silence_s: float, clock_s: Callable[[], float]) -> None:
        self._silence_s, self._clock_s = silence_s, clock_s
        self._open: set[Pulse] = set()

    def watch(self, out: ClientStream, tap: Tap, sign: bytes) -> Pulse:
        pulse = Pulse(out, tap, sign, self._clock_s())
        self._open.add(pulse)
        return pulse

    def forget(self, pulse: Pulse) -> None:
        self._open.discard(pulse)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._silence_s / 4))
            await self.sweep()

    async def sweep(self) -> None:
        """Write to every stream that is silent for long enough, is between events and has room."""
        now_s = self._clock_s()
        for pulse in [pulse for pulse in self._open if now_s - pulse.last_s >= self._silence_s]:
            if pulse.is_writing or not pulse.tap.at_boundary or pulse.tap.has_ended:
                continue
            pulse.last_s = now_s
            try:
                await pulse.out.write(pulse.sign)
            except ClientGone:
                self._open.discard(pulse)
