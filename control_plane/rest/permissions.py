"""Who may use a resource. Apart from the views, since Django REST framework loads it while it loads itself."""

from collections.abc import Sequence
from typing import Any

from rest_framework import permissions
from rest_framework.request import Request

from control_plane.rest.caller import Caller


class IsCaller(permissions.BasePermission):
    """Whoever is authenticated; and only admins where the view says so."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Caller):
            return False
        action = getattr(view, "action", None) or str(request.method).lower()
        member_actions: Sequence[str] | None = getattr(view, "member_actions", None)
        if member_actions is None or request.auth.is_admin or action == "metadata":
            return True
        return action in member_actions
