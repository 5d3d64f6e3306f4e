"""Past windows priced anew: what it would come to first, then the booking."""

from collections.abc import Iterable
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.organizations.selectors import teams_of
from control_plane.usage.repricing import (
    RepricingFailure,
    counts_now,
    repricing_apply,
    repricing_begin,
    repricing_drop,
    repricing_wake,
    repricings_of,
)
from control_plane.usage.repricing_models import Repricing, RepricingState
from control_plane.web.forms.failures import show_failure
from control_plane.web.forms.keys import ConfirmForm
from control_plane.web.forms.prices import RepricingForm
from control_plane.web.listing import csv_response, wants_csv
from control_plane.web.names import Names
from control_plane.web.request import ConsoleRequest, actor
from control_plane.web.respond import form_status, go_to

MOST_TEAMS = 200
_TONES = {
    RepricingState.COMPUTING: "told",
    RepricingState.READY: "look",
    RepricingState.APPLYING: "told",
    RepricingState.DONE: "works",
    RepricingState.STALE: "off",
    RepricingState.DROPPED: "off",
}


@require_GET
def repricings(request: ConsoleRequest) -> HttpResponse:
    return render(request, "web/prices/repricings.html", {"runs": repricings_of(request.organization.id)})


@require_http_methods(["GET", "POST"])
def repricing_new(request: ConsoleRequest) -> HttpResponse:
    now = timezone.now()
    month = timezone.localtime(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    initial = {"since": month, "until": timezone.localtime(now), "models": request.GET.get("model", "")}
    form = RepricingForm(teams_of(request.organization)[:MOST_TEAMS], request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            run = repricing_begin(
                organization=request.organization,
                since=given["since"],
                until=given["until"],
                model_globs=given["models"],
                team_ids=[UUID(team) for team in given["teams"]],
                reason=given["reason"],
                actor=actor(request),
            )
        except ValidationError as failure:
            show_failure(form, failure)
        else:
            repricing_wake(run)
            return go_to(request, reverse("web:repricing", args=[run.id]))
    return render(request, "web/prices/repricing_form.html", {"form": form}, status=form_status(form.errors))


@require_GET
def repricing(request: ConsoleRequest, repricing_id: UUID) -> HttpResponseBase:
    """What a window would cost anew, how far the booking is, and the form that lets it be booked."""
    run = _run(request, repricing_id)
    names = Names(request.organization)
    names.learn("team", {UUID(key).hex for key in (*run.by_team, *run.team_ids) if key not in ("", "…")})
    tables = {
        "model": _change_rows(run.by_model.items()),
        "team": _change_rows((names.team(UUID(key)) if key not in ("", "…") else key or "No team", sums)
                             for key, sums in run.by_team.items()),
    }  # fmt: skip
    if wants_csv(request):
        rows = [(kind, *row[:4]) for kind, table in tables.items() for row in table]
        return csv_response("repricing", ("by", "name", "rows", "old_nano_usd", "new_nano_usd"), rows)
    context = {
        "run": run,
        "tables": tables,
        "teams": [names.team(UUID(team)) for team in run.team_ids],
        "counts_now": counts_now(run),
        "is_moving": run.state in (RepricingState.COMPUTING, RepricingState.APPLYING),
        "tone": _TONES[RepricingState(run.state)],
    }
    return render(request, "web/prices/repricing.html", context)


@require_http_methods(["GET", "POST"])
def repricing_book(request: ConsoleRequest, repricing_id: UUID) -> HttpResponse:
    run = _run(request, repricing_id)
    form = ConfirmForm("reprice", request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            run = repricing_apply(repricing=run, actor=actor(request))
        except RepricingFailure as failure:
            form.add_error(None, str(failure))
        else:
            repricing_wake(run)
            if run.state == RepricingState.STALE:
                messages.warning(request, "Prices have changed since it was worked out. Nothing was booked.")
            return go_to(request, reverse("web:repricing", args=[run.id]))
    context = {"form": form, "run": run, "counts_now": counts_now(run)}
    return render(request, "web/prices/repricing_book.html", context, status=form_status(form.errors))


@require_POST
def repricing_leave(request: ConsoleRequest, repricing_id: UUID) -> HttpResponse:
    run = _run(request, repricing_id)
    try:
        repricing_drop(repricing=run)
    except RepricingFailure as failure:
        messages.error(request, str(failure))
    else:
        messages.success(request, "It is dropped. Nothing was booked.")
    return go_to(request, reverse("web:repricing", args=[run.id]))


def _run(request: ConsoleRequest, repricing_id: UUID) -> Repricing:
    found = Repricing.objects.filter(organization_id=request.organization.id, id=repricing_id).first()
    if found is None:
        raise Http404
    return found


def _change_rows(table: Iterable[tuple[str, list[int]]]) -> list[tuple[str, int, int, int, int]]:
    """(name, rows, old, new, difference), the greatest difference first."""
    rows = [(name, count, old, new, new - old) for name, (count, old, new) in table]
    return sorted(rows, key=lambda row: (-abs(row[4]), row[0]))
