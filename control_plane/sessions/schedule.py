"""What beat does for sessions; the Celery settings merge this in."""

from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sessions: analyse": {"task": "sessions.analyse", "schedule": 10.0, "options": {"expires": 10}},
}
