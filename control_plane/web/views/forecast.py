"""Forecast: where the month and the budgets are heading, what drives it, how past forecasts did, unusual days."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.http import Http404, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.forecasts.models import FindingState, Forecast
from control_plane.forecasts.reach import forecasts_seen_by
from control_plane.forecasts.selectors import (
    forecasts_in_force,
    history_of,
    score_of,
    scored_forecasts,
)
from control_plane.forecasts.told import counter_texts
from control_plane.organizations.roles import Permission, Reach, reach_of
from control_plane.web.forecast_view import (
    driver_rows,
    forecast_rows,
    picture_of,
    score_text,
)
from control_plane.web.listing import csv_response, wants_csv
from control_plane.web.request import ConsoleRequest
from control_plane.web.views.unusual import decides, finding_rows, findings_of

MOST_BUDGETS = 50
MOST_FINDINGS = 5
PAGE_HISTORY = 60
HEAD = (
    "as_of", "budget", "counter", "period", "ends_at", "spent_nano_usd", "limit_nano_usd", "p10_nano_usd",
    "p50_nano_usd", "p90_nano_usd", "over_percent", "limit_reached_p50", "why_none", "ended_nano_usd",
)  # fmt: skip


@require_GET
def forecast(request: ConsoleRequest) -> HttpResponseBase:
    rows = _in_force(request)
    if wants_csv(request):
        return csv_response("forecasts", HEAD, _csv(request, rows))
    whole = rows.filter(budget_id__isnull=True).first()
    text = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    in_danger = request.GET.get("show") == "danger"
    budgets = rows.filter(budget_id__isnull=False)
    counts = {"all": budgets.count(), "over": budgets.filter(p50_nano_usd__gt=F("limit_nano_usd")).count()}
    if text:
        budgets = budgets.filter(budget_name__icontains=text)
    if in_danger:
        budgets = budgets.filter(over_percent__gte=10)
    shown = list(budgets.order_by(F("over_percent").desc(nulls_last=True), "-spent_nano_usd", "id")[: MOST_BUDGETS + 1])
    findings = findings_of(request).filter(state=FindingState.OPEN)
    listed = forecast_rows(request.organization.id, ([whole] if whole else []) + shown[:MOST_BUDGETS])
    context = {
        "whole": listed[0] if whole else None,
        "picture": picture_of(whole, subject=request.organization.name) if whole else None,
        "drivers": driver_rows(whole) if whole else [],
        "rows": listed[1:] if whole else listed,
        "has_more": len(shown) > MOST_BUDGETS,
        "counts": counts,
        "text": text,
        "in_danger": in_danger,
        "score": score_text(score_of(_scored(request))),
        "findings": finding_rows(request, list(findings[:MOST_FINDINGS])),
        "findings_count": findings.count(),
        "decides": decides(request),
        "sees_whole": reach_of(request.standing, Permission.USAGE_READ) is Reach.ALL,
        "is_filtered": bool(text or in_danger),
    }
    return render(request, "web/forecast/page.html", context)


@require_GET
def forecast_of(request: ConsoleRequest, subject_id: UUID) -> HttpResponseBase:
    """One budget's counter, or the organization: its period, what drives it, and all that was said before."""
    history = history_of(request.organization.id, subject_id).filter(forecasts_seen_by(request.standing))
    newest = history.first()
    if newest is None:
        raise Http404
    if wants_csv(request):
        return csv_response(f"forecast-{newest.budget_name or 'organization'}", HEAD, _csv(request, history))
    (row,) = forecast_rows(request.organization.id, [newest])
    name = f"{row.name}, {row.whose}" if row.whose else row.name
    is_over = newest.ends_at is not None and newest.ends_at <= timezone.now()
    context = {
        "row": row,
        "is_over": is_over,
        "picture": picture_of(newest, subject=name),
        "drivers": driver_rows(newest),
        "history": list(history[:PAGE_HISTORY]),
        "score": score_text(score_of(scored_forecasts(request.organization.id, subject_id=subject_id))),
    }
    return render(request, "web/forecast/one.html", context)


def _in_force(request: ConsoleRequest) -> QuerySet[Forecast]:
    return forecasts_in_force(request.organization.id).filter(forecasts_seen_by(request.standing))


def _scored(request: ConsoleRequest) -> QuerySet[Forecast]:
    return scored_forecasts(request.organization.id).filter(forecasts_seen_by(request.standing))


def _csv(request: ConsoleRequest, rows: QuerySet[Forecast]) -> Iterator[tuple[Any, ...]]:
    found = list(rows.order_by("-as_of", "id")[:10_000])
    texts = counter_texts(request.organization.id, found)
    for row in found:
        yield (
            row.as_of, row.budget_name or "organization", texts[row.id], row.period_unit, row.ends_at,
            row.spent_nano_usd, row.limit_nano_usd, row.p10_nano_usd, row.p50_nano_usd, row.p90_nano_usd,
            row.over_percent, row.spent_p50_at, row.why_none, row.actual_nano_usd,
        )  # fmt: skip
