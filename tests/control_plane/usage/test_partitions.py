"""Daily partitions of the ledger."""

from datetime import date, timedelta

import pytest
from django.db import connection

from control_plane.usage.partitions import (
    existing_days,
    partitions_drop_before,
    partitions_ensure,
    partitions_ensure_ahead,
)
from tests.control_plane.usage.books import an_organization, ledger, put_and_book
from tests.control_plane.usage.events import NOW, a_batch, an_event

TODAY = NOW.date()


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
