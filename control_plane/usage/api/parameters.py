"""What addresses of usage may ask: ranges of time, and people and things by id or by name."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from control_plane.accounts.models import User
from control_plane.credentials.models import Provider
from control_plane.keys.models import VirtualKey
from control_plane.organizations.models import ServiceAccount, Team
from control_plane.organizations.roles import Permission
from control_plane.rest.caller import Caller, caller_of
from control_plane.usage.selectors import Scope

NOBODY = UUID(int=0)
"""Stands for a name that leads to nobody: nothing matches it."""


def query(name: str, description: str = "", **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=description, **more)


RANGE_PARAMETERS = [
    query("from", "Begin of the range: an instant (ISO 8601), or a date, which begins in the time zone."),
    query("to", "End of the range, exclusive; left out: now."),
    query("timezone", "Name of a time zone such as Europe/Berlin; left out: UTC."),
]


def scope_of(caller: Caller, permission: Permission = Permission.USAGE_READ) -> Scope:
    return Scope.of(caller.standing, permission)


def zone_of(request: Request) -> ZoneInfo:
    name = request.query_params.get("timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as failure:
        raise ValidationError({"timezone": f"{name[:60]!r} is no time zone such as Europe/Berlin."}) from failure


def instant_of(request: Request, name: str, zone: ZoneInfo) -> datetime | None:
    """Read an instant or a date from the query; raises ValidationError."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        # A plus sign in an address is a space when it was not escaped.
        at = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        if at is None and (day := parse_date(text)) is not None:
            at = datetime(day.year, day.month, day.day)
    except ValueError:
        at = None
    if at is None:
        raise ValidationError({name: "An instant such as 2026-11-21T09:00:00Z, or a date."})
    return at if timezone.is_aware(at) else at.replace(tzinfo=zone)


def range_of(request: Request, zone: ZoneInfo, default: timedelta) -> tuple[datetime, datetime]:
    until = instant_of(request, "to", zone) or timezone.now()
    since = instant_of(request, "from", zone) or until - default
    if until <= since:
        raise ValidationError({"to": "The end must come after the begin."})
    return since, until


def principal_of(request: Request, text: str) -> UUID:
    """A person by e-mail or a service account by name, or either by id."""
    organization = caller_of(request).organization
    return (
        _found(User.objects.filter(virtual_keys__organization=organization), "email", text.lower())
        or _found(User.objects.filter(memberships__organization=organization), "email", text.lower())
        or _found(ServiceAccount.objects.filter(organization=organization), "name", text)
        or _id_of(text)
    )


def team_of(request: Request, text: str) -> UUID:
    return _found(Team.objects.filter(organization=caller_of(request).organization), "name", text) or _id_of(text)


def provider_of(request: Request, text: str) -> UUID:
    return _found(Provider.objects.filter(organization=caller_of(request).organization), "name", text) or _id_of(text)


def key_of(request: Request, text: str) -> str:
    """A key by its public id, or by the id of its row."""
    try:
        row_id = UUID(text)
    except ValueError:
        return text
    keys = VirtualKey.objects.filter(organization=caller_of(request).organization, id=row_id)
    return keys.values_list("key_id", flat=True).first() or text


def _found(rows: QuerySet[Any], name: str, text: str) -> UUID | None:
    found: UUID | None = rows.filter(**{name: text}).values_list("id", flat=True).first()
    return found


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return NOBODY
