"""Failed authentications, counted by minute, reason and source.

They are not events: an outsider must be able to fill neither the ledger nor this memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from switchyard_contract.v1 import usage_pb2

MAX_SOURCES_PER_MINUTE = 10_000
OTHER = "other"
_MINUTE_MS = 60_000

Key = tuple[int, str, str]
"""Minute (Unix milliseconds), reason, source."""


class FailedAuthentications:
    """Counts until they are taken; what could not be delivered is given back."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._counts: Counter[Key] = Counter()
        self._minute_ms = 0
        self._distinct = 0

    def count(self, reason: str, source: str) -> None:
        """reason: one word of ours. source: network address; past 10,000 of them in a minute, "other"."""
        minute_ms = self._now_ms() // _MINUTE_MS * _MINUTE_MS
        if minute_ms != self._minute_ms:
            self._minute_ms, self._distinct = minute_ms, 0
        key = (minute_ms, reason, source)
        if key not in self._counts:
            if self._distinct >= MAX_SOURCES_PER_MINUTE or len(self._counts) >= 2 * MAX_SOURCES_PER_MINUTE:
                key = (minute_ms, reason, OTHER)
            else:
                self._distinct += 1
        self._counts[key] += 1

    def take(self, limit: int) -> list[usage_pb2.FailedAuthentications]:
        """Remove and give at most so many rows, oldest first."""
        keys = list(self._counts)[:limit] if self._counts else []
        return [
            usage_pb2.FailedAuthentications(minute_ms=key[0], reason=key[1], source=key[2], count=self._counts.pop(key))
            for key in keys
        ]

    def give_back(self, rows: Iterable[usage_pb2.FailedAuthentications]) -> None:
        """Count rows again whose delivery is unknown: better one too many than an attack unseen."""
        for row in rows:
            self._counts[(row.minute_ms, row.reason, row.source)] += row.count

    def __len__(self) -> int:
        return len(self._counts)
