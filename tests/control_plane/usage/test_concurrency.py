"""Several aggregators at once, and one that is killed in the middle."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection, transaction

from control_plane.usage import aggregation
from control_plane.usage.aggregation import Booked, book_claim, book_waiting
from control_plane.usage.models import InboxBatch
from tests.control_plane.usage.books import (
    LEDGER_DAYS,
    an_organization,
    assert_books_agree,
    assert_one_standing_row_each,
    book,
    ledger,
    put,
)
from tests.control_plane.usage.events import NOW, a_batch, an_event, estimated

pytestmark = pytest.mark.django_db(transaction=True)

KILLED_WORKER = """
import sys, time
import django
django.setup()
from control_plane.usage import staging
from control_plane.usage.aggregation import book_waiting
from tests.control_plane.usage.events import NOW

def hang(ids):
    print("in the middle", flush=True)
    time.sleep(120)

staging.delete_batches = hang
book_waiting(now=NOW, ledger_days=396)
"""


def in_threads(count: int, work: Callable[[], Booked]) -> list[Booked]:
    """Run the work in threads, each with a connection of its own; re-raises what one of them raised."""
    results: list[Booked] = []
    failures: list[BaseException] = []
    begin = threading.Barrier(count)

    def run() -> None:
        try:
            begin.wait()
            results.append(work())
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]
    return results


def test_eight_aggregators_book_overlapping_batches_once_and_without_a_deadlock() -> None:
    an_organization()
    chance = random.Random(7)
    events = [
        an_event(number, session_id=f"s{number % 7}", key_id=f"key{number % 5}", model=f"m{number % 3}")
        for number in range(300)
    ]
    for batch in range(40):
        # Every event is reported about four times, from pods that do not agree on the order, some as estimates too.
        reported = chance.sample(events, 30)
        reported = [estimated(event) if chance.random() < 0.1 else event for event in reported]
        put(a_batch(reported, first_sequence=1 + 100 * batch, pod=f"pod-{batch % 4}"))
    put(a_batch(events, first_sequence=9000))

    booked = in_threads(8, book_in_small_claims)

    assert sum(one.batches for one in booked) == 41
    standing = [row for row in ledger() if row.kind == "final"]
    assert len(standing) == 300
    assert sum(row.cost_nano_usd for row in ledger()) == 300 * 3_000_000
    assert_one_standing_row_each()
    assert_books_agree()


def book_in_small_claims() -> Booked:
    total = Booked()
    while (booked := book_claim(now=NOW, ledger_days=LEDGER_DAYS, most_batches=2)).batches:
        total = total.plus(booked)
    return total


def test_an_estimate_and_its_final_booked_side_by_side_leave_the_final() -> None:
    an_organization()
    events = [an_event(number) for number in range(60)]
    for number, event in enumerate(events):
        put(a_batch([estimated(event)], first_sequence=1 + 2 * number, pod="pod-a"))
        put(a_batch([event], first_sequence=2 + 2 * number, pod="pod-b"))

    in_threads(4, book_in_small_claims)

    assert sum(row.cost_nano_usd for row in ledger()) == 60 * 3_000_000
    assert_one_standing_row_each()
    assert_books_agree()


def test_a_killed_worker_leaves_its_batches_to_the_next() -> None:
    an_organization()
    put(a_batch([an_event(1), an_event(2)]))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WORKER],
        cwd=Path(__file__).resolve().parents[3],
        env={**os.environ, "DATABASE_URL": database_url(), "PYTHONPATH": ".:proto"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in the middle\n"
    # Claimed by a worker that is alive: nobody else takes it.
    assert book().batches == 0

    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    while not (booked := book()).batches:
        # PostgreSQL needs a moment to see that the connection is gone.
        pass

    assert booked.rows == 2
    assert_books_agree()


def test_a_claim_of_another_is_passed_over() -> None:
    an_organization()
    put(a_batch([an_event(1)]))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM usage_inboxbatch FOR UPDATE")
        others = in_threads(1, lambda: book_waiting(now=NOW, ledger_days=LEDGER_DAYS))

    assert others == [Booked()]


def database_url() -> str:
    database = connection.settings_dict
    user, password = quote(str(database["USER"])), quote(str(database["PASSWORD"]))
    return f"postgresql://{user}:{password}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def test_while_another_books_what_follows_waits_for_company() -> None:
    an_organization()
    put(a_batch([an_event(1)]))
    first = InboxBatch.objects.get()
    put(a_batch([an_event(2)], first_sequence=2))

    def patient() -> Booked:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT id FROM usage_inboxbatch WHERE id = %s FOR UPDATE", [first.id])
            (booked,) = in_threads(1, lambda: book_claim(now=NOW, ledger_days=LEDGER_DAYS, apart_s=30.0))
            return booked

    put_off = patient()
    InboxBatch.objects.update(received_at=datetime.now(UTC) - timedelta(seconds=31))
    taken = patient()

    assert put_off.batches == 0
    assert 0 < put_off.wait_s <= 30
    assert taken.batches == 1
    # Nobody else books any more.
    assert book().batches == 1
    assert_books_agree()


def test_nobody_waits_for_company_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregation, "CLAIMS_APART_S", 0.05)
    an_organization()
    put(a_batch([an_event(1)]))
    first = InboxBatch.objects.get()
    put(a_batch([an_event(2)], first_sequence=2))
    # By a clock that is ahead of ours.
    InboxBatch.objects.update(received_at=datetime.now(UTC) + timedelta(hours=1))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT id FROM usage_inboxbatch WHERE id = %s FOR UPDATE", [first.id])
        (booked,) = in_threads(1, lambda: book_waiting(now=NOW, ledger_days=LEDGER_DAYS))

    assert booked.batches == 1
    assert_books_agree()
