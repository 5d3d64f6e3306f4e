"""Who may open a page. Every address of the console passes here; one that did not would be open to nobody.

A signed-out person is led to the sign-in page. What a role cannot use answers 404, so that its existence is not told;
within a page the same right narrows the rows (organizations.reach, keys.reach, usage's Scope).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from control_plane.identity.entry import Entry
from control_plane.identity.selectors import is_proved_lately, membership_opened
from control_plane.organizations.roles import Permission, Reach, Standing, may_at_all, reach_of
from control_plane.organizations.selectors import standing_of
from control_plane.web.confirming import confirm_address
from control_plane.web.request import ConsoleRequest, is_fragment

ORGANIZATION_IN_SESSION = "organization"
SAFE = ("GET", "HEAD", "OPTIONS")


class Access(Enum):
    PUBLIC = "anybody, signed in or not"
    SIGNED_IN = "every member of the organization, whatever the role"


class Fresh(Enum):
    """Where a person must have proved lately who they are (identity.proofs)."""

    NOT_ASKED = "a session is enough"
    FORM = "to see the form and to send it"
    SENDING = "to send the form; the page around it is open"
    ELSEWHERE = "to send a form that stands on another page"

    def is_asked(self, method: str | None) -> bool:
        return self is Fresh.FORM or (self is not Fresh.NOT_ASKED and method not in SAFE)


@dataclass(frozen=True, slots=True)
class Need:
    """A right, and how far it must go at least for a page to be of use: a list of oneself alone is none."""

    permission: Permission
    reach: Reach = Reach.OWN

    def is_met_by(self, standing: Standing) -> bool:
        return reach_of(standing, self.permission) >= self.reach


Needed = Access | Permission | Need
ConsoleView = Callable[..., HttpResponseBase]


def page(
    route: str,
    view: ConsoleView,
    name: str,
    needed: Needed,
    *,
    change: Permission | Need | None = None,
    fresh: Fresh = Fresh.NOT_ASKED,
) -> URLPattern:
    """An address of the console and who may open it. change: what sending its form needs, where that is more."""
    return path(route, console_page(view, needed, change=change, fresh=fresh), name=name)


def console_page(
    view: ConsoleView,
    needed: Needed,
    *,
    change: Permission | Need | None = None,
    fresh: Fresh = Fresh.NOT_ASKED,
) -> ConsoleView:
    """Let a view run only for those who may; it gets a `ConsoleRequest`, in the person's time zone."""
    if needed is Access.PUBLIC:
        return view

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        user = request.user
        found = membership_opened(user, request.session, chosen=request.session.get(ORGANIZATION_IN_SESSION))
        if found is None:
            return render(request, "web/no_organization.html", status=403)
        membership, entry = found
        if entry is Entry.CLOSED:
            return _to_sign_in(request, reverse("web:sign-in-organization", args=[membership.organization.slug]))
        # Read with every request: a change of role, team or delegation bites on the next one.
        standing = standing_of(membership)
        if not is_open(standing, needed) or (request.method not in SAFE and change and not is_open(standing, change)):
            raise Http404
        if fresh.is_asked(request.method) and not is_proved_lately(request.session, membership):
            return _to_confirm(request, fresh)
        console_request = cast(ConsoleRequest, request)
        console_request.membership = membership
        console_request.organization = membership.organization
        console_request.standing = standing
        console_request.is_break_glass = entry is Entry.BREAK_GLASS
        with timezone.override(user.time_zone):
            response = view(console_request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                # Rendered here and not by the handler, so that times are written in the person's zone.
                response.render()
        # Pages hold what one person may see: no cache keeps them, and the back button after signing out shows nothing.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    guarded.needed = needed  # type: ignore[attr-defined]  # read by the tests that walk all addresses
    guarded.change = change  # type: ignore[attr-defined]
    guarded.fresh = fresh  # type: ignore[attr-defined]
    return guarded


def is_open(standing: Standing, needed: Needed) -> bool:
    """Whether a signed-in person may open what needs this."""
    match needed:
        case Access():
            return True
        case Permission():
            return may_at_all(standing, needed)
        case Need():
            return needed.is_met_by(standing)


def _to_sign_in(request: HttpRequest, target: str = "") -> HttpResponse:
    """Lead to the sign-in. target: the ways into one organization, for somebody it does not open to yet."""
    target = target or reverse("web:sign-in")
    if is_fragment(request):
        return _redirect_whole(target, status=401)
    if request.method == "GET" and request.path != "/":
        target += "?" + urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(target)


def _to_confirm(request: HttpRequest, fresh: Fresh) -> HttpResponse:
    """Ask who it is, and lead back to the form. What was sent is not done, and that is said."""
    back = request.get_full_path()
    if fresh is Fresh.ELSEWHERE:
        # Only this console's own pages are led back to (sign_ins.safe_target); a browser that says nothing goes home.
        back = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/"
    target = confirm_address(back, was_sent=request.method not in SAFE)
    return _redirect_whole(target, status=403) if is_fragment(request) else HttpResponseRedirect(target)


def _redirect_whole(target: str, *, status: int) -> HttpResponse:
    """For htmx, which would swap a page into a table or a sheet: a whole-page visit is meant."""
    response = HttpResponse(status=status)
    response.headers["HX-Redirect"] = target
    return response
