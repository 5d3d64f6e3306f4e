"""Who may open a page. Every address of the console passes here; one that did not would be open to nobody.

A signed-out person is led to the sign-in page. What a role cannot use answers 404, so that its existence is not told.
"""

from collections.abc import Callable
from enum import Enum
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.organizations.models import Membership
from control_plane.organizations.selectors import membership_of, organization_by_id, organizations_of
from control_plane.web.request import ConsoleRequest, is_fragment

ORGANIZATION_IN_SESSION = "organization"


class Access(Enum):
    PUBLIC = "anybody, signed in or not"
    MEMBER = "every member of the organization"
    ADMIN = "admins of the organization"


ConsoleView = Callable[..., HttpResponseBase]


def page(route: str, view: ConsoleView, name: str, access: Access) -> URLPattern:
    """An address of the console and who may open it."""
    return path(route, console_page(view, access), name=name)


def console_page(view: ConsoleView, access: Access) -> ConsoleView:
    """Let a view run only for those who may; it gets a `ConsoleRequest`, in the person's time zone."""
    if access is Access.PUBLIC:
        return view

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        user = request.user
        membership = _membership(request, user)
        if membership is None:
            return render(request, "web/no_organization.html", status=403)
        if access is Access.ADMIN and not membership.is_admin:
            raise Http404
        console_request = cast(ConsoleRequest, request)
        console_request.membership = membership
        console_request.organization = membership.organization
        with timezone.override(user.time_zone):
            response = view(console_request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                # Rendered here and not by the handler, so that times are written in the person's zone.
                response.render()
        # Pages hold what one person may see: no cache keeps them, and the back button after signing out shows nothing.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    guarded.access = access  # type: ignore[attr-defined]  # read by the test that walks all addresses
    return guarded


def _membership(request: HttpRequest, user: User) -> Membership | None:
    """The organization chosen last, while the person is still in it; else the first one."""
    chosen = request.session.get(ORGANIZATION_IN_SESSION)
    if chosen:
        organization = organization_by_id(chosen)
        membership = membership_of(user, organization) if organization else None
        if membership is not None and organization is not None:
            membership.organization = organization
            return membership
    first = organizations_of(user).first()
    if first is None:
        return None
    membership = membership_of(user, first)
    if membership is not None:
        membership.organization = first
    return membership


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    if is_fragment(request):
        # htmx would swap the sign-in page into a table; a whole-page visit is meant.
        response = HttpResponse(status=401)
        response.headers["HX-Redirect"] = reverse("web:sign-in")
        return response
    target = reverse("web:sign-in")
    if request.method == "GET" and request.path != "/":
        target += "?" + urlencode({"next": request.get_full_path()})
    return HttpResponseRedirect(target)
