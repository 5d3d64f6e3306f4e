"""Budgets: how full each is, who is near the line, what was added for a while, and requests for more."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.alerts.selectors import crossings_of
from control_plane.budgets.models import Budget, BudgetRaise, BudgetRequest, RequestState
from control_plane.budgets.selectors import budget_requests_of, raises_of
from control_plane.budgets.services import budget_raise_add, budget_raise_end
from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.rules.models import Mode
from control_plane.web.budget_reach import Mine, budgets_within, counters_within, may_decide, mine_of
from control_plane.web.budget_view import Present, counter_name, counters_page, fullest_of, learn_names, present_of
from control_plane.web.forecast_view import forecast_context
from control_plane.web.forms.budgets import RaiseForm
from control_plane.web.forms.failures import show_failure
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.names import Names
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to
from control_plane.web.rule_catalog import BY_SLUG
from control_plane.web.rule_effect import effect_of
from control_plane.web.rule_rows import directory_of
from control_plane.web.rule_words import MODE_WORDS, about, summary
from control_plane.web.views.rules import about_rule
from switchyard_contract.quantity import NanoUsd

MOST_COUNTERS_OFFERED = 25
LIST_ROWS = 25


@require_GET
def budgets(request: ConsoleRequest) -> HttpResponse:
    mine = _mine(request)
    listing = list_rows(
        request,
        budgets_within(request.standing, request.organization, mine),
        sorts=(Sort("name", "name"), Sort("limit", "limit_nano_usd")),
        default="name",
        searched=lambda rows, text: rows.filter(name__icontains=text) | rows.filter(description__icontains=text),
        filters=(Filter("mode", "Mode", tuple((mode.value, MODE_WORDS[mode]) for mode in Mode)),),
        filtered={"mode": lambda rows, value: rows.filter(mode=value)},
        limit=LIST_ROWS,
    )
    names = Names(request.organization)
    presents = present_of(listing.rows, timezone.now())
    fullest = fullest_of(presents, names, lambda each: _within(request, each, mine))
    directory = directory_of(request.organization, listing.rows)
    rows = [
        (each, summary(each.budget), about(each.budget, directory), fullest.get(each.budget.id)) for each in presents
    ]
    context = {"listing": listing, "rows": rows, "waiting": decidable(request).count(), "may_add": _may_add(request)}
    return render(request, "web/budgets/list.html", context)


@require_GET
def budget(request: ConsoleRequest, budget_id: UUID) -> HttpResponse:
    found, mine = find_budget(request, budget_id)
    (present,) = present_of([found], timezone.now())
    names = Names(request.organization)
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    page = counters_page(
        present,
        names,
        within=counters_within(present, request.standing, request.organization, mine),
        text=text,
        after=request.GET.get("after", "")[:200],
    )
    decides = may_decide(request.standing, found)
    sees_rules = reach_of(request.standing, Permission.POLICY_READ) is Reach.ALL
    raises = list(raises_of(found).filter(until_at__gt=timezone.now())[:50]) if decides or sees_rules else []
    learn_names(found.per, [each.counter for each in raises], names)
    requests = budget_requests_of(request.organization).filter(budget=found, state=RequestState.PENDING)
    if not decides:
        requests = requests.filter(requester=request.user)
    context = {
        **about_rule(request, BY_SLUG["budgets"], found),
        "present": present,
        "page": page,
        "text": text,
        "is_first_page": not request.GET.get("after"),
        "raises": [(each, counter_name(found.per, each.counter, names)) for each in raises],
        "requests": list(requests[:20]),
        "decides": decides,
        "sees_rules": sees_rules,
        "is_shared": not found.per,
        "stages": present.gauge("", 0, None).stages,
        "crossings": crossings_of(request.organization.id, budget_id=found.id).prefetch_related("deliveries")[:20]
        if decides or sees_rules
        else [],
    }
    context |= forecast_context(found, [row.counter for row in page.rows])
    if sees_rules:
        context["effect"] = effect_of(found, request.organization)
    else:
        context["history"] = []
    return render(request, "web/budgets/budget.html", context)


@require_http_methods(["GET", "POST"])
def budget_raise(request: ConsoleRequest, budget_id: UUID) -> HttpResponse:
    """More for a while, by whoever may decide it."""
    found, mine = find_budget(request, budget_id)
    if not may_decide(request.standing, found):
        raise Http404
    (present,) = present_of([found], timezone.now())
    names = Names(request.organization)
    within = counters_within(present, request.standing, request.organization, mine)
    page = counters_page(present, names, within=within, limit=MOST_COUNTERS_OFFERED)
    offered = [(row.counter, f"{row.name}, at {row.gauge.percent} %") for row in page.rows if row.counter]
    asked = request.GET.get("counter", "")[:1000]
    if asked and asked not in dict(offered):
        offered.append((asked, counter_name(found.per, asked, names) or asked[:60]))
    form = RaiseForm(offered, request.POST or None, initial={"counter": asked})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = budget_raise_add(
                budget=found,
                amount=NanoUsd(given["amount_usd"]),
                counter=given["counter"],
                until_at=form.until_at,
                reason=given["reason"],
                standing=request.standing,
                actor=actor(request),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            until = timezone.localtime(made.until_at)
            messages.success(request, f"{found.name} is raised until {until:%d %b %H:%M}. Pods follow within seconds.")
            return go_to(request, reverse("web:budget", args=[found.id]))
    context = {"form": form, "budget": found, "present": present}
    return render(request, "web/budgets/raise.html", context, status=form_status(form.errors))


@require_POST
def budget_raise_stop(request: ConsoleRequest, budget_id: UUID, raise_id: UUID) -> HttpResponse:
    found, _ = find_budget(request, budget_id)
    row = BudgetRaise.objects.filter(organization=request.organization, budget=found, id=raise_id).first()
    if row is None or not may_decide(request.standing, found):
        raise Http404
    budget_raise_end(budget_raise=row, actor=actor(request))
    messages.success(request, "The raise is taken back. What was spent under it stays spent.")
    return go_to(request, reverse("web:budget", args=[found.id]))


def find_budget(request: ConsoleRequest, budget_id: UUID) -> tuple[Budget, Mine]:
    """A budget within reach; 404 otherwise."""
    mine = _mine(request)
    found = budgets_within(request.standing, request.organization, mine).filter(id=budget_id).first()
    if found is None:
        raise Http404
    return found, mine


def _mine(request: ConsoleRequest) -> Mine:
    return mine_of(request.user, request.organization, request.membership.role)


def _may_add(request: ConsoleRequest) -> bool:
    return reach_of(request.standing, Permission.BUDGETS_MANAGE) >= Reach.TEAM


def decidable(request: ConsoleRequest) -> QuerySet[BudgetRequest]:
    """Requests for more that wait for this person."""
    waiting = budget_requests_of(request.organization).filter(state=RequestState.PENDING)
    match reach_of(request.standing, Permission.BUDGETS_MANAGE):
        case Reach.ALL:
            return waiting
        case Reach.TEAM:
            return waiting.filter(budget__team_id__in=request.standing.led_team_ids)
        case _:
            return waiting.none()


def _within(request: ConsoleRequest, present: Present, mine: Mine) -> Q | None:
    return counters_within(present, request.standing, request.organization, mine)
