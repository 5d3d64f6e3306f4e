"""Celery's doors into usage. A message is only a hint: what is to be done lies in the inbox."""

from datetime import timedelta
from uuid import UUID

import redis
import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from control_plane.keys.counter_store import open_counter_store
from control_plane.usage.aggregation import book_waiting
from control_plane.usage.completeness import sequences_forget
from control_plane.usage.measuring import models_measure
from control_plane.usage.orphan_sweep import orphans_book
from control_plane.usage.partitions import partitions_drop_before, partitions_ensure_ahead
from control_plane.usage.peaks import peaks_measure
from control_plane.usage.repricing import repricing_work, unfinished_repricings
from control_plane.usage.retention import decisions_forget, minutes_forget, odd_forget

log = structlog.get_logger(__name__)

STORE_TIMEOUT_S = 5.0


@shared_task(name="usage.aggregate", ignore_result=True, acks_late=True, reject_on_worker_lost=True)
def aggregate() -> None:
    """Book what waits in the inbox."""
    booked = book_waiting(now=timezone.now(), ledger_days=settings.SWITCHYARD.ledger_days)
    if booked.batches:
        log.info("usage booked", batches=booked.batches, events=booked.events, rows=booked.rows)


@shared_task(name="usage.orphans", ignore_result=True)
def estimate_orphans() -> None:
    """Book what the counter store held for pods that are gone. While the store is away there is nothing to see."""
    store = open_counter_store(STORE_TIMEOUT_S)
    try:
        with store:
            swept = orphans_book(store=store, now=timezone.now())
    except redis.RedisError as failure:
        log.warning("orphans not looked for", why=type(failure).__name__)
        return
    if swept.booked or swept.never_sent or swept.unreadable:
        log.info(
            "orphans looked for",
            booked=swept.booked,
            known=swept.known,
            never_sent=swept.never_sent,
            unreadable=swept.unreadable,
        )


@shared_task(name="usage.partitions", ignore_result=True, acks_late=True)
def keep_partitions() -> None:
    """Make the ledger's coming partitions, drop those it no longer keeps, and what went with them."""
    now = timezone.now()
    today = now.date()
    partitions_ensure_ahead(today=today)
    dropped = partitions_drop_before(oldest=today - timedelta(days=settings.SWITCHYARD.ledger_days - 1))
    if dropped:
        log.info("ledger partitions dropped", count=len(dropped), newest=dropped[-1].isoformat())
    decisions_forget(now=now, ledger_days=settings.SWITCHYARD.ledger_days)
    sequences_forget(now=now, ledger_days=settings.SWITCHYARD.ledger_days)
    minutes_forget(now=now, minutes_days=settings.SWITCHYARD.minutes_days)
    odd_forget(
        now=now,
        quarantine_days=settings.SWITCHYARD.quarantine_days,
        failed_authentication_days=settings.SWITCHYARD.failed_authentication_days,
    )


@shared_task(name="usage.measure_models", ignore_result=True, acks_late=True)
def measure_models() -> None:
    """Read the days that closed. What moved goes to pods when policies are compiled next, within a day."""
    moved = models_measure(now=timezone.now())
    if moved:
        log.info("models measured anew", moved=moved)


@shared_task(name="usage.measure_peaks", ignore_result=True, acks_late=True)
def measure_peaks() -> None:
    """Read how much ran at once in the hours that closed."""
    peaks_measure(now=timezone.now())


@shared_task(name="usage.reprice", ignore_result=True, acks_late=True, reject_on_worker_lost=True)
def reprice(run_id: str) -> None:
    """Go on with a repricing."""
    repricing_work(UUID(run_id))


@shared_task(name="usage.reprice_unfinished", ignore_result=True, acks_late=True)
def reprice_unfinished() -> None:
    """Go on with repricings whose message was lost, or whose worker was."""
    for run_id in unfinished_repricings():
        repricing_work(run_id)
