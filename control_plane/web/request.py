"""The request as console views see it: signed in, in an organization, with a role."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from control_plane.accounts.models import User
from control_plane.accounts.services import actor_of
from control_plane.audit.services import MOST_REASON, Actor
from control_plane.organizations.models import Membership, Organization
from control_plane.organizations.roles import Permission, Standing
from control_plane.usage.selectors.scope import Scope
from control_plane.web.ranges import month_start


class ConsoleRequest(HttpRequest):
    """What `access.console_page` hands to a view. Never built by itself: an ordinary request gets these attributes."""

    if TYPE_CHECKING:
        # Narrower than Django's own attribute: a console view runs for signed-in people only.
        user: User
    htmx: HtmxDetails
    organization: Organization
    membership: Membership
    standing: Standing
    is_break_glass: bool
    """Whether the person is past enforced single sign-on, by password and second factor."""


def actor(request: ConsoleRequest) -> Actor:
    """Who acts, for the audit; and why, where the form has a field for it."""
    reason = request.POST.get("reason", "").replace("\x00", "").strip()[:MOST_REASON]
    return replace(actor_of(request.user, source_address=request.META.get("REMOTE_ADDR", "")), reason=reason)


def scope(request: ConsoleRequest, permission: Permission = Permission.USAGE_READ) -> Scope:
    """Whose usage this person may see: everybody's, their teams' and their own, or their own."""
    return Scope.of(request.standing, permission)


def own_scope(request: ConsoleRequest) -> Scope:
    return Scope(request.organization.id, frozenset({request.user.id}))


def zone_of(request: ConsoleRequest) -> ZoneInfo:
    """The zone in which this person's days begin."""
    return ZoneInfo(request.user.time_zone)


def month_of(request: ConsoleRequest) -> datetime:
    """When this month began, for this person."""
    return month_start(zone_of(request), timezone.now())


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page rather than a whole one."""
    htmx: HtmxDetails | None = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request  # type: ignore[union-attr]
