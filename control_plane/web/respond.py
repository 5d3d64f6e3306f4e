"""How a view answers what htmx asked for: another page, or a whole page in place of the present one."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from control_plane.web.context import LAYOUTS
from control_plane.web.request import is_fragment


def go_to(request: HttpRequest, address: str) -> HttpResponse:
    """Lead the browser to another page after a form; also when htmx sent it."""
    if not is_fragment(request):
        return HttpResponseRedirect(address)
    response = HttpResponse(status=204)
    response.headers["HX-Redirect"] = address
    return response


def whole_page(request: HttpRequest, template: str, context: Mapping[str, Any], *, address: str) -> HttpResponse:
    """Answer a form with a page that cannot be fetched again, under an address that can.

    What is shown once (a key) must come with the answer itself: a redirect would have to carry or store it.
    """
    response = render(request, template, {**context, "layout": LAYOUTS["page"]})
    if is_fragment(request):
        response.headers["HX-Retarget"] = "#main"
        response.headers["HX-Reselect"] = "#main"
        response.headers["HX-Reswap"] = "outerHTML"
        response.headers["HX-Push-Url"] = address
        response.headers["HX-Trigger-After-Settle"] = "sheet-close"
    return response


def form_status(form_errors: object) -> int:
    """422 for a form with errors: browsers and htmx show it, nothing mistakes it for success."""
    return 422 if form_errors else 200
