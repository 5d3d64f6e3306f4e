"""Sweeps over the fleet."""

from celery import shared_task

from control_plane.fleet.services import pods_forget


@shared_task(name="fleet.forget")
def forget_pods() -> None:
    """Pods that have been gone for long."""
    pods_forget()
