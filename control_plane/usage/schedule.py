"""What beat does for usage; the Celery settings merge this in."""

from datetime import timedelta
from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "usage.sweep": {
        "task": "usage.aggregate",
        "schedule": timedelta(seconds=5),
        # A sweep that waited in the queue is worth nothing: the next one does the same.
        "options": {"expires": 5},
    },
    "usage.orphans": {
        # What no pod runs is given back after two minutes; a moment more does not matter.
        "task": "usage.orphans",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "usage.partitions": {
        "task": "usage.partitions",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "usage.reprice": {
        "task": "usage.reprice_unfinished",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "usage.peaks": {
        "task": "usage.measure_peaks",
        "schedule": timedelta(minutes=20),
        "options": {"expires": 600},
    },
    "usage.models": {
        # A day is read once; more often only so that a beat that was away at night makes up for it.
        "task": "usage.measure_models",
        "schedule": timedelta(hours=3),
        "options": {"expires": 3600},
    },
}
