"""Statements: what a month came to per cost centre, closing it, correcting it, and taking it away as CSV."""

from dataclasses import dataclass
from datetime import UTC, date
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.statements.accounts import Statement
from control_plane.statements.api import CSV_COLUMNS, csv_rows
from control_plane.statements.focus import COLUMNS, focus_rows
from control_plane.statements.models import ClosedStatement
from control_plane.statements.selectors import corrections_of, lines_of, months_of, statement_of
from control_plane.statements.services import statement_close
from control_plane.usage.adjustments import adjustment_create
from control_plane.usage.closing import ClosingFailure, earliest_open_month, month_after, start_of
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.statements import CorrectionForm
from control_plane.web.listing import csv_response
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

MOST_LINES = 200
"""Lines that a page shows; all of them are in the CSV."""


@dataclass(frozen=True, slots=True)
class MonthChoice:
    """A month that can be chosen."""

    month: date
    closed: ClosedStatement | None
    is_shown: bool

    @property
    def text(self) -> str:
        return f"{self.month:%Y-%m}"


@require_GET
def statements(request: ConsoleRequest) -> HttpResponseBase:
    return statement(request, f"{timezone.now().astimezone(UTC):%Y-%m}")


@require_GET
def statement(request: ConsoleRequest, month: str) -> HttpResponseBase:
    chosen, teams, now = _month(month), _teams(request), timezone.now()
    if start_of(chosen) > now:
        raise Http404
    found = statement_of(request.organization, chosen, teams)
    if request.GET.get("format") == "focus":
        return csv_response(f"focus-{month}", COLUMNS, focus_rows(request.organization, chosen, teams))
    if request.GET.get("format") == "csv":
        accounts = {account.team_id: account for account in found.whole.teams}
        lines = lines_of(request.organization, chosen, accounts.keys())
        return csv_response(
            f"statement-{month}", CSV_COLUMNS, csv_rows(found, accounts, lines.usage, lines.corrections)
        )
    months = [MonthChoice(each, closed, each == chosen) for each, closed in months_of(request.organization, now=now)]
    centre = found.cost_centre(request.GET["centre"]) if "centre" in request.GET else None
    shown = centre or (found.cost_centres[0] if len(found.cost_centres) == 1 else None)
    context = {
        "month": chosen,
        "months": months,
        "statement": found,
        "whole": found.whole,
        "centre": shown,
        "may_close": _may_manage(request) and _is_next(request, chosen, found),
        "may_correct": _may_manage(request),
        "is_over": start_of(month_after(chosen)) <= now,
        "sees_all": teams is None,
    }
    if shown is not None:
        lines = lines_of(request.organization, chosen, [team.team_id for team in shown.teams])
        corrections = lines.corrections
        context |= {"usage": lines.usage[:MOST_LINES], "more_usage": max(0, len(lines.usage) - MOST_LINES)}
    else:
        corrections = corrections_of(request.organization, chosen, teams)
    context |= {
        "corrections": corrections[:MOST_LINES],
        "more_corrections": max(0, len(corrections) - MOST_LINES),
    }
    return render(request, "web/statements/statement.html", context)


@require_http_methods(["GET", "POST"])
def statement_seal(request: ConsoleRequest, month: str) -> HttpResponse:
    chosen = _month(month)
    if not _may_manage(request):
        raise Http404
    form = ConfirmForm(month, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            statement_close(organization=request.organization, month=chosen, actor=actor(request))
        except ClosingFailure as failure:
            form.add_error(None, f"{str(failure)[:1].upper()}{str(failure)[1:]}.")
        else:
            messages.success(request, f"{chosen:%B %Y} is closed. What is learned later counts in a later month.")
            return go_to(request, reverse("web:statement", args=[month]))
    context = {"form": form, "month": chosen, "text": month, "whole": statement_of(request.organization, chosen).whole}
    return render(request, "web/statements/close.html", context, status=form_status(form.errors))


@require_http_methods(["GET", "POST"])
def correction_add(request: ConsoleRequest) -> HttpResponse:
    if not _may_manage(request):
        raise Http404
    form = CorrectionForm(request.organization, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = adjustment_create(
                organization=request.organization, correction=form.correction(), actor=actor(request)
            )
        except ValidationError as failure:
            show_failure(form, failure, {"counts_at": "day"})
        else:
            messages.success(request, "The correction is booked. To take it back, book the opposite.")
            month = f"{made.counted_at.astimezone(UTC):%Y-%m}"
            return go_to(request, reverse("web:statement", args=[month]))
    context = {"form": form, "opens_at": earliest_open_month(request.organization.id)}
    return render(request, "web/statements/correct.html", context, status=form_status(form.errors))


def _month(text: str) -> date:
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Http404 from None
    return found


def _teams(request: ConsoleRequest) -> frozenset[UUID] | None:
    """None: all; else the teams that this person leads."""
    reach = reach_of(request.standing, Permission.USAGE_READ)
    return None if reach is Reach.ALL else request.standing.led_team_ids


def _may_manage(request: ConsoleRequest) -> bool:
    return reach_of(request.standing, Permission.PRICES_MANAGE) is Reach.ALL


def _is_next(request: ConsoleRequest, month: date, found: Statement) -> bool:
    """Whether this is the month to close next: months are closed in their order, when they are over."""
    if found.is_closed or start_of(month_after(month)) > timezone.now():
        return False
    earliest = earliest_open_month(request.organization.id)
    return earliest is None or earliest == month
