"""What beat does for the REST API; the Celery settings merge this in."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "rest: prune": {"task": "rest.prune", "schedule": 3600.0, "options": {"expires": 3600}},
}
