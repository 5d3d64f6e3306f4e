"""Celery's door: forget old answers."""

from celery import shared_task
from django.utils import timezone

from control_plane.rest.idempotency import prune


@shared_task(name="rest.prune", ignore_result=True)
def prune_answers() -> None:
    prune(now=timezone.now())
