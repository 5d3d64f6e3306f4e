"""When the counters count as away: a few numbers about the newest round trips. Pure; the time is an argument."""

FAILURES_IN_A_ROW = 2
"""More than so many, and nobody waits for the store any more."""
SLOW_S = 0.05
WINDOW_S = 1.0
_SLOW_SHARE = 0.05
"""More than one in twenty slower than SLOW_S for WINDOW_S: its p95 is above it."""
_LEAST = 20
"""Fewer than so many round trips say nothing about a share."""


class Breaker:
    """Closed: the store is asked. Open: it is not, but for a probe now and then that closes it again."""

    __slots__ = ("_failures", "_slow", "_slow_s", "_sum", "_window_from_s", "is_open", "opened")

    def __init__(self, slow_s: float = SLOW_S) -> None:
        self._slow_s = slow_s
        self.is_open = False
        self.opened = 0
        """How often it was."""
        self._failures = 0
        self._sum = 0
        self._slow = 0
        self._window_from_s = 0.0

    def answered(self, took_s: float, now_s: float) -> None:
        """Note an answer that came in time."""
        self._failures = 0
        self._count(took_s > self._slow_s, now_s)

    def failed(self, now_s: float) -> None:
        """Note an answer that did not come in time, or said that the store does not work."""
        self._failures += 1
        if self._failures > FAILURES_IN_A_ROW:
            self._open()
        else:
            self._count(True, now_s)

    def close(self, now_s: float) -> None:
        """A probe was answered, or a new connection stands."""
        self.is_open = False
        self._forget(now_s)

    def _count(self, is_slow: bool, now_s: float) -> None:
        self._sum += 1
        self._slow += is_slow
        if now_s - self._window_from_s >= WINDOW_S:
            if self._sum >= _LEAST and self._slow > _SLOW_SHARE * self._sum:
                self._open()
            else:
                self._sum, self._slow, self._window_from_s = 0, 0, now_s

    def _open(self) -> None:
        if not self.is_open:
            self.is_open = True
            self.opened += 1

    def _forget(self, now_s: float) -> None:
        self._failures = self._sum = self._slow = 0
        self._window_from_s = now_s
