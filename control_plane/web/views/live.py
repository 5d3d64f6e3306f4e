"""What goes through the gateway now: the exchanges that ended last, looked at again every two seconds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.organizations.roles import Permission, can
from control_plane.usage.selectors.exchanges import Exchange
from control_plane.usage.selectors.latest import exchanges_ended
from control_plane.web.exchange_search import read_search, tone_of
from control_plane.web.fleet_rows import fleet_standing
from control_plane.web.names import Names
from control_plane.web.request import ConsoleRequest

MOST_SHOWN = 60
LOOKS_BACK = timedelta(hours=1)
PULSE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the shown exchanges of the last minute come to. is_cut: there were more than are shown."""

    requests: int
    troubled: int
    refused: int
    cost_nano_usd: int
    is_cut: bool


@require_GET
def live(request: ConsoleRequest) -> HttpResponse:
    names = Names(request.organization)
    search, filters, chips = read_search(request, names)
    now = timezone.now()
    shown = exchanges_ended(search, ended_since=now - LOOKS_BACK, now=now, limit=MOST_SHOWN)
    names.learn("user", {one.first.principal_id.hex for one in shown if one.first.principal_id})
    context = {
        "rows": [(one, names.principal(one.first.principal_id), tone_of(one)) for one in shown],
        "pulse": _pulse(shown, now),
        "filters": filters,
        "chosen": {
            one.name: value if one.options or not value else names.of(one.name, names.find(one.name, value) or value)
            for one in filters
            for value in (request.GET.get(one.name, ""),)
        },
        "chips": chips,
        "search": request.GET.get("q", "").strip(),
    }
    if can(request.standing, Permission.FLEET_READ):
        context["in_flight"] = fleet_standing(request.organization, now).in_flight
    return render(request, "web/traffic/live.html", context)


def _pulse(shown: tuple[Exchange, ...], now: datetime) -> Pulse:
    newest = [one for one in shown if one.ended_at >= now - PULSE]
    return Pulse(
        len(newest),
        sum(one.last.outcome in ("failed", "internal") for one in newest),
        sum(one.last.outcome == "refused" for one in newest),
        sum(one.cost_nano_usd for one in newest),
        is_cut=len(newest) == MOST_SHOWN,
    )
