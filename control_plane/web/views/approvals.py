"""Asking for more of a budget, from the link of a refusal, and deciding about it."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.budgets.models import BudgetRequest, RequestState
from control_plane.budgets.selectors import budget_requests_of
from control_plane.budgets.services import (
    budget_request_approve,
    budget_request_decline,
    budget_request_make,
    budget_request_withdraw,
)
from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.usage.selectors.exchanges import exchange_by_id
from control_plane.web.budget_reach import certain_counters, may_decide
from control_plane.web.budget_view import Present, counter_name, counters_page, learn_names, present_of
from control_plane.web.forms.budgets import DecideForm, DeclineForm, RequestForm, dollars_typed
from control_plane.web.forms.failures import show_failure
from control_plane.web.listing import Filter, Sort, list_rows
from control_plane.web.names import Names
from control_plane.web.request import ConsoleRequest, actor, scope
from control_plane.web.respond import form_status, go_to
from control_plane.web.views.budgets import decidable, find_budget
from switchyard_contract.quantity import NanoUsd

STATE_TONES = {
    RequestState.PENDING: "look",
    RequestState.APPROVED: "works",
    RequestState.DECLINED: "stopped",
    RequestState.WITHDRAWN: "off",
}
DECISION_PARAMETERS = ("decision", "decision_id")


@require_http_methods(["GET", "POST"])
def budget_request(request: ConsoleRequest, budget_id: UUID) -> HttpResponse:
    """Ask for more of one counter. The address comes from a refusal: ?counter=…&decision=…"""
    found, mine = find_budget(request, budget_id)
    counter = request.GET.get("counter", "").replace("\x00", "")[:1000]
    if not mine.has(found.per, counter):
        counter = ""
    if found.per and not counter:
        counter = next(iter(certain_counters(found, mine)), "")
    (present,) = present_of([found], timezone.now())
    names = Names(request.organization)
    learn_names(found.per, [counter], names)
    asked = budget_requests_of(request.organization).filter(budget=found, requester=request.user)
    waiting = asked.filter(state=RequestState.PENDING, counter=counter).first()
    form = RequestForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        decision = next((value for name in DECISION_PARAMETERS if (value := request.GET.get(name, ""))), "")
        try:
            budget_request_make(
                budget=found,
                requester=request.user,
                amount=NanoUsd(form.cleaned_data["amount_usd"]),
                reason=form.cleaned_data["reason"],
                counter=counter,
                decision_id=decision[:40],
                actor=actor(request),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            messages.success(request, "You have asked. What is decided is shown here and on your bell.")
            return go_to(request, request.get_full_path())
    context = {
        "form": form,
        "budget": found,
        "present": present,
        "counter_name": counter_name(found.per, counter, names),
        "row": _row(request, present, counter, names),
        "waiting": waiting,
        "earlier": list(asked.exclude(state=RequestState.PENDING)[:5]),
        "tones": STATE_TONES,
    }
    return render(request, "web/budgets/request.html", context, status=form_status(form.errors))


@require_GET
def budget_requests(request: ConsoleRequest) -> HttpResponse:
    """Requests for more: those this person may decide about, and their own."""
    rows = budget_requests_of(request.organization)
    reach = reach_of(request.standing, Permission.BUDGETS_MANAGE)
    reads_all = reach_of(request.standing, Permission.BUDGETS_READ) is Reach.ALL
    if not reads_all and reach is not Reach.ALL:
        rows = rows.filter(Q(requester=request.user) | Q(budget__team_id__in=request.standing.led_team_ids))
    listing = list_rows(
        request,
        rows,
        sorts=(Sort("asked", "created_at"), Sort("amount", "amount_nano_usd")),
        default="-asked",
        searched=lambda found, text: found.filter(
            Q(budget__name__icontains=text) | Q(requester__email__icontains=text) | Q(reason__icontains=text)
        ),
        filters=(Filter("state", "State", tuple((it.value, str(it.label).lower()) for it in RequestState)),),
        filtered={"state": lambda found, value: found.filter(state=value)},
    )
    names = Names(request.organization)
    for one in listing.rows:
        learn_names(one.budget.per, [one.counter], names)
    shown = [
        (
            one,
            counter_name(one.budget.per, one.counter, names),
            STATE_TONES[RequestState(one.state)],
            one.state == RequestState.PENDING and may_decide(request.standing, one.budget),
        )
        for one in listing.rows
    ]
    context = {"listing": listing, "rows": shown, "waiting": decidable(request).count()}
    return render(request, "web/budgets/requests.html", context)


@require_http_methods(["GET", "POST"])
def budget_request_decide(request: ConsoleRequest, request_id: UUID) -> HttpResponse:
    """Grant it, with another amount perhaps, or say no."""
    found = _request(request, request_id)
    if not may_decide(request.standing, found.budget):
        raise Http404
    (present,) = present_of([found.budget], timezone.now())
    names = Names(request.organization)
    learn_names(found.budget.per, [found.counter], names)
    is_decline = request.POST.get("decision") == "decline"
    sent = request.POST if request.method == "POST" else None
    form = DecideForm(None if is_decline else sent, initial={"amount_usd": dollars_typed(found.amount_nano_usd)})
    decline = DeclineForm(sent if is_decline else None, prefix="no")
    used = decline if is_decline else form
    if request.method == "POST" and used.is_valid():
        try:
            _decide(request, found, form, decline, is_decline=is_decline)
        except ValidationError as failure:
            show_failure(used, failure)
        else:
            follows = "Nothing changes." if is_decline else "Pods follow within seconds."
            messages.success(request, f"{found.requester.display_name} is told. {follows}")
            return go_to(request, reverse("web:budget-requests"))
    context = {
        "form": form,
        "decline": decline,
        "asked": found,
        "budget": found.budget,
        "present": present,
        "row": _row(request, present, found.counter, names),
        "counter_name": counter_name(found.budget.per, found.counter, names),
        "tone": STATE_TONES[RequestState(found.state)],
        "is_open": found.state == RequestState.PENDING,
        "refusal": exchange_by_id(scope(request, Permission.EXCHANGES_READ), found.decision_id)
        if found.decision_id
        else None,
    }
    return render(request, "web/budgets/decide.html", context, status=form_status(used.errors))


@require_POST
def budget_request_take_back(request: ConsoleRequest, request_id: UUID) -> HttpResponse:
    found = _request(request, request_id)
    if found.requester_id != request.user.id:
        raise Http404
    try:
        budget_request_withdraw(request=found, requester=request.user, actor=actor(request))
    except ValidationError as failure:
        messages.warning(request, " ".join(failure.messages))
    else:
        messages.success(request, "You have taken it back.")
    return go_to(request, reverse("web:budget-requests"))


def _decide(
    request: ConsoleRequest, found: BudgetRequest, form: DecideForm, decline: DeclineForm, *, is_decline: bool
) -> None:
    if is_decline:
        budget_request_decline(
            request=found, decider=request.user, note=decline.cleaned_data["note"], actor=actor(request)
        )
        return
    budget_request_approve(
        request=found,
        approver=request.user,
        standing=request.standing,
        amount=NanoUsd(form.cleaned_data["amount_usd"]),
        until_at=form.until_at,
        note=form.cleaned_data["note"],
        actor=actor(request),
    )


def _request(request: ConsoleRequest, request_id: UUID) -> BudgetRequest:
    found = budget_requests_of(request.organization).filter(id=request_id).first()
    if found is None:
        raise Http404
    return found


def _row(request: ConsoleRequest, present: Present, counter: str, names: Names) -> object:
    """The counter that it is about."""
    page = counters_page(present, names, within=Q(counter=counter), limit=1)
    return page.rows[0] if page.rows else None
