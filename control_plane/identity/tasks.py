"""Sweeps over sign-ins."""

from celery import shared_task

from control_plane.identity.saml import forget_ended


@shared_task(name="identity.assertions_forget")
def forget_assertions() -> None:
    """Assertions that have expired."""
    forget_ended()
