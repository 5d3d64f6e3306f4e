"""Daily partitions of the ledger: made ahead and on demand, dropped when the ledger no longer keeps their day."""

import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql
from psycopg.errors import LockNotAvailable

from control_plane.usage.ledger_lock import lock_ledger

PARENT = "usage_ledger"
DAYS_AHEAD = 7
DROPPED_AT_ONCE = 31
"""Each partition takes a dozen locks, of which a server has some thousands."""
TRIES = 5
PAUSE_S = 0.1
LONGEST_CLAIM_MS = 10_000
"""How long workers that book are waited for, once; those that would begin wait meanwhile."""
SHORTEST_WAIT_MS = 100
"""How long readers are waited for at a time, because those that come later wait behind us."""
# Any two fixed numbers of ours: the first names the application, the second the purpose.
LOCK = (0x5377, 1)

_EXISTING = """
SELECT child.relname, inherits.inhdetachpending
FROM pg_inherits AS inherits JOIN pg_class AS child ON child.oid = inherits.inhrelid
WHERE inherits.inhparent = 'usage_ledger'::regclass
"""
_DETACHED = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^usage_ledger_[0-9]{8}$'
AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'usage_ledger'::regclass)
AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
"""


def partition_name(day: date) -> str:
    return f"{PARENT}_{day:%Y%m%d}"


def partition_day(name: str) -> date:
    text = name.removeprefix(f"{PARENT}_")
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def existing_days() -> dict[date, bool]:
    """List the days that have a partition; the value says whether its detachment was begun and not ended."""
    with connection.cursor() as cursor:
        cursor.execute(_EXISTING)
        return {partition_day(name): bool(pending) for name, pending in cursor.fetchall()}


def partitions_ensure(days: Iterable[date]) -> list[date]:
    """Make the partitions that are missing; returns their days. Safe beside others that do the same."""
    missing = sorted(set(days) - existing_days().keys())
    if not missing:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK)
        # Asked again under the lock: another worker may have been first.
        missing = sorted(set(missing) - existing_days().keys())
        for day in missing:
            name = sql.Identifier(partition_name(day))
            parent = sql.Identifier(PARENT)
            # Made apart and then attached: creating it in place would lock out everyone who reads or writes the ledger.
            cursor.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)").format(
                    name, parent
                )
            )
            cursor.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    parent, name, sql.Literal(day.isoformat()), sql.Literal((day + timedelta(days=1)).isoformat())
                )
            )
    return missing


def partitions_ensure_ahead(*, today: date) -> list[date]:
    """Make today's partition and those of the coming week."""
    return partitions_ensure(today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1))


def partitions_drop_before(*, oldest: date) -> list[date]:
    """Drop the partitions of days before `oldest`; returns them. Must run outside a transaction.

    A month is one statement that locks everybody out for as long as the catalog takes, not the disk. Where somebody
    reads the ledger for long it is not waited for: then partitions are detached one by one without locking anybody out,
    and what is nobody's any more is dropped. What a crash left half done is finished here.
    """
    detached = _detached_days()
    attached = existing_days()
    days = sorted(day for day in {*detached, *attached} if day < oldest)
    with connection.cursor() as cursor:
        # What a crash takes back is done again the next time.
        cursor.execute("SET synchronous_commit = off")
        try:
            for begin in range(0, len(days), DROPPED_AT_ONCE):
                some = days[begin : begin + DROPPED_AT_ONCE]
                if _drop_at_once(some):
                    continue
                for day in some:
                    if day in attached:
                        _detach(cursor, day, is_pending=attached[day])
                _drop(cursor, some)
        finally:
            cursor.execute("RESET synchronous_commit")
    return days


def _drop_at_once(days: Sequence[date]) -> bool:
    """Drop partitions as they are, in one transaction. False: somebody reads the ledger for long.

    Workers are waited for where nobody but they waits: at the lock that they take before they touch the ledger.
    """
    for _ in range(TRIES):
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LONGEST_CLAIM_MS}ms"])
                lock_ledger(is_exclusive=True)
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{SHORTEST_WAIT_MS}ms"])
                cursor.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(PARENT)))
                _drop(cursor, days)
            return True
        except OperationalError as failure:
            if not isinstance(failure.__cause__, LockNotAvailable):
                raise
        time.sleep(PAUSE_S)
    return False


def _drop(cursor: CursorWrapper, days: Iterable[date]) -> None:
    names = sql.SQL(", ").join(sql.Identifier(partition_name(day)) for day in days)
    cursor.execute(sql.SQL("DROP TABLE {}").format(names))


def _detach(cursor: CursorWrapper, day: date, *, is_pending: bool) -> None:
    cursor.execute(
        sql.SQL("ALTER TABLE {} DETACH PARTITION {} " + ("FINALIZE" if is_pending else "CONCURRENTLY")).format(
            sql.Identifier(PARENT), sql.Identifier(partition_name(day))
        )
    )


def _detached_days() -> set[date]:
    """Days whose partition was detached and not dropped. One that is being made is seen by nobody yet."""
    with connection.cursor() as cursor:
        cursor.execute(_DETACHED)
        return {partition_day(name) for (name,) in cursor.fetchall()}
