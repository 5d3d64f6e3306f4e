"""What one pod holds, what is on its way to it, what it refused. Pure: time is an argument, and there is no queue.

Per shard only the last acknowledged version and the one in flight are kept. While one is in flight newer ones wait;
what is sent next is always the newest, so a slow pod gets fewer and newer versions, never a backlog.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.snapshots.shards import delivery_order
from switchyard_contract.seal import ShardVersion

ACK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Head:
    """A version of a shard: the one in force, or the one a pod says it holds. Equal only when the content is too."""

    at: ShardVersion
    payload_sha256: bytes


@dataclass(frozen=True, slots=True)
class InFlight:
    """Sent and not answered yet."""

    at: ShardVersion
    nonce: bytes
    since_s: float


class Delivery:
    """The state of one stream. Times are of one monotonic clock, in seconds."""

    def __init__(self, held: Mapping[str, Head]) -> None:
        self._unverified = dict(held)
        """Of the greeting, until it was compared with the version in force."""
        self._acked: dict[str, ShardVersion] = {}
        self._in_flight: dict[str, InFlight] = {}
        self._refused: dict[str, ShardVersion] = {}

    def confirm(self, heads: Mapping[str, Head]) -> list[str]:
        """Compare the greeting with what is in force; gives the shards the pod need not be sent, once each.

        Equal numbers with another content (a database was restored) do not count.
        """
        confirmed = []
        for shard in sorted(self._unverified.keys() & heads.keys()):
            if self._unverified.pop(shard) == heads[shard]:
                self._acked[shard] = heads[shard].at
                confirmed.append(shard)
        return confirmed

    def due(self, heads: Mapping[str, Head]) -> list[str]:
        """The shards to send now, in the order to send them."""
        return sorted(
            (
                shard
                for shard, head in heads.items()
                if shard not in self._in_flight
                and self._acked.get(shard) != head.at
                and self._refused.get(shard) != head.at
            ),
            key=lambda shard: (delivery_order(shard), shard),
        )

    def sent(self, shard: str, at: ShardVersion, nonce: bytes, now_s: float) -> None:
        self._in_flight[shard] = InFlight(at, nonce, now_s)

    def acknowledged(self, shard: str, nonce: bytes) -> ShardVersion | None:
        """Take an acknowledgement; gives the version it is for, None when it answers nothing that is in flight."""
        found = self._answered(shard, nonce)
        if found is None:
            return None
        self._acked[shard] = found.at
        self._refused.pop(shard, None)
        return found.at

    def refused(self, shard: str, nonce: bytes) -> ShardVersion | None:
        """Take a refusal: this version is not offered again on this stream; the next one is."""
        found = self._answered(shard, nonce)
        if found is None:
            return None
        self._refused[shard] = found.at
        return found.at

    def overdue(self, now_s: float) -> str | None:
        """A shard that has been in flight for too long: the stream is dead or the pod is stuck."""
        for shard, message in self._in_flight.items():
            if now_s - message.since_s >= ACK_TIMEOUT_S:
                return shard
        return None

    def next_deadline_s(self) -> float | None:
        """When `overdue` will speak at the earliest; None: nothing is in flight."""
        times = [message.since_s for message in self._in_flight.values()]
        return min(times) + ACK_TIMEOUT_S if times else None

    def gone(self, heads: Mapping[str, Head]) -> list[str]:
        """Shards the pod holds that exist no more; each is named once."""
        gone = sorted((self._unverified.keys() | self._acked.keys()) - heads.keys())
        for shard in gone:
            self._unverified.pop(shard, None)
            self._acked.pop(shard, None)
        return gone

    def _answered(self, shard: str, nonce: bytes) -> InFlight | None:
        found = self._in_flight.get(shard)
        if found is None or found.nonce != nonce:
            return None
        del self._in_flight[shard]
        return found
