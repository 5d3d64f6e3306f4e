"""What beat does for policy as code; the Celery settings merge this in."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "declarative: sweep": {"task": "declarative.sweep", "schedule": 60.0, "options": {"expires": 60}},
}
