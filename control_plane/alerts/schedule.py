"""What beat does for alerts; the Celery settings merge this in."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "alerts: send": {"task": "alerts.send", "schedule": 10.0, "options": {"expires": 10}},
    "alerts: sweep": {"task": "alerts.sweep", "schedule": 60.0, "options": {"expires": 60}},
    "alerts: forget": {"task": "alerts.forget", "schedule": 86_400.0, "options": {"expires": 3600}},
}
