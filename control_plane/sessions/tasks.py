"""Celery's door into sessions. A message is only a hint: which sessions moved stands in their rows."""

import time
from uuid import UUID

import structlog
from celery import shared_task
from django.utils import timezone

from control_plane.sessions.services import session_analyse, session_pass_over, sessions_moved, watermark_advance
from switchyard_contract.pricing import Price

log = structlog.get_logger(__name__)

BATCH = 200
LONGEST_S = 20.0
"""One run takes no longer: what is left is found by the next."""


@shared_task(name="sessions.analyse", ignore_result=True, acks_late=True)
def analyse_moved() -> None:
    """Look at sessions that moved, until none is left or the time is up."""
    run(longest_s=LONGEST_S)


def run(*, longest_s: float) -> int:
    """Look at sessions that moved; returns how many."""
    begun = time.monotonic()
    prices: dict[UUID, dict[str, Price]] = {}
    done = 0
    while time.monotonic() - begun < longest_s:
        now = timezone.now()
        waiting = sessions_moved(now=now, most=BATCH)
        for session_id in waiting:
            try:
                session_analyse(session_id, now=now, prices=prices)
            except Exception:
                # The edge of the process: one session that cannot be read must not keep the others waiting.
                log.exception("session not analysed", session=str(session_id))
                session_pass_over(session_id, now=now)
            done += 1
            if time.monotonic() - begun >= longest_s:
                break
        if len(waiting) < BATCH:
            break
    watermark_advance(now=timezone.now())
    if done:
        log.info("sessions analysed", sessions=done)
    return done
