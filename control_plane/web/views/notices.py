"""The bell: asked for after the page, so that no page waits for it."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from control_plane.web.notices import notice_dismiss, notices_for
from control_plane.web.request import ConsoleRequest


@require_GET
def notices(request: ConsoleRequest) -> HttpResponse:
    return render(request, "web/shell/notices.html", {"notices": notices_for(request.standing)})


@require_POST
def dismiss(request: ConsoleRequest) -> HttpResponse:
    """Put one away, or with `all` everything that is shown now."""
    shown = notices_for(request.standing)
    wanted = [notice.id for notice in shown] if "all" in request.POST else [request.POST.get("notice", "")]
    for notice_id in wanted:
        notice_dismiss(request.standing, notice_id)
    context = {"notices": notices_for(request.standing), "is_open": True}
    return render(request, "web/shell/notices.html", context)
