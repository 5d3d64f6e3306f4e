"""What the ledger and its roll-ups hold, to be compared."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection

from control_plane.organizations.models import Organization
from control_plane.usage import rollups
from control_plane.usage.aggregation import Booked, book_waiting
from control_plane.usage.entries import COLUMNS, JSON_COLUMNS, LedgerRow
from control_plane.usage.inbox import read_batch
from control_plane.usage.models import ConversationSession, InboxBatch, UsageDay, UsageHour
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage.events import NOW, ORGANIZATION

LEDGER_DAYS = 396


def an_organization() -> Organization:
    return Organization.objects.create(id=ORGANIZATION, slug="acme", name="Acme")


def put(*batches: usage_pb2.UsageBatch) -> None:
    """Lay batches into the inbox the way the intake does, repeats ignored."""
    for message in batches:
        batch = read_batch(message)
        InboxBatch.objects.bulk_create(
            [
                InboxBatch(
                    pod_id=batch.pod_id,
                    boot_id=batch.boot_id,
                    first_sequence=batch.first_sequence,
                    last_sequence=batch.last_sequence,
                    event_count=batch.event_count,
                    payload=batch.payload,
                    payload_digest=batch.digest,
                    received_at=datetime.now(UTC),
                )
            ],
            ignore_conflicts=True,
        )


def book(now: datetime = NOW) -> Booked:
    return book_waiting(now=now, ledger_days=LEDGER_DAYS)


def put_and_book(*batches: usage_pb2.UsageBatch) -> Booked:
    put(*batches)
    return book()


def ledger() -> list[LedgerRow]:
    columns = ", ".join(f"{name}::text" if name in JSON_COLUMNS else name for name in COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM usage_ledger ORDER BY day, exchange_id, attempt, kind, revision")
        return [LedgerRow(*values) for values in cursor.fetchall()]


def shape() -> list[tuple[str, str, int]]:
    """Each row's last letters, kind and cost: enough to compare small ledgers at a glance."""
    return [(row.exchange_id[-2:], row.kind, row.cost_nano_usd) for row in ledger()]


def assert_books_agree() -> None:
    """The sum of the roll-ups is the sum of the ledger, in every grain and every measure."""
    deltas = rollups.fold(ledger())
    assert _stored(UsageHour.objects.all(), "hour") == {
        (hour, grain.id): _measures(measures) for hour, grain, measures in deltas.hours
    }
    assert _stored(UsageDay.objects.all(), "day") == {
        (day, grain.id): _measures(measures) for day, grain, measures in deltas.days
    }
    assert {session.id: _measures(session) for session in ConversationSession.objects.all()} == {
        session.id: _measures(session.measures) for session in deltas.sessions
    }


def assert_one_standing_row_each() -> None:
    signs: Counter[tuple[str, int]] = Counter()
    for row in ledger():
        signs[row.exchange_id, row.attempt] += row.sign
    assert set(signs.values()) <= {1}


def _stored(rows: Iterable[UsageHour | UsageDay], period: str) -> dict[object, object]:
    return {(getattr(row, period), row.grain): _measures(row) for row in rows}


def _measures(holder: object) -> tuple[object, ...]:
    return tuple(getattr(holder, name) for name in rollups.MEASURES)
