"""REST: `usage`, series of requests, tokens, cost, errors and latencies."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.fields import money
from control_plane.rest.pagination import cursor_of, next_link
from control_plane.rest.renderers import CsvRenderer
from control_plane.usage import histogram
from control_plane.usage.api.parameters import (
    RANGE_PARAMETERS,
    key_of,
    principal_of,
    provider_of,
    query,
    range_of,
    scope_of,
    team_of,
    zone_of,
)
from control_plane.usage.rollups import Measures
from control_plane.usage.selectors import (
    GROUPINGS,
    Interval,
    Point,
    SeriesQuery,
    UnknownGrouping,
    usage_page,
    usage_total,
)
from control_plane.usage.selectors.names import Names, names_of
from switchyard_contract.usage import KINDS as TOKEN_KINDS

DEFAULT_RANGE = timedelta(days=30)
MOST_GROUPINGS = 4
LONGEST = {Interval.HOUR: timedelta(days=400), Interval.DAY: timedelta(days=3660)}
"""Ranges by narrow intervals end somewhere: nobody reads a hundred thousand points."""
METADATA = "metadata."
POINTS = 500
MOST_POINTS = 2_000
FILTERS = (*GROUPINGS, "session")
LATENCIES: Final = {"first_token": "first_token_counts", "duration": "duration_counts", "gateway": "gateway_counts"}
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class QuantilesOut(serializers.Serializer[Any]):
    p50_ms = serializers.FloatField(allow_null=True)
    p90_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class LatenciesOut(serializers.Serializer[Any]):
    first_token = QuantilesOut()
    duration = QuantilesOut()
    gateway = QuantilesOut()


class TokensOut(serializers.Serializer[Any]):
    """Disjoint counters: output is without reasoning."""

    input_fresh = serializers.IntegerField()
    input_tool = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    cache_write_5m = serializers.IntegerField()
    cache_write_1h = serializers.IntegerField()
    cache_write_30m = serializers.IntegerField()
    cache_write_12h = serializers.IntegerField()
    cache_write_other = serializers.IntegerField()
    output = serializers.IntegerField()
    reasoning = serializers.IntegerField()


class MeasuresOut(serializers.Serializer[Any]):
    requests = serializers.IntegerField(help_text="Exchanges, refused ones included.")
    attempts = serializers.IntegerField(help_text="Tries at a provider.")
    errors = serializers.IntegerField()  # type: ignore[assignment]  # a field, in place of the property
    refusals = serializers.IntegerField()
    estimates = serializers.IntegerField(help_text="Attempts whose usage is an estimate.")
    tokens = TokensOut()
    web_searches = serializers.IntegerField()
    cache_read_share = serializers.FloatField(allow_null=True, help_text="Of all that models read.")
    cost_nano_usd = serializers.IntegerField()
    cost_usd = serializers.CharField()
    subscription_cost_nano_usd = serializers.IntegerField(help_text="The part that callers' own accounts paid.")
    subscription_cost_usd = serializers.CharField()
    latency = LatenciesOut()


class PointOut(MeasuresOut):
    start = serializers.DateTimeField(allow_null=True, help_text="null for interval=total.")
    group = serializers.DictField(
        child=serializers.CharField(), help_text="A value per grouping; ids beside names as <grouping>_id."
    )


class UsageOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField(help_text="Begin of the range.")
    until = serializers.DateTimeField(help_text="End of the range, exclusive.")
    interval = serializers.ChoiceField([interval.value for interval in Interval])
    timezone = serializers.CharField()
    group_by = serializers.ListField(child=serializers.CharField())
    series = PointOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null: this is the last one.")
    total = MeasuresOut(help_text="Of the whole range, not only of this page.")


class UsageView(APIView):
    """Usage over time."""

    rights = {"get": Permission.USAGE_READ}
    renderer_classes = (JSONRenderer, CsvRenderer)

    @extend_schema(
        operation_id="usage_series",
        parameters=[
            *RANGE_PARAMETERS,
            query("interval", enum=[interval.value for interval in Interval]),
            query("group_by", f"Comma between: {', '.join((*FILTERS, METADATA + '<key>'))}."),
            *(query(name, "Only these; comma between alternatives.") for name in FILTERS),
            query("limit", f"Points of a page: 1 to {MOST_POINTS}; left out: {POINTS}."),
            query("cursor", "Of the address in `next`."),
            query("format", "csv: rows as CSV, like Accept: text/csv.", enum=["json", "csv"]),
        ],
        responses={(200, "application/json"): UsageOut, (200, "text/csv"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        wanted = read_query(request)
        is_csv = request.query_params.get("format") == "csv"
        is_csv = is_csv or getattr(request.accepted_renderer, "format", "") == "csv"
        offset = 0 if is_csv else _offset(request)
        try:
            page = usage_page(wanted if is_csv else replace(wanted, most_points=_limit(request)), offset=offset)
        except UnknownGrouping as failure:
            raise ValidationError({"group_by": str(failure)}) from failure
        points = page.points
        names = _names(points, wanted)
        if is_csv:
            return _csv(points, wanted, names)
        if offset == 0 and page.count == len(points):
            total = Measures()
            for point in points:
                total.merge(point.measures)
        else:
            total = usage_total(wanted.scope, since=wanted.since, until=wanted.until, filters=wanted.filters)
        following = offset + len(points)
        return Response(
            {
                "since": wanted.since.astimezone(wanted.zone).isoformat(),
                "until": wanted.until.astimezone(wanted.zone).isoformat(),
                "interval": wanted.interval.value,
                "timezone": wanted.zone.key,
                "group_by": list(wanted.group_by),
                "series": [
                    {
                        "start": point.start.isoformat() if point.start else None,
                        "group": _group(point, wanted, names),
                        **measures_out(point.measures),
                    }
                    for point in points
                ],
                "next": next_link(request, str(following) if points and following < page.count else ""),
                "total": measures_out(total),
            }
        )


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(POINTS))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_POINTS:
        raise ValidationError({"limit": f"A number from 1 to {MOST_POINTS}."})
    return int(text)


def _offset(request: Request) -> int:
    """Where the page begins: points are ordered by what they cost, which no position but their number tells."""
    cursor = cursor_of(request) or "0"
    if not cursor.isdecimal() or len(cursor) > 9:
        raise ValidationError({"cursor": "This is no cursor of ours."})
    return int(cursor)


def read_query(request: Request) -> SeriesQuery:
    """Read a series query from the address; raises ValidationError with every problem of one kind."""
    zone = zone_of(request)
    since, until = range_of(request, zone, DEFAULT_RANGE)
    interval_text = request.query_params.get("interval", Interval.DAY.value)
    if interval_text not in set(Interval):
        raise ValidationError({"interval": f"One of {', '.join(Interval)}."})
    longest = LONGEST.get(Interval(interval_text))
    if longest is not None and until - since > longest:
        raise ValidationError({"from": f"By the {interval_text} at most {longest.days} days; choose a wider interval."})
    group_by = tuple(part.strip() for part in request.query_params.get("group_by", "").split(",") if part.strip())
    if len(group_by) > MOST_GROUPINGS or len(set(group_by)) != len(group_by):
        raise ValidationError({"group_by": f"At most {MOST_GROUPINGS} different ones."})
    filters: dict[str, Sequence[str]] = {}
    for name in request.query_params:
        if name in FILTERS or name.startswith(METADATA):
            values = [part for text in request.query_params.getlist(name) for part in text.split(",") if part]
            if values:
                filters[name] = [_resolved(request, name, value) for value in values[:100]]
    return SeriesQuery(
        scope=scope_of(caller_of(request)),
        since=since,
        until=until,
        interval=Interval(interval_text),
        zone=zone,
        group_by=group_by,
        filters=filters,
    )


def measures_out(measures: Measures) -> dict[str, Any]:
    tokens = {kind: getattr(measures, kind) for kind in TOKEN_KINDS}
    prompt = sum(tokens.values()) - measures.output - measures.reasoning
    return {
        "requests": measures.requests,
        "attempts": measures.attempts,
        "errors": measures.errors,
        "refusals": measures.refusals,
        "estimates": measures.estimates,
        "tokens": tokens,
        "web_searches": measures.web_searches,
        "cache_read_share": round(measures.cache_read / prompt, 6) if prompt else None,
        "cost_nano_usd": measures.cost_nano_usd,
        "cost_usd": money(measures.cost_nano_usd),
        "subscription_cost_nano_usd": measures.subscription_cost_nano_usd,
        "subscription_cost_usd": money(measures.subscription_cost_nano_usd),
        "latency": {name: _quantiles(getattr(measures, counts)) for name, counts in LATENCIES.items()},
    }


def _quantiles(counts: list[int]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, share in QUANTILES.items():
        duration_us = histogram.quantile_us(counts, share)
        found[f"{name}_ms"] = None if duration_us is None else round(duration_us / 1000, 3)
    return found


def _resolved(request: Request, name: str, value: str) -> str:
    match name:
        case "user":
            return principal_of(request, value).hex
        case "team":
            return team_of(request, value).hex
        case "provider":
            return provider_of(request, value).hex
        case "key":
            return key_of(request, value)
        case _:
            return value


def _names(points: Sequence[Point], wanted: SeriesQuery) -> Names:
    def values(name: str) -> set[str]:
        if name not in wanted.group_by:
            return set()
        position = wanted.group_by.index(name)
        return {point.group[position] for point in points if point.group[position]}

    return names_of(
        wanted.scope.organization_id,
        principal_ids=map(UUID, values("user")),
        team_ids=map(UUID, values("team")),
        provider_ids=map(UUID, values("provider")),
        key_ids=values("key"),
    )


def _group(point: Point, wanted: SeriesQuery, names: Names) -> dict[str, str]:
    group: dict[str, str] = {}
    for name, value in zip(wanted.group_by, point.group, strict=True):
        match name:
            case "user":
                group["user"] = (names.principal(UUID(value)) if value else "") or value
            case "team":
                group["team"] = (names.teams.get(UUID(value)) if value else "") or value
            case "provider":
                group["provider"] = (names.providers.get(UUID(value)) if value else "") or value
            case "key":
                group["key"] = value
                group["key_name"] = names.keys.get(value, "")
                continue
            case _:
                group[name] = value
                continue
        group[f"{name}_id"] = value
    return group


class _Line:
    """A file that hands back what is written to it, so that csv can be streamed."""

    def write(self, text: str) -> str:
        return text


def _csv(points: Sequence[Point], wanted: SeriesQuery, names: Names) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_csv_lines(points, wanted, names), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="usage.csv"'
    return response


def _csv_lines(points: Sequence[Point], wanted: SeriesQuery, names: Names) -> Iterator[str]:
    writer: Any = csv.writer(_Line())
    groups = list(_group(points[0], wanted, names)) if points else list(wanted.group_by)
    measures = ("requests", "attempts", "errors", "refusals", "estimates", *TOKEN_KINDS, "web_searches")
    latencies = [f"{name}_{quantile}_ms" for name in LATENCIES for quantile in QUANTILES]
    yield writer.writerow(
        ["start", *groups, *measures, "cost_usd", "cost_nano_usd", "subscription_cost_nano_usd", *latencies]
    )
    for point in points:
        group = _group(point, wanted, names)
        quantiles = [
            _quantiles(getattr(point.measures, counts))[f"{quantile}_ms"]
            for counts in LATENCIES.values()
            for quantile in QUANTILES
        ]
        yield writer.writerow(
            [
                point.start.isoformat() if point.start else "",
                *(_cell(group[name]) for name in groups),
                *(getattr(point.measures, name) for name in measures),
                money(point.measures.cost_nano_usd),
                point.measures.cost_nano_usd,
                point.measures.subscription_cost_nano_usd,
                *quantiles,
            ]
        )


def _cell(text: str) -> str:
    # A spreadsheet would run a cell that begins like a formula, and these names come from clients.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
