"""What others may ask of usage."""

from celery import current_app


def aggregation_hint_send() -> None:
    """Tell a worker that batches wait. Blocks while it talks to the broker; raises kombu's OperationalError."""
    current_app.send_task("usage.aggregate", retry=False, ignore_result=True, expires=60)
