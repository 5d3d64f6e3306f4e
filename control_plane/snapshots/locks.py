"""Advisory locks: one compiler at a time per lane of an organization.

Held by the database session, not by a transaction, because the lock must be taken before the snapshot of the
repeatable-read transaction is, and released after its commit.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class Lane(IntEnum):
    """What is compiled apart from each other: a revocation never waits for a change of policy."""

    GLOBAL = 0x53590001
    ORGANIZATION = 0x53590002
    DENY = 0x53590003


@contextmanager
def compiling(lane: Lane, subject: str, *, waits: bool) -> Iterator[bool]:
    """Hold the lane for a subject. Gives False at once when somebody else holds it and `waits` is not set."""
    key = zlib.crc32(subject.encode()) - (1 << 31)
    with connection.cursor() as cursor:
        if waits:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [int(lane), key])
            is_held = True
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [int(lane), key])
            is_held = bool(cursor.fetchone()[0])
    try:
        yield is_held
    finally:
        # A connection that broke has let go of its locks.
        if is_held and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [int(lane), key])
