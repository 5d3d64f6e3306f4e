"""Sweeps over accounts."""

from celery import shared_task
from django.contrib.sessions.backends.db import SessionStore

from control_plane.accounts.services import sessions_forget_ended


@shared_task(name="accounts.sessions_clear")
def clear_sessions() -> None:
    """Sessions of the console that have run out."""
    SessionStore.clear_expired()
    sessions_forget_ended()
