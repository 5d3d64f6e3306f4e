"""Sweeps over accounts."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore


@shared_task(name="accounts.sessions_clear")
def clear_sessions() -> None:
    """Sessions of the console that have run out."""
    SessionStore.clear_expired()
