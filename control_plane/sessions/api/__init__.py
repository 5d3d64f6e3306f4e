"""REST: conversation sessions, what they wasted, how their turns ended."""

from control_plane.sessions.api.sessions import SessionViewSet
from control_plane.sessions.api.settings import SessionSettingsView

__all__ = ["SessionSettingsView", "SessionViewSet"]
