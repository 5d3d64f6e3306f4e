"""What every page of the console knows. Also the one spot where full page or fragment is chosen."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import HttpRequest

from control_plane.accounts.models import Theme, User
from control_plane.organizations.models import Membership
from control_plane.organizations.roles import Permission, Reach, Standing, may_at_all, reach_of
from control_plane.organizations.selectors import organizations_of
from control_plane.web.places import Place, places_for
from control_plane.web.request import is_fragment

SHEET = "sheet"
"""The id of the dialog that pages open in."""
THEME_COOKIE = "switchyard-theme"
RAIL_COOKIE = "switchyard-rail"

LAYOUTS = {"page": "web/layouts/page.html", "fragment": "web/layouts/fragment.html", "sheet": "web/layouts/sheet.html"}


@dataclass(frozen=True, slots=True)
class May:
    """`may.teams_manage` in a template: whether there can be anything this person may do that to."""

    standing: Standing

    def __getitem__(self, name: str) -> bool:
        return may_at_all(self.standing, Permission[name.upper()])


@dataclass(frozen=True, slots=True)
class SeesAll:
    """`sees_all.usage_read` in a template: whether the right goes over everything in the organization."""

    standing: Standing

    def __getitem__(self, name: str) -> bool:
        return reach_of(self.standing, Permission[name.upper()]) is Reach.ALL


def console(request: HttpRequest) -> dict[str, Any]:
    """Layout, theme and places for a template. Templates say `{% extends layout %}` and define blocks."""
    membership: Membership | None = getattr(request, "membership", None)
    context: dict[str, Any] = {"layout": LAYOUTS[_layout(request)], "theme": _theme(request)}
    if membership is None:
        return context
    standing: Standing = request.standing  # type: ignore[attr-defined]  # it came together with the membership
    places = places_for(standing)
    current = request.resolver_match.url_name if request.resolver_match else ""
    context |= {
        "organization": membership.organization,
        "membership": membership,
        "may": May(standing),
        "is_break_glass": getattr(request, "is_break_glass", False),
        "sees_all": SeesAll(standing),
        "groups": [(group, list(members)) for group, members in groupby(places, key=lambda place: place.group)],
        "current_place": _current(places, current or ""),
        "letters": [(place.letter, place.title) for place in places],
        "is_rail_slim": request.COOKIES.get(RAIL_COOKIE) == "slim",
    }
    if not is_fragment(request):
        context["organizations"] = list(organizations_of(membership.user))
    return context


def _layout(request: HttpRequest) -> str:
    if not is_fragment(request):
        return "page"
    return "sheet" if request.headers.get("HX-Target") == SHEET else "fragment"


def _theme(request: HttpRequest) -> str:
    """light, dark, or empty for what the system says."""
    # An error page may be drawn before anybody knows who asks.
    user = getattr(request, "user", None)
    chosen = str(user.theme) if isinstance(user, User) else request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in (Theme.LIGHT, Theme.DARK) else ""


def _current(places: tuple[Place, ...], url_name: str) -> Place | None:
    return next((place for place in places if url_name == place.url_name or url_name in place.also_current), None)
