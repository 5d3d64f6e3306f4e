"""From the inbox to the ledger and its roll-ups: one transaction per claim.

Whatever happens to a worker in the middle, the transaction did all or nothing: the batches are still in the inbox, or
they are booked. What is added to the roll-ups is what was really inserted into the ledger, so a batch that comes twice
adds nothing the second time.

Failure: `UnbookableBatches`, when PostgreSQL refuses the values of a claim.
"""

import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction
from google.protobuf.message import DecodeError
from psycopg import Cursor, sql

from control_plane.organizations.models import Organization
from control_plane.usage import (
    closing,
    decisions,
    labels,
    listening,
    merging,
    partitions,
    refusals,
    replacement,
    rule_days,
    spending,
    staging,
    ulid,
)
from control_plane.usage.entries import ADJUSTMENT, COLUMNS, FINAL, JSON_COLUMNS, LedgerRow, reversal_of
from control_plane.usage.judgement import Horizon, Oddity, judge
from control_plane.usage.latencies import fold_latencies
from control_plane.usage.ledger_lock import lock_ledger
from control_plane.usage.models import InboxBatch
from control_plane.usage.orphans import orphans_settle
from control_plane.usage.quarantine import OddEvent, events_keep
from switchyard_contract.v1 import usage_pb2

log = structlog.get_logger(__name__)

_LABEL_BOUNDS = labels.LabelBounds(settings.SWITCHYARD.metadata_keys, settings.SWITCHYARD.metadata_values)
MOST_BATCHES = 400
MOST_EVENTS = 20_000
"""Per transaction. A claim takes what waits: few at once while there is time, and the more the further the workers are
behind, because what many events add to one row is written once."""
FULL_EVENTS = MOST_EVENTS - 500
"""What a claim holds at least that has no room for another batch."""
CLAIMS_APART_S = 0.8
"""While others book, batches wait this long before they are taken, unless they fill a claim. What has come since the
last claim began is little: it is dear to book, and while it is booked too much comes for the claim that follows
(docs/decisions/0187-claims-keep-apart.md)."""
LONGEST_S = 60.0
"""How long `book_waiting` goes on: what it believes to be now must not grow old."""

# What a crash of PostgreSQL takes back of this is all of it: the batches are in the inbox again, which was flushed
# before anything was acknowledged. So nobody waits for the disk here, and rows that others wait for are held shorter.
_SETTINGS = "SET LOCAL synchronous_commit = off; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'"
# As many batches as the oldest ones let expect to be enough; those of others among them are skipped.
_CLAIM = """
SELECT id, event_count, extract(epoch FROM clock_timestamp() - received_at)::float8,
       (SELECT min(id) FROM usage_inboxbatch WHERE parked_reason = '')
FROM usage_inboxbatch WHERE parked_reason = '' ORDER BY id
LIMIT (
    SELECT GREATEST(1, count(*) FILTER (WHERE events <= %(events)s)) FROM (
        SELECT sum(event_count) OVER (ORDER BY id) AS events FROM (
            SELECT id, event_count FROM usage_inboxbatch WHERE parked_reason = '' ORDER BY id LIMIT %(batches)s
        ) AS oldest
    ) AS summed
) FOR UPDATE SKIP LOCKED
"""
_READ = "SELECT id, pod_id, boot_id, payload FROM usage_inboxbatch WHERE id = ANY(%s) ORDER BY id"


class UnbookableBatches(Exception):
    """PostgreSQL refused the values of these batches."""

    def __init__(self, ids: Sequence[int], why: str) -> None:
        super().__init__(f"{len(ids)} batches cannot be booked: {why}")
        self.ids, self.why = tuple(ids), why


@dataclass(frozen=True, slots=True)
class Booked:
    """What one claim did."""

    batches: int = 0
    events: int = 0
    rows: int = 0
    """Rows really written, reversals included."""
    quarantined: int = 0
    parked: int = 0
    wait_s: float = 0.0
    """How long what waits is to be left waiting, while others book; nothing was done."""

    def plus(self, other: "Booked") -> "Booked":
        return Booked(
            self.batches + other.batches,
            self.events + other.events,
            self.rows + other.rows,
            self.quarantined + other.quarantined,
            self.parked + other.parked,
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    id: int
    pod_id: str
    boot_id: bytes
    payload: bytes


def book_waiting(*, now: datetime, ledger_days: int, most_claims: int = 100) -> Booked:
    """Book all batches that wait and that nobody else has claimed.

    A claim that cannot be booked is taken apart; the batch at fault is parked, with its payload, for an operator.
    """
    total = Booked()
    one_by_one = claims = 0
    begun = patient_since = time.monotonic()
    while claims < most_claims and time.monotonic() - begun < LONGEST_S:
        size = 1 if one_by_one else MOST_BATCHES
        # Clocks of several machines say how long batches have waited: they are not waited for without end.
        is_patient = not one_by_one and time.monotonic() - patient_since < 2 * CLAIMS_APART_S
        try:
            booked = book_claim(
                now=now, ledger_days=ledger_days, most_batches=size, apart_s=CLAIMS_APART_S if is_patient else 0.0
            )
        except UnbookableBatches as failure:
            if len(failure.ids) > 1:
                one_by_one = len(failure.ids)
                continue
            _park(failure)
            booked = Booked(batches=1, parked=1)
        if booked.wait_s:
            time.sleep(booked.wait_s)
            continue
        if booked.batches == 0:
            break
        one_by_one = max(0, one_by_one - 1)
        claims += 1
        patient_since = time.monotonic()
        total = total.plus(booked)
    return total


def book_claim(*, now: datetime, ledger_days: int, most_batches: int = MOST_BATCHES, apart_s: float = 0.0) -> Booked:
    """Claim batches and book them, in one transaction. Nothing to claim: an empty Booked.

    apart_s: while others book, batches that do not fill a claim are left until they have waited so long.
    """
    with _collector_paused(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        ids, wait_s = _claim(most_batches, apart_s)
        if not ids or wait_s:
            return Booked(wait_s=wait_s)
        batches = _read(ids)
        try:
            return _book(batches, now, ledger_days)
        except (DataError, IntegrityError) as failure:
            raise UnbookableBatches(ids, type(failure).__name__) from failure


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Do without Python's search for cycles of garbage.

    What a claim makes is some hundred thousand values without cycles, and nearly all of them live to its end; looking
    through them again and again took an eighth of a worker's time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _claim(most_batches: int, apart_s: float) -> tuple[list[int], float]:
    """Lock batches; returns their ids, and how long they are to be left first. 0: they are not."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"batches": most_batches, "events": MOST_EVENTS})
        found: list[tuple[int, int, float, int]] = cursor.fetchall()
    ids: list[int] = []
    events = 0
    for batch_id, count, _, _ in found:
        events += count
        if ids and events > MOST_EVENTS:
            break
        ids.append(batch_id)
    if not ids or events >= FULL_EVENTS:
        return ids, 0.0
    _, _, waited_s, oldest = found[0]
    # What is older and not ours is being booked.
    return ids, min(max(0.0, apart_s - waited_s), apart_s) if oldest < ids[0] else 0.0


def _read(ids: Sequence[int]) -> list[_Batch]:
    # As bytes: the text of bytes is twice as long, and has to be written and read.
    with Cursor(connection.connection) as binary:
        binary.execute(_READ, [list(ids)], binary=True)
        return [_Batch(*row) for row in binary.fetchall()]


def _book(batches: Sequence[_Batch], now: datetime, ledger_days: int) -> Booked:
    horizon = Horizon(
        now_ms=int(now.timestamp() * 1000),
        ledger_days=ledger_days,
        organizations=frozenset(Organization.objects.values_list("id", flat=True)),
    )
    arrived: list[LedgerRow] = []
    rules: dict[UUID, usage_pb2.RulesSeen] = {}
    odd: list[OddEvent] = []
    events = 0
    for batch in batches:
        for sequenced in _events_of(batch):
            events += 1
            # Who reported it is known, whatever the event says: a spool may have come to a pod of another name.
            sequenced.event.pod_id = batch.pod_id
            verdict = judge(sequenced.event, horizon)
            if isinstance(verdict, Oddity):
                odd.append(OddEvent(batch.pod_id, batch.boot_id, sequenced.sequence, sequenced.event, verdict))
            else:
                arrived.append(verdict)
                if verdict.rules_digest is not None and verdict.rules_digest not in rules:
                    rules[verdict.rules_digest] = sequenced.event.rules
    written = book_rows(arrived, rules=rules, now=now)
    if odd:
        events_keep(odd, at=now)
        log.warning("usage events quarantined", count=len(odd))
    staging.delete_batches([batch.id for batch in batches])
    return Booked(len(batches), events, len(written), len(odd))


def book_rows(
    arrived: Sequence[LedgerRow], *, now: datetime, rules: Mapping[UUID, usage_pb2.RulesSeen] | None = None
) -> list[LedgerRow]:
    """Add rows to the ledger and to everything that sums it up; returns the rows really written, reversals included.

    Must run inside a transaction. now: when rows count that are of a closed month.
    """
    partitions.partitions_ensure({row.day for row in arrived})
    written = _write(arrived, now, rules or {}) if arrived else []
    orphans_settle(written, at=now)
    return written


def rows_take_back(attempts: Iterable[tuple[str, int]], *, kind: str, now: datetime) -> list[LedgerRow]:
    """Take back what stands of attempts, where it is of that kind, with nothing in its place; returns the reversals.

    attempts: exchange id and number. Must run inside a transaction.
    """
    asked = set(attempts)
    lock_ledger(is_exclusive=True)
    stored = _stored((ulid.day_of(exchange_id), exchange_id) for exchange_id, _ in asked)
    old = [row for attempt, row in replacement.standing(stored).items() if attempt in asked and row.kind == kind]
    reversals = sorted((reversal_of(row) for row in old), key=attrgetter(*staging.LEDGER_KEY))
    return _insert(reversals, now, {})


def _rules_to_keep(
    written: Iterable[LedgerRow], rules: Mapping[UUID, usage_pb2.RulesSeen]
) -> dict[UUID, tuple[bytes, date, Sequence[str]]]:
    """The rules that new rows name, with the newest of their days."""
    # Few pairs of very many rows; by their numbers, because a UUID hashes slowly.
    named = sorted({(row.rules_digest.int, row.day) for row in written if row.rules_digest is not None})
    newest = {UUID(int=digest): day for digest, day in named}
    return {
        digest: (decisions.deflate_rules(rules[digest]), day, labels.rule_ids_of(rules[digest]))
        for digest, day in newest.items()
        if digest in rules
    }


def _write(arrived: Sequence[LedgerRow], now: datetime, rules: Mapping[UUID, usage_pb2.RulesSeen]) -> list[LedgerRow]:
    """Insert what arriving rows add; returns the rows really inserted."""
    lock_ledger(is_exclusive=any(row.kind not in (FINAL, ADJUSTMENT) or row.revision for row in arrived))
    stored = _stored((row.day, row.exchange_id) for row in arrived)
    return _insert(replacement.additions(arrived, replacement.standing(stored)), now, rules)


def _insert(added: list[LedgerRow], now: datetime, rules: Mapping[UUID, usage_pb2.RulesSeen]) -> list[LedgerRow]:
    """Write rows, sorted by their key, and add them to all sums; returns those that the ledger did not have.

    What they add is worked out first, here and in PostgreSQL: from the first sum that is added to until the end of the
    transaction other workers wait that have something to add to the same.
    """
    if not added:
        return []
    if ends := closing.closed_ends():
        added = closing.date_rows(added, ends, now)
    labelled = labels.label_sets(added, _rule_ids(added, rules), _LABEL_BOUNDS, now=now)
    staging.arriving_stage(added, labelled.numbers)
    new = staging.ledger_insert()
    if new is not None:
        added = [row for row in added if row.key in new]
    if not added:
        return []
    decided = [(row, decisions.unpack(row.decision)) for row in added if row.decision or row.rules_digest]
    days, spent = rule_days.fold_rule_days(decided, rules), spending.fold_spending(decided)
    refused, kept = refusals.budget_refusals(decided, rules), _rules_to_keep(added, rules)
    if labelled.sets:
        staging.label_sets_stage(labelled.sets)
    latencies = fold_latencies(added)
    staging.latencies_stage(latencies)
    merging.fold_rows(has_labels=bool(labelled.sets))
    merging.merge_rows(
        has_sessions=any(row.session_id for row in added),
        has_labels=bool(labelled.sets),
        is_one_minute=len({minute for minute, _ in latencies}) == 1,
    )
    if labelled.overflow:
        labels.overflow_add(labelled.overflow, now=now)
    staging.merge_rules(kept)
    staging.merge_rule_days(days)
    # Last: a counter of a whole organization is touched by every worker.
    posted = staging.merge_spending(spent)
    if posted or refused:
        listening.tell_listeners(posted, refused)
    return added


def _rule_ids(rows: Iterable[LedgerRow], rules: Mapping[UUID, usage_pb2.RulesSeen]) -> dict[UUID, tuple[str, ...]]:
    """The rules that rows name by digest: as they came, or as earlier rows brought them."""
    named = {row.rules_digest for row in rows if row.rules_digest is not None}
    found = {digest: labels.rule_ids_of(rules[digest]) for digest in named if digest in rules}
    return found | labels.stored_rule_ids(named - found.keys()) if named - found.keys() else found


def _stored(asked: Iterable[tuple[date, str]]) -> list[LedgerRow]:
    """Read what the ledger has of exchanges."""
    exchanges: dict[date, set[str]] = {}
    for day, exchange_id in asked:
        exchanges.setdefault(day, set()).add(exchange_id)
    columns = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) if name in JSON_COLUMNS else sql.Identifier(name)
        for name in COLUMNS
    )
    # One day per query: the planner then looks into one partition, by its primary key.
    # Ids of exchanges are ULIDs, so a comma never belongs to one; a list of texts would be quoted one by one.
    statement = sql.SQL(
        "SELECT {} FROM usage_ledger WHERE day = %s AND exchange_id = ANY(string_to_array(%s, ','))"
    ).format(columns)
    stored: list[LedgerRow] = []
    with connection.cursor() as cursor:
        for day, ids in sorted(exchanges.items()):
            cursor.execute(statement, [day, ",".join(sorted(ids))])
            stored.extend(LedgerRow(*values) for values in cursor.fetchall())
    return stored


def _events_of(batch: _Batch) -> Iterable[usage_pb2.SequencedEvent]:
    try:
        return usage_pb2.UsageBatch.FromString(batch.payload).events
    except DecodeError as failure:
        raise UnbookableBatches([batch.id], "the payload is no UsageBatch") from failure


def _park(failure: UnbookableBatches) -> None:
    InboxBatch.objects.filter(id__in=failure.ids).update(parked_reason=failure.why[:500])
    log.error("usage batch parked", batch_ids=list(failure.ids), why=failure.why)
