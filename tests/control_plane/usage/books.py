"""What the ledger and its roll-ups hold, to be compared."""

from collections import Counter
from datetime import UTC, datetime

from django.apps import apps
from django.db import connection

from control_plane.organizations.models import Organization
from control_plane.usage.aggregation import Booked, book_waiting
from control_plane.usage.entries import COLUMNS, JSON_COLUMNS, LedgerRow
from control_plane.usage.inbox import read_batch
from control_plane.usage.models import ConversationSession, InboxBatch, RulesSeen
from switchyard_contract.v1 import usage_pb2
from tests.control_plane.usage import oracle
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
    expected = oracle.fold(ledger(), {seen.digest: seen.rule_ids for seen in RulesSeen.objects.all()})
    for table, (period, grain) in oracle.GRAINS.items():
        measured = oracle.counts_of if table.startswith("latency") else oracle.sums_of
        rows = apps.get_model("usage", table)._default_manager.all()
        found = {(getattr(row, period), *(getattr(row, name) for name in grain)): measured(row) for row in rows}
        assert len(found) == len(rows), table
        assert found == {where: measured(measures) for where, measures in expected.tables[table].items()}, table
    sessions = {row.id: row for row in ConversationSession.objects.all()}
    assert sessions.keys() == expected.sessions.keys()
    for row_id, session in expected.sessions.items():
        row = sessions[row_id]
        assert oracle.sums_of(row) == oracle.sums_of(session.measures)
        assert (row.first_seen, row.last_seen) == (session.first_seen, session.last_seen)
        assert (set(row.model_names), set(row.agent_ids)) == (session.models, session.agents)


def assert_one_standing_row_each() -> None:
    signs: Counter[tuple[str, int]] = Counter()
    for row in ledger():
        signs[row.exchange_id, row.attempt] += row.sign
    assert set(signs.values()) <= {1}
