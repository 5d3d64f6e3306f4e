"""For work on the control plane itself: readable error pages when SWITCHYARD_DEBUG says so."""

from control_plane.project.settings.base import *  # noqa: F403
from control_plane.project.settings.base import SWITCHYARD

DEBUG = SWITCHYARD.is_debug
