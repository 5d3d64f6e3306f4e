"""How fast answers come, and what fails or is refused."""

from collections.abc import Mapping

from django.http import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from control_plane.usage.histogram import least_for
from control_plane.web.errors_view import (
    FailureRow,
    RefusalRow,
    failure_chart,
    failure_rows,
    refusal_chart,
    refusal_rows,
)
from control_plane.web.latency_view import PARTS, LatencyRow, latency_charts, latency_rows, latency_tiles
from control_plane.web.listing import Chip, Filter, csv_response, wants_csv, without
from control_plane.web.names import Names
from control_plane.web.ranges import NAMED, TimeRange, read_range
from control_plane.web.request import ConsoleRequest, scope, zone_of
from control_plane.web.usage_view import totals

LATENCY_GROUPS = (("model", "Model"), ("provider", "Provider"), ("client", "Tool"), ("region", "Region"))
NARROWED_BY = (("provider", "Provider"), ("model", "Model"), ("client", "Tool"))


@require_GET
def latency(request: ConsoleRequest) -> HttpResponseBase:
    span, names = _range(request), Names(request.organization)
    filters, choices, chips, typed = _narrowed(request, names)
    group = request.GET.get("by", "")
    group = group if group in dict(LATENCY_GROUPS) else "model"
    compares = request.GET.get("compare") == "1"
    rows = latency_rows(scope(request), span, group, names, filters, compare=compares)
    if wants_csv(request):
        return _latency_csv(rows, group, compares=compares)
    tiles = latency_tiles(scope(request), span, filters)
    charts = latency_charts(
        scope(request), span, filters, zone=zone_of(request), behind=_exchanges(filters), compare=compares
    )
    context = {
        **_shared(request, span, choices, chips, typed, filters),
        "charts": charts or (),
        "is_known": charts is not None,
        "is_empty": not tiles,
        "tiles": tiles or (),
        "compares": compares,
        "may_compare": True,
        "rows": rows,
        "parts": PARTS,
        "least_p95": least_for(0.95),
        "least_p99": least_for(0.99),
        "group": group,
        "groups_offered": LATENCY_GROUPS,
        "group_label": dict(LATENCY_GROUPS)[group],
    }
    return render(request, "web/traffic/latency.html", context)


@require_GET
def errors(request: ConsoleRequest) -> HttpResponseBase:
    span, names = _range(request), Names(request.organization)
    filters, choices, chips, typed = _narrowed(request, names)
    failures = failure_rows(scope(request), span, names, filters)
    refusals = refusal_rows(scope(request), span, filters)
    if wants_csv(request):
        return _errors_csv(failures, refusals)
    zone, mine = zone_of(request), scope(request)
    failed = failure_chart(mine, span, filters, zone=zone, behind=_exchanges(filters, outcome="failed"))
    refused = refusal_chart(mine, span, filters, zone=zone, behind=_exchanges(filters, outcome="refused"))
    context = {
        **_shared(request, span, choices, chips, typed, filters),
        "totals": totals(mine, span, filters),
        "failures": failures,
        "refusals": refusals,
        "failed": failed,
        "refused": refused,
        "failed_sentence": f"Failed attempts by cause, {span.label}: {failed.total:,} in all.",
        "refused_sentence": f"Refused requests by reason, {span.label}: {refused.total:,} in all.",
    }
    return render(request, "web/traffic/errors.html", context)


def _latency_csv(rows: list[LatencyRow], group: str, *, compares: bool) -> HttpResponseBase:
    """With compares: each column once more, of the range before."""
    columns = [f"{part.counts}_{name}_us" for part in PARTS for name in ("p50", "p95")]
    head = [group, "answers", *columns]
    if compares:
        head += ["answers_before", *(f"{column}_before" for column in columns)]
    lines = (
        (
            row.name,
            row.answers,
            *(value for part in row.parts for value in part),
            *((row.answers_before, *(value for part in row.before for value in part)) if row.before else ()),
        )
        for row in rows
    )
    return csv_response(f"latency-by-{group}", head, lines)


def _errors_csv(failures: list[FailureRow], refusals: list[RefusalRow]) -> HttpResponseBase:
    lines = [
        *(("failed", row.failure, row.provider_name, row.count, row.before, row.attempts) for row in failures),
        *(("refused", row.reason, "", row.count, row.before, "") for row in refusals),
    ]
    head = ("what", "cause", "provider", "count", "count_before", "attempts_of_provider")
    return csv_response("errors-and-refusals", head, lines)


def _range(request: ConsoleRequest) -> TimeRange:
    asked = request.GET
    return read_range(
        asked.get("range", ""),
        asked.get("from", ""),
        asked.get("to", ""),
        now=timezone.now(),
        zone=zone_of(request),
        default="7d",
    )


def _narrowed(
    request: ConsoleRequest, names: Names
) -> tuple[dict[str, list[str]], tuple[Filter, ...], tuple[Chip, ...], dict[str, str]]:
    """What the page is narrowed to, what it may be narrowed by, the chips for it, and the values in words."""
    choices = (Filter("provider", "Provider", names.options("provider"), "Provider: its name"),)
    filters: dict[str, list[str]] = {}
    chips, typed = [], {}
    for name, label in NARROWED_BY:
        if not (value := request.GET.get(name, "")[:200]):
            continue
        # A name that leads to nobody is kept as it is: nothing is found then, rather than everything.
        found = names.find(name, value) or value if name in Names.KINDS else value
        filters[name] = [found]
        typed[name] = names.of(name, found)
        chips.append(Chip(label, typed[name], without(request.GET, name)))
    return filters, choices, tuple(chips), typed


def _shared(
    request: ConsoleRequest,
    span: TimeRange,
    choices: tuple[Filter, ...],
    chips: tuple[Chip, ...],
    typed: Mapping[str, str],
    filters: Mapping[str, list[str]],
) -> dict[str, object]:
    return {
        "range": span,
        "ranges": NAMED,
        "filters": choices,
        "chips": chips,
        "typed": typed,
        "chosen": {name: values[0] for name, values in filters.items()},
    }


def _exchanges(filters: Mapping[str, list[str]], **more: str) -> str:
    """The exchanges page, narrowed in the same way."""
    narrowed = {**{name: values[0] for name, values in filters.items()}, **more}
    return reverse("web:exchanges") + (f"?{urlencode(narrowed)}" if narrowed else "")
