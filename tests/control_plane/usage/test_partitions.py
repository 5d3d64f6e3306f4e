"""Daily partitions of the ledger."""

import threading
import time
from datetime import date, timedelta
from typing import LiteralString

import psycopg
import pytest
from django.db import connection
from psycopg.rows import TupleRow

from control_plane.usage.inbox import conninfo_of
from control_plane.usage.ledger_lock import LEDGER_LOCK
from control_plane.usage.partitions import (
    existing_days,
    partitions_drop_before,
    partitions_ensure,
    partitions_ensure_ahead,
)
from tests.control_plane.usage.books import an_organization, ledger, put_and_book
from tests.control_plane.usage.events import NOW, a_batch, an_event

TODAY = NOW.date()
_DETACHING = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.django_db
def test_partitions_are_made_a_week_ahead_and_once() -> None:
    made = partitions_ensure_ahead(today=TODAY)

    assert set(made) <= {TODAY + timedelta(days=ahead) for ahead in range(8)}
    assert {TODAY + timedelta(days=ahead) for ahead in range(8)} <= existing_days().keys()
    assert partitions_ensure_ahead(today=TODAY) == []


@pytest.mark.django_db
def test_a_partition_made_on_demand_has_the_keys_and_the_trigger_of_the_ledger() -> None:
    day = date(2026, 1, 5)
    partitions_ensure([day])

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'usage_ledger'")
        of_the_ledger = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'usage_ledger_20260105'")
        assert cursor.fetchone() == of_the_ledger
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'usage_ledger_20260105'::regclass")
        assert cursor.fetchall() == [("usage_ledger_append_only",)]


@pytest.mark.django_db(transaction=True)
def test_old_days_are_dropped_and_the_rest_stays() -> None:
    an_organization()
    put_and_book(a_batch([an_event(1), an_event(2, at=NOW - timedelta(days=40))]))

    dropped = partitions_drop_before(oldest=TODAY - timedelta(days=30))

    assert TODAY - timedelta(days=40) in dropped
    assert [row.day for row in ledger()] == [TODAY]
    assert min(existing_days()) >= TODAY - timedelta(days=30)


@pytest.mark.django_db(transaction=True)
def test_a_detachment_that_a_crash_interrupted_is_finished() -> None:
    day = date(2026, 2, 1)
    partitions_ensure([day])
    # What a crash between the two steps of a concurrent detachment leaves behind.
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'usage_ledger_20260201'::regclass"
        )

    assert day in partitions_drop_before(oldest=date(2026, 3, 1))
    assert day not in existing_days()


@pytest.mark.django_db(transaction=True)
def test_a_partition_that_a_crash_left_detached_is_dropped() -> None:
    days = [date(2026, 2, 1), date(2026, 2, 2)]
    partitions_ensure(days)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE usage_ledger DETACH PARTITION usage_ledger_20260201 CONCURRENTLY")

    assert set(days) <= set(partitions_drop_before(oldest=date(2026, 3, 1)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('usage_ledger_20260201'), to_regclass('usage_ledger_20260202')")
        assert cursor.fetchone() == (None, None)
    assert partitions_drop_before(oldest=date(2026, 3, 1)) == []


@pytest.mark.django_db(transaction=True)
def test_who_reads_for_long_is_not_waited_for_and_locks_nobody_out() -> None:
    an_organization()
    put_and_book(a_batch([an_event(1), an_event(2, at=NOW - timedelta(days=40))]))
    job = threading.Thread(target=_drop_and_leave)
    with psycopg.connect(conninfo_of(connection.settings_dict)) as reader:
        assert reader.execute("SELECT count(*) FROM usage_ledger").fetchone() == (2,)
        job.start()
        with psycopg.connect(conninfo_of(connection.settings_dict), autocommit=True) as watcher:
            # The old day is being detached, which waits for the reader and for nobody else.
            _wait_for_some(watcher, _DETACHING)
            watcher.execute("SET lock_timeout = '2s'")
            assert watcher.execute("SELECT count(*) FROM usage_ledger").fetchone() == (1,)
            put_and_book(a_batch([an_event(3)]))
        assert job.is_alive()
        assert reader.execute("SELECT count(*) FROM usage_ledger WHERE exchange_id > ''").fetchone() is not None
    job.join(20)

    assert TODAY - timedelta(days=40) not in existing_days()
    assert {row.day for row in ledger()} == {TODAY}


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_for_workers_holds_up_no_reader() -> None:
    an_organization()
    put_and_book(a_batch([an_event(1), an_event(2, at=NOW - timedelta(days=40))]))
    job = threading.Thread(target=_drop_and_leave)

    with psycopg.connect(conninfo_of(connection.settings_dict)) as worker:
        worker.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", LEDGER_LOCK)
        worker.execute("SELECT count(*) FROM usage_ledger")
        job.start()
        with psycopg.connect(conninfo_of(connection.settings_dict), autocommit=True) as reader:
            _wait_for_some(reader, _WAITING)
            reader.execute("SET lock_timeout = '2s'")
            assert reader.execute("SELECT count(*) FROM usage_ledger").fetchone() == (2,)
    job.join(20)

    assert {row.day for row in ledger()} == {TODAY}


def _wait_for_some(by: "psycopg.Connection[TupleRow]", count: LiteralString) -> None:
    """Ask until the count is no longer nothing."""
    deadline = time.monotonic() + 20
    while by.execute(count).fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _drop_and_leave() -> None:
    try:
        partitions_drop_before(oldest=TODAY - timedelta(days=30))
    finally:
        connection.close()
