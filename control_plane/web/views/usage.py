"""My usage, and the spend explorer."""

from collections.abc import Iterator, Sequence
from itertools import islice
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.sessions.selectors.listing import SessionQuery, newest_sessions
from control_plane.usage.labels import NONE, RULE
from control_plane.usage.rollups import SUMS
from control_plane.usage.selectors.series import METADATA, Point, SeriesQuery, usage_check, usage_points
from control_plane.usage.selectors.sources import UnknownGrouping
from control_plane.usage.selectors.tags import tag_bounds
from control_plane.web.budget_reach import my_counters
from control_plane.web.flags import with_flags
from control_plane.web.listing import Chip, Filter, csv_response, wants_csv, without
from control_plane.web.names import Names
from control_plane.web.ranges import NAMED, TimeRange, read_range
from control_plane.web.request import ConsoleRequest, own_scope, scope, zone_of
from control_plane.web.respond import go_to
from control_plane.web.usage_view import (
    METRICS,
    MORE_METRICS,
    TITLES,
    chart,
    group_rows,
    prompt_tokens,
    sentence,
    together,
    totals,
)
from switchyard_contract.usage import KINDS as TOKEN_KINDS

GROUPS = (
    ("model", "Model"),
    ("user", "User"),
    ("team", "Team"),
    ("provider", "Provider"),
    ("key", "Key"),
    ("client", "Tool"),
)
MORE_GROUPS = (
    ("requested_model", "Model asked for"),
    ("protocol", "Protocol"),
    ("region", "Region"),
    ("agent", "Main or sub-agent"),
    ("principal_kind", "People or services"),
    ("client_version", "Tool version"),
    ("stage", "Budget stage"),
    ("outcome", "Outcome"),
    ("reason", "Refusal reason"),
    ("failure", "Failure"),
    ("rule", "Rule"),
)
"""What else can be grouped by, besides the organization's own keys of metadata."""
MOST_TAGS = 20
NAMED_AT_ONCE = 1000
LONGEST_BY_ROWS = "90d"
"""The longest range for what no sums are kept of; months and years are read from sums alone."""
MOST_BUDGETS = 8
TO_TYPE = {"user": "User: e-mail or name", "key": "Key: id or name"}


@require_GET
def my_usage(request: ConsoleRequest) -> HttpResponse:
    zone = zone_of(request)
    span = _range(request, zone, default="month")
    mine, names = own_scope(request), Names(request.organization)
    sessions = newest_sessions(SessionQuery(mine, since=span.since, until=span.until), 20)
    drawn = chart(mine, span, "client", names, zone=zone, behind=reverse("web:exchanges"))
    context = {
        "range": span,
        "ranges": NAMED,
        "today": totals(mine, read_range("today", "", "", now=timezone.now(), zone=zone, default="today")),
        "totals": totals(mine, span),
        "by_tool": group_rows(mine, span, "client", names),
        "by_model": group_rows(mine, span, "model", names),
        "sessions": sessions,
        "budgets": my_counters(request.user, request.organization, request.membership.role)[:MOST_BUDGETS],
        "chart": drawn,
        "sentence": sentence(drawn, span, "cost"),
    }
    return render(request, "web/usage/mine.html", context)


@require_GET
def spend(request: ConsoleRequest) -> HttpResponseBase:
    zone = zone_of(request)
    span = _range(request, zone, default="30d")
    names = Names(request.organization)
    tags = tag_bounds(request.organization.id)
    offered = (
        *MORE_GROUPS,
        *((f"{METADATA}{tag.key}", f"Metadata: {tag.key}") for tag in tags[:MOST_TAGS] if tag.values),
    )
    group = _known(request.GET.get("by", ""), (*GROUPS, *offered), "model")
    metric = _known(request.GET.get("metric", ""), (*METRICS, *MORE_METRICS), "cost")
    compares = request.GET.get("compare") == "1"
    choices = _filters(names)
    chosen = {one.name: value for one in choices if (value := request.GET.get(one.name, ""))}
    # A name that leads to nobody is kept as it is: nothing is found then, rather than everything.
    chosen = {
        name: names.find(name, value) or value if name in Names.KINDS else value for name, value in chosen.items()
    }
    filters = {name: ["" if value == NONE else value] for name, value in chosen.items()}
    query = _query(request, span, group, filters, zone)
    try:
        # What cannot be answered is said before anything is read, and before a file begins.
        usage_check(query)
    except UnknownGrouping as failure:
        messages.warning(request, f"{str(failure).capitalize()}. These are the last 90 days.")
        return go_to(request, f"{without(request.GET, 'from', 'to', 'range')}&range={LONGEST_BY_ROWS}")
    if wants_csv(request):
        return _csv(query, group, names)
    seen = query.scope
    # Of several rules that one exchange met each has it; every other group has what no other one has.
    summed = totals(seen, span, filters) if group == RULE else None
    whole = summed.now if summed is not None else None
    rows = group_rows(seen, span, group, names, filters=filters, compare=compares, total=whole, metric=metric)
    if summed is None:
        summed = totals(seen, span, filters, now=together(row.measures for row in rows))
    is_complete = not rows or not rows[-1].is_rest
    drawn = chart(
        seen,
        span,
        group,
        names,
        zone=zone,
        metric=metric,
        filters=filters,
        behind=_behind(chosen),
        compare=compares,
        # The table's first rows are the greatest; where it is cut, it is cut by cost.
        greatest=[row.value for row in rows if not row.is_rest] if is_complete or metric == "cost" else None,
    )
    drawn = with_flags(request, drawn, span)
    told = {
        name: names.of(name, value) if name in Names.KINDS or value == NONE else value for name, value in chosen.items()
    }
    shown_chips = tuple(
        Chip(one.label, told[one.name], without(request.GET, one.name)) for one in choices if one.name in chosen
    )
    context = {
        "range": span,
        "ranges": NAMED,
        "group": group,
        "groups_offered": GROUPS,
        "more_groups": offered,
        "group_label": dict((*GROUPS, *offered))[group],
        "metric": metric,
        "metrics": METRICS,
        "more_metrics": MORE_METRICS,
        "compares": compares,
        "tag_bound": next((tag for tag in tags if tag.label == group and tag.is_reached), None),
        "drill": group in dict(GROUPS),
        # Other groups lead to nothing narrower, but for those that exchanges can be searched by.
        "linked": "" if group in (*dict(GROUPS), "reason", "outcome") else "no",
        "filters": choices,
        "chosen": chosen,
        "typed": told,
        "chips": shown_chips,
        "totals": summed,
        "rows": rows,
        "share_of": TITLES[metric],
        "chart": drawn,
        "sentence": sentence(drawn, span, metric),
    }
    return render(request, "web/usage/spend.html", context)


def _range(request: ConsoleRequest, zone: ZoneInfo, *, default: str) -> TimeRange:
    asked = request.GET
    return read_range(
        asked.get("range", ""),
        asked.get("from", ""),
        asked.get("to", ""),
        now=timezone.now(),
        zone=zone,
        default=default,
    )


def _known(value: str, offered: Sequence[tuple[str, str]], default: str) -> str:
    return value if any(value == name for name, _ in offered) else default


def _filters(names: Names) -> tuple[Filter, ...]:
    """What can be chosen here; models and tools are narrowed to by a click in the table."""
    choices = [
        Filter(kind, label, names.options(kind), TO_TYPE.get(kind, f"{label}: its name"))
        for kind, label in GROUPS
        if kind in Names.KINDS
    ]
    return (*choices, Filter("model", "Model", ()), Filter("client", "Tool", ()))


def _behind(chosen: dict[str, str]) -> str:
    """The exchanges page with what this chart is narrowed to."""
    kept = "&".join(f"{name}={value}" for name, value in chosen.items())
    return reverse("web:exchanges") + (f"?{kept}" if kept else "")


def _query(
    request: ConsoleRequest, span: TimeRange, group: str, filters: dict[str, list[str]], zone: ZoneInfo
) -> SeriesQuery:
    """Every interval and group of the chart and table, with all token counters and full precision."""
    return SeriesQuery(
        scope=scope(request),
        since=span.since,
        until=span.until,
        interval=span.interval,
        zone=zone,
        group_by=(group,),
        filters=filters,
        measures=SUMS,
    )


def _csv(query: SeriesQuery, group: str, names: Names) -> HttpResponseBase:
    head = ("start", group, f"{group}_id", "requests", "errors", "refusals", *TOKEN_KINDS, "prompt", "cost_nano_usd")
    return csv_response(f"spend-by-{group}", head, _csv_rows(usage_points(query), group, names))


def _csv_rows(points: Iterator[Point], group: str, names: Names) -> Iterator[tuple[object, ...]]:
    """Names are looked up for some points at a time: there may be a hundred thousand of them."""
    while some := list(islice(points, NAMED_AT_ONCE)):
        names.learn(group, {point.group[0] for point in some})
        for point in some:
            measures = point.measures
            yield (
                point.start,
                names.of(group, point.group[0]),
                point.group[0],
                measures.requests,
                measures.errors,
                measures.refusals,
                *(getattr(measures, kind) for kind in TOKEN_KINDS),
                prompt_tokens(measures),
                measures.cost_nano_usd,
            )
