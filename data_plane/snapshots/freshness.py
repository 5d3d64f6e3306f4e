"""How old the newest word of the control plane is."""

from collections.abc import Callable

MAX_SKEW_MS = 5 * 60 * 1000
"""Clocks of pod and control plane may differ by so much before the difference counts as age."""


class Freshness:
    """Age of the newest valid beacon. An old beacon told again does not make anything younger."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.issued_at_ms = 0
        """As signed; 0: none was ever heard."""
        self.heard_at_ms = 0

    def hear(self, issued_at_ms: int) -> bool:
        """Take a verified beacon's time; False: no newer than the last."""
        if issued_at_ms <= self.issued_at_ms:
            return False
        now_ms = self._now_ms()
        # Counted from arrival, so that a little skew is no age; but what was kept back for hours is as old as it is.
        held_back = abs(now_ms - issued_at_ms) > MAX_SKEW_MS
        self.issued_at_ms = issued_at_ms
        self.heard_at_ms = min(issued_at_ms, now_ms) if held_back else now_ms
        return True

    def remember(self, issued_at_ms: int, heard_at_ms: int) -> None:
        """Go on from what a former run heard."""
        if issued_at_ms > self.issued_at_ms:
            self.issued_at_ms, self.heard_at_ms = issued_at_ms, heard_at_ms

    @property
    def age_ms(self) -> int | None:
        """Milliseconds; None: no beacon was ever heard."""
        if not self.issued_at_ms:
            return None
        return max(0, self._now_ms() - self.heard_at_ms)
