"""Why something is done: said in the body, in a header, or in the query of a DELETE; kept in the audit.

A reason may come with every change. With what cannot be taken back, or shifts power, one is asked for: always in the
console, and over REST where the installation says so (SWITCHYARD_REASONS=everywhere).
"""

from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from control_plane.rest.caller import Caller

HEADER = "X-Switchyard-Reason"
FIELD = "reason"
LONGEST = 1000
MISSING = f"Say why: in the field `{FIELD}` or the header {HEADER}. It is kept in the audit."


def note_reason(request: Request) -> None:
    """Let every audit entry of this request have the reason that came with it. Raises ValidationError."""
    caller = request.auth
    if request.method in ("GET", "HEAD", "OPTIONS") or not isinstance(caller, Caller):
        return
    reason = _reason_in(request)
    if reason:
        request.auth = replace(caller, actor=replace(caller.actor, reason=reason))


def require_reason(caller: Caller) -> None:
    """Raise ValidationError where a reason is asked for and none came."""
    if settings.SWITCHYARD.requires_reasons and not caller.actor.reason:
        raise ValidationError({FIELD: MISSING})


def _reason_in(request: Request) -> str:
    found: Any = request.data.get(FIELD) if isinstance(request.data, dict) else None
    found = found or unquote(request.headers.get(HEADER, ""))
    if not found and request.method == "DELETE":
        found = request.query_params.get(FIELD, "")
    if found is None:
        return ""
    if not isinstance(found, str):
        raise ValidationError({FIELD: "Text, please."})
    if len(found) > LONGEST or "\x00" in found:
        raise ValidationError({FIELD: f"At most {LONGEST} characters, none of them NUL."})
    return found.strip()
