"""What beat does for forecasts; the Celery settings merge this in."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # An organization is forecast once an hour (`tasks.EVERY`); more often only so that a new one need not wait for it.
    "forecasts: make": {"task": "forecasts.make", "schedule": 600.0, "options": {"expires": 600}},
    "forecasts: score": {"task": "forecasts.score", "schedule": 3600.0 * 6, "options": {"expires": 3600}},
}
