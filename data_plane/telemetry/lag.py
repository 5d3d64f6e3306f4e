"""How late the event loop is: the one number that says whether something blocks it."""

import asyncio
import time

_EVERY_S = 0.1
_KEEP = 50


class LoopLag:
    """Sleeps a little, again and again, and notes how much too late it woke; `worst_ms` is of the last 5 seconds."""

    def __init__(self) -> None:
        self._late_s = [0.0] * _KEEP
        self._at = 0

    @property
    def worst_ms(self) -> float:
        return max(self._late_s) * 1000

    async def run(self) -> None:
        while True:
            begun_s = time.perf_counter()
            await asyncio.sleep(_EVERY_S)
            self._late_s[self._at % _KEEP] = max(0.0, time.perf_counter() - begun_s - _EVERY_S)
            self._at += 1
