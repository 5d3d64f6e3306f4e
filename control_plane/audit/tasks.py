"""Celery's door: sign where the chains stand."""

from celery import shared_task

from control_plane.audit.heads import heads_publish


@shared_task(name="audit.publish_heads", ignore_result=True)
def publish_heads() -> None:
    heads_publish()
