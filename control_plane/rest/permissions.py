"""Who may use a resource. Apart from the views, since Django REST framework loads it while it loads itself.

Each view says in `rights` which right each of its actions needs. What one may not see is not there (404); what one
sees and may not do is refused (403), with the right's name and who has it.
"""

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from rest_framework import permissions
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from control_plane.rest.caller import Caller
from control_plane.rest.problems import ReauthenticationRequired


class IsCaller(permissions.BasePermission):
    """Whoever is authenticated and has the right that the view names for its action."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Caller):
            return False
        action = action_of(view, request)
        if action is None:
            # A method that is not offered, which is said next; or a question about the address itself.
            return True
        right = right_of(view, action)
        if right is None:
            # Nobody said who may: nobody may. A test keeps this from shipping.
            return False
        rights = request.auth.rights
        if is_of_one_object(view):
            # Whether this very object may be read decides between 404 and 403: the view looks (TenantView.initial).
            if not rights.may_at_all(reading_right_of(view, action)):
                raise Http404
        elif not rights.may_at_all(right):
            raise PermissionDenied(rights.refusal(right))
        if action in getattr(view, "asks_proof", ()):
            require_proof(request.auth)
        return True


def require_proof(caller: Caller) -> None:
    """Raise ReauthenticationRequired for a console session whose person has not proved lately who they are.

    A view names in `asks_proof` the actions that ask for it whatever they are about.
    """
    if not caller.is_proved_lately:
        raise ReauthenticationRequired


def action_of(view: Any, request: Request) -> str | None:
    """The name by which `rights` knows what is asked: an action's, or the method's of a plain view."""
    if hasattr(view, "action_map"):
        action = view.action
        return None if action in (None, "metadata") else str(action)
    method = str(request.method).lower()
    if method == "head":
        method = "get"
    return method if method != "options" and hasattr(view, method) else None


def rights_declared(view: Any) -> Mapping[str, str]:
    declared: Mapping[str, str] = getattr(view, "rights", {})
    return declared


def right_of(view: Any, action: str) -> str | None:
    return rights_declared(view).get(action)


def reading_right_of(view: Any, action: str) -> str:
    """The right that decides whether an object is there for a caller: that of reading it, else that of listing it."""
    declared = rights_declared(view)
    return declared.get("retrieve") or declared.get("list") or declared[action]


def is_of_one_object(view: Any) -> bool:
    return (getattr(view, "lookup_url_kwarg", None) or getattr(view, "lookup_field", "pk")) in view.kwargs
