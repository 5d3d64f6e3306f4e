"""Where a reported batch becomes durable before it is acknowledged.

Spoken to from the gRPC process's event loop, so through psycopg's async pool and not through the ORM.

Failure: `InboxUnavailable`, when PostgreSQL cannot be reached or does not answer in time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Protocol, Self
from uuid import UUID

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from control_plane.usage.gaps import Range, follow, ranges_of
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger(__name__)

STORE_TIMEOUT_S = 10.0
_INSERT_BATCH = """
INSERT INTO usage_inboxbatch (pod_id, boot_id, first_sequence, last_sequence, event_count, payload, payload_digest,
                              received_at, parked_reason)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '')
ON CONFLICT (pod_id, boot_id, first_sequence, payload_digest) DO NOTHING
RETURNING id
"""
# Nearly every batch follows the one before; then this is all that gaps cost.
_FOLLOW = """
UPDATE usage_podsequence SET highest = %(last)s, reported_at = %(now)s
WHERE pod_id = %(pod)s AND boot_id = %(boot)s AND highest = %(before)s
"""
_BEGIN_SEQUENCE = """
INSERT INTO usage_podsequence (pod_id, boot_id, highest, first_seen_at, reported_at)
VALUES (%(pod)s, %(boot)s, 0, %(now)s, %(now)s) ON CONFLICT (pod_id, boot_id) DO NOTHING
"""
_FORMER_RUNS = """
UPDATE usage_podsequence SET run = %(run)s, whole_since = %(since)s WHERE pod_id = %(pod)s AND boot_id = %(boot)s
"""
_LOCK_SEQUENCE = "SELECT highest FROM usage_podsequence WHERE pod_id = %(pod)s AND boot_id = %(boot)s FOR UPDATE"
_SET_SEQUENCE = """
UPDATE usage_podsequence SET highest = %(highest)s, reported_at = %(now)s
WHERE pod_id = %(pod)s AND boot_id = %(boot)s
"""
_MISSING = """
SELECT id, first, last, opened_at FROM usage_missingevents
WHERE pod_id = %(pod)s AND boot_id = %(boot)s AND closed_at IS NULL AND first <= %(last)s AND last >= %(first)s
"""
_OPEN_MISSING = """
INSERT INTO usage_missingevents (pod_id, boot_id, first, last, opened_at, closed_by, note)
VALUES (%s, %s, %s, %s, %s, '', '')
"""
_CLOSE_MISSING = "UPDATE usage_missingevents SET closed_at = %s WHERE id = %s"
_SHRINK_MISSING = "UPDATE usage_missingevents SET first = %s, last = %s WHERE id = %s"
_COUNT_REFUSAL = """
INSERT INTO usage_refusedreport AS known (pod_id, reason, detail, count, first_at, last_at)
VALUES (%(pod)s, %(reason)s, %(detail)s, 1, %(now)s, %(now)s)
ON CONFLICT (pod_id, reason) DO UPDATE SET count = known.count + 1, detail = excluded.detail, last_at = excluded.last_at
"""
_COUNT_FAILURES = """
INSERT INTO usage_failedauthenticationminute AS known (minute, reason, source, pod_id, count)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (minute, reason, source, pod_id) DO UPDATE SET count = known.count + excluded.count
"""


class InboxUnavailable(Exception):
    """The batch could not be made durable; nothing may be acknowledged."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed authentications of one minute, one reason, one source."""

    minute: datetime
    reason: str
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class IncomingBatch:
    """A batch whose frame is in order; what is inside is judged when it is booked."""

    pod_id: str
    boot_id: bytes
    first_sequence: int
    last_sequence: int
    event_count: int
    payload: bytes
    failures: tuple[Failures, ...]
    arrived: tuple[Range, ...] = ()
    """The numbers of its events."""
    former_runs: tuple[int, int] | None = None
    """The run that speaks, and the first of those before it since which nothing that was written was lost."""

    @property
    def digest(self) -> UUID:
        return UUID(bytes=blake2b(self.payload, digest_size=16).digest())


class Inbox(Protocol):
    """What the intake needs from the store."""

    async def store(self, batch: IncomingBatch) -> bool:
        """Make a batch durable. False: it was there already. Raises InboxUnavailable."""

    async def note_refusal(self, pod_id: str, reason: str, detail: str) -> None:
        """Count a report that was not taken, for people to see. Lost while the database is away: it comes again."""


def read_batch(message: usage_pb2.UsageBatch) -> IncomingBatch:
    """Take the frame of a batch apart; raises ValueError when the pod cannot be named or numbers do not fit."""
    if not message.pod_id or len(message.pod_id) > 200 or "\x00" in message.pod_id:
        raise ValueError("pod_id is missing or too long")
    if not message.boot_id or len(message.boot_id) > 64:
        raise ValueError("boot_id is missing or too long")
    sequences = [event.sequence for event in message.events]
    if max(sequences, default=0) >= 1 << 63:
        raise ValueError("a sequence does not fit 63 bits")
    if any(later <= earlier for earlier, later in pairwise(sequences)):
        raise ValueError("sequences do not ascend")
    former = message.former_runs if message.HasField("former_runs") else None
    if former is not None and not 0 < former.whole_since <= former.run < 1 << 63:
        raise ValueError("former runs that cannot be")
    kept = message
    if message.failed_authentications or former is not None:
        kept = usage_pb2.UsageBatch(pod_id=message.pod_id, boot_id=message.boot_id, events=message.events)
    return IncomingBatch(
        pod_id=message.pod_id,
        boot_id=message.boot_id,
        first_sequence=sequences[0] if sequences else 0,
        last_sequence=sequences[-1] if sequences else 0,
        event_count=len(sequences),
        payload=kept.SerializeToString(deterministic=True),
        failures=tuple(_read_failures(message)),
        arrived=ranges_of(sequences),
        former_runs=(former.run, former.whole_since) if former is not None else None,
    )


def _read_failures(message: usage_pb2.UsageBatch) -> list[Failures]:
    found = []
    for counted in message.failed_authentications:
        try:
            minute = datetime.fromtimestamp(counted.minute_ms // 60_000 * 60, UTC)
        except (OverflowError, ValueError, OSError):
            continue
        found.append(
            Failures(
                minute,
                counted.reason[:40].replace("\x00", "\ufffd"),
                counted.source[:100].replace("\x00", "\ufffd"),
                min(counted.count, 1 << 40),
            )
        )
    # One order for all: two pods' batches then never wait for one another both ways.
    return sorted(found, key=lambda failures: (failures.minute, failures.reason, failures.source))


class PostgresInbox:
    """The inbox table, through a small pool with synchronous commit."""

    def __init__(
        self, database: Mapping[str, Any], *, connections: int = 4, timeout_s: float = STORE_TIMEOUT_S
    ) -> None:
        """database: one of Django's DATABASES, so that both speak to the same server."""
        self._timeout_s = timeout_s
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            conninfo_of(database),
            min_size=1,
            max_size=connections,
            timeout=timeout_s,
            # An acknowledgement must never be worth less than the server's disk.
            kwargs={"options": "-c synchronous_commit=on", "connect_timeout": 5},
            check=AsyncConnectionPool.check_connection,
            open=False,
            name="usage-inbox",
        )

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def store(self, batch: IncomingBatch) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.connection() as connection:
                return await self._store(connection, batch)
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TimeoutError, OSError) as failure:
            raise InboxUnavailable(type(failure).__name__) from failure

    async def note_refusal(self, pod_id: str, reason: str, detail: str) -> None:
        said = {"pod": pod_id[:200].replace("\x00", "\ufffd"), "reason": reason, "detail": detail[:500]}
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.connection() as connection:
                await connection.execute(_COUNT_REFUSAL, {**said, "now": datetime.now(UTC)})
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TimeoutError, OSError) as failure:
            log.warning("refused report not counted", why=type(failure).__name__)

    async def _store(self, connection: psycopg.AsyncConnection[Any], batch: IncomingBatch) -> bool:
        is_new = True
        async with connection.transaction(), connection.cursor() as cursor:
            if batch.event_count:
                await cursor.execute(
                    _INSERT_BATCH,
                    (
                        batch.pod_id,
                        batch.boot_id,
                        batch.first_sequence,
                        batch.last_sequence,
                        batch.event_count,
                        batch.payload,
                        batch.digest,
                        datetime.now(UTC),
                    ),
                )
                is_new = await cursor.fetchone() is not None
                if is_new:
                    await _follow_sequence(cursor, batch)
            if batch.former_runs is not None:
                run, since = batch.former_runs
                known = {"pod": batch.pod_id, "boot": batch.boot_id, "now": datetime.now(UTC)}
                # It may have no event yet: what it held before is why it is asked about.
                await cursor.execute(_BEGIN_SEQUENCE, known)
                await cursor.execute(_FORMER_RUNS, {**known, "run": run, "since": since})
            if is_new and batch.failures:
                await cursor.executemany(
                    _COUNT_FAILURES,
                    [(known.minute, known.reason, known.source, batch.pod_id, known.count) for known in batch.failures],
                )
        return is_new


async def _follow_sequence(cursor: psycopg.AsyncCursor[Any], batch: IncomingBatch) -> None:
    """Note how far a spool has come, and which numbers are missing."""
    known = {"pod": batch.pod_id, "boot": batch.boot_id, "now": datetime.now(UTC)}
    first, last = batch.first_sequence, batch.last_sequence
    if len(batch.arrived) == 1:
        await cursor.execute(_FOLLOW, {**known, "last": last, "before": first - 1})
        if cursor.rowcount:
            return
    await cursor.execute(_BEGIN_SEQUENCE, known)
    await cursor.execute(_LOCK_SEQUENCE, known)
    row = await cursor.fetchone()
    assert row is not None
    await cursor.execute(_MISSING, {**known, "first": first, "last": last})
    missing = {Range(one[1], one[2]): (one[0], one[3]) for one in await cursor.fetchall()}
    found = follow(row[0], missing, batch.arrived)
    await cursor.execute(_SET_SEQUENCE, {**known, "highest": found.highest})
    opened = [(one, known["now"]) for one in found.opened]
    for one, rest in found.closed.items():
        row_id, opened_at = missing[one]
        if rest:
            await cursor.execute(_SHRINK_MISSING, (rest[0].first, rest[0].last, row_id))
            opened += [(piece, opened_at) for piece in rest[1:]]
        else:
            await cursor.execute(_CLOSE_MISSING, (known["now"], row_id))
    if opened:
        await cursor.executemany(
            _OPEN_MISSING, [(batch.pod_id, batch.boot_id, one.first, one.last, since) for one, since in opened]
        )


def conninfo_of(database: Mapping[str, Any]) -> str:
    """Write a Django database setting as a libpq connection string."""
    parts = {
        "host": database.get("HOST"),
        "port": database.get("PORT"),
        "dbname": database.get("NAME"),
        "user": database.get("USER"),
        "password": database.get("PASSWORD"),
        **{
            name: value
            for name, value in (database.get("OPTIONS") or {}).items()
            if name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "service", "passfile", "channel_binding")
        },
    }
    return make_conninfo(**{name: str(value) for name, value in parts.items() if value not in (None, "")})
