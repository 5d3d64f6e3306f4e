"""The lock under which the ledger is written, held to the end of the transaction."""

from django.db import connection
from psycopg import sql

LEDGER_LOCK = (0x5377, 2)


def lock_ledger(*, is_exclusive: bool) -> None:
    """Wait for the ledger, with others or alone.

    It keeps two rows of one attempt from being judged side by side, each unaware of the other; and a month from being
    closed between the look at it and the row that counts in it. Two first finals of an attempt are one key, so workers
    that bring only these may work at the same time. Whoever brings anything else (a few in a thousand events), or
    closes a month, works alone.
    """
    lock = "pg_advisory_xact_lock" if is_exclusive else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT {}(%s, %s)").format(sql.Identifier(lock)), LEDGER_LOCK)
