"""The first page: where the money goes, whether anything is on fire, what is still to set up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.credentials.selectors import providers_of
from control_plane.dashboards.charts import sparkline
from control_plane.keys.reach import keys_within
from control_plane.organizations.roles import Permission, Reach, can, reach_of
from control_plane.usage.rollups import Measures
from control_plane.usage.selectors.exchanges import Exchange, ExchangeSearch, exchanges_page
from control_plane.web.flags import with_flags
from control_plane.web.fleet_rows import fleet_standing
from control_plane.web.names import Names
from control_plane.web.overview_view import BudgetLine, looks, month_so_far, nearest_budgets, sees_budgets
from control_plane.web.ranges import read_range, this_month, today
from control_plane.web.request import ConsoleRequest, scope, zone_of
from control_plane.web.usage_view import chart, group_rows, sentence, totals


@dataclass(frozen=True, slots=True)
class FirstStep:
    """One of the three steps of the first run."""

    title: str
    note: str
    is_done: bool
    action: str = ""
    address: str = ""
    opens_sheet: bool = False
    is_next: bool = False
    """The first one that is not done."""


@require_GET
def overview(request: ConsoleRequest) -> HttpResponse:
    zone = zone_of(request)
    now = timezone.now()
    day = today(now, zone)
    span = read_range("30d", "", "", now=now, zone=zone, default="30d")
    mine, names = scope(request), Names(request.organization)
    sees_others = reach_of(request.standing, Permission.USAGE_READ) > Reach.OWN
    today_totals = totals(mine, day)
    steps = first_steps(request, was_used=bool(today_totals.now.requests))
    context = {
        "today": today_totals,
        "day": day,
        "steps": steps,
        "is_set_up": all(step.is_done for step in steps),
        "names": names,
        "sees_others": sees_others,
    }
    if context["is_set_up"]:
        drawn = chart(mine, span, "model", names, zone=zone, behind=reverse("web:exchanges"))
        drawn = with_flags(request, drawn, span)
        whole = Measures(cost_nano_usd=drawn.total)
        context |= {
            "chart": drawn,
            "sentence": sentence(drawn, span, "cost"),
            "span": span,
            "spark": sparkline(drawn.totals[-14:]),
            "by_model": group_rows(mine, span, "model", names, most=6, short=True, total=whole),
            "by_second": group_rows(
                mine, span, "user" if sees_others else "client", names, most=6, short=True, total=whole
            ),
            "failures": failures(request, now),
            "month": month_so_far(request.standing, request.organization, mine, this_month(now, zone)),
            "looks": looks(request.standing, request.organization, mine, now),
        }
        if sees_budgets(request.standing):
            context |= {"budgets": _budgets(request, names, now), "shows_budgets": True}
    if can(request.standing, Permission.FLEET_READ):
        context["fleet"] = fleet_standing(request.organization, now)
    return render(request, "web/overview.html", context)


@require_GET
def checklist(request: ConsoleRequest) -> HttpResponse:
    """The first-run steps alone: the page asks for them until they are done."""
    steps = first_steps(request)
    return render(request, "web/first_steps.html", {"steps": steps, "is_set_up": all(step.is_done for step in steps)})


def first_steps(request: ConsoleRequest, *, was_used: bool = False) -> tuple[FirstStep, ...]:
    """Provider, key, first request, as this person sees them. was_used: a request is known of already."""
    adds_providers = can(request.standing, Permission.PROVIDERS_MANAGE)
    has_provider = providers_of(request.organization).exists()
    # Whoever sets the organization up counts anybody's first key; everybody else their own.
    newest = keys_within(request.standing, Permission.KEYS_MANAGE).first()
    is_used = was_used or bool(
        exchanges_page(ExchangeSearch(scope(request, Permission.EXCHANGES_READ)), limit=1).exchanges
    )
    steps = (
        FirstStep(
            "Add a provider",
            "Whose models your tools use: Anthropic, OpenAI, Gemini, or a server of your own.",
            has_provider,
            *(("Add a provider", reverse("web:provider-add"), True) if adds_providers else ("", "", False)),
        )
        if adds_providers
        else FirstStep("A provider is there", "An admin adds it; it is the same for everybody.", has_provider),
        FirstStep(
            "Mint a key",
            "What your tool presents in place of the provider's own key.",
            newest is not None,
            "Mint a key",
            reverse("web:my-key-mint"),
            True,
        ),
        FirstStep(
            "Send the first request",
            "Paste two lines into your tool and ask it anything; this ticks itself within seconds.",
            is_used,
            "Set up a tool" if newest is not None else "",
            reverse("web:key", args=[newest.id]) if newest is not None else "",
        ),
    )
    following = next((step for step in steps if not step.is_done), None)
    return tuple(replace(step, is_next=step is following) for step in steps)


def _budgets(request: ConsoleRequest, names: Names, now: datetime) -> list[BudgetLine]:
    return nearest_budgets(request.standing, request.user, request.organization, request.membership.role, names, now)


def failures(request: ConsoleRequest, now: datetime) -> tuple[Exchange, ...]:
    """The newest failed exchanges of the last day."""
    search = ExchangeSearch(scope(request, Permission.EXCHANGES_READ), since=now - timedelta(days=1), outcome="failed")
    return exchanges_page(search, limit=5).exchanges
