"""A real installation, also the local one: strict."""

from control_plane.project.settings.base import *  # noqa: F403
from control_plane.project.settings.base import SWITCHYARD

SECURE_HSTS_SECONDS = 365 * 24 * 3600 if SWITCHYARD.has_secure_cookies else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
