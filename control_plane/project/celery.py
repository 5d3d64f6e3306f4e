"""The Celery application: broker settings come from Django's, tasks from each app's `tasks.py`."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from django.conf import settings

from control_plane.project.heartbeat import Heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.project.settings.production")

app = Celery("switchyard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()

_heartbeats: list[Heartbeat] = []


@setup_logging.connect
def keep_our_logs(**_: Any) -> None:
    """Being connected is what keeps Celery from setting up logs of its own."""


@worker_ready.connect
def begin_heartbeat(**_: Any) -> None:
    """The worker takes messages from now on."""
    heartbeat = Heartbeat(settings.SWITCHYARD.redis_url)
    heartbeat.start()
    _heartbeats.append(heartbeat)


@worker_shutting_down.connect
def end_heartbeat(**_: Any) -> None:
    """The worker takes no more messages."""
    while _heartbeats:
        _heartbeats.pop().stop()
