"""One apply at a time per organization, and one writer of revisions."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from uuid import UUID

from django.db import connection


class Lane(IntEnum):
    """What is done one after the other. Numbers beside those of snapshots/locks.py."""

    APPLY = 0x53590011
    REVISION = 0x53590012


def lock_until_commit(lane: Lane, organization_id: UUID, *, longest_ms: int = 15_000) -> None:
    """Wait for the lane; it is held until the transaction ends. Raises OperationalError when it takes too long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{longest_ms}ms"])
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(lane), _number(organization_id)])


@contextmanager
def holding(lane: Lane, organization_id: UUID, *, longest_ms: int = 15_000) -> Iterator[None]:
    """Wait for the lane and hold it across transactions, so that what is read next is what others have committed.

    Raises OperationalError when it takes too long.
    """
    key = _number(organization_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{longest_ms}ms"])
        try:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [int(lane), key])
        finally:
            if not connection.in_atomic_block:
                cursor.execute("RESET lock_timeout")
    try:
        yield
    finally:
        # A connection that broke has let go of its locks.
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [int(lane), key])


def _number(organization_id: UUID) -> int:
    return zlib.crc32(organization_id.bytes) - (1 << 31)
