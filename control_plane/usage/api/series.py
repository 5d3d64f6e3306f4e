"""REST: `usage`, series of requests, tokens, cost, errors and latencies."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
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
from control_plane.usage.api.measures import LATENCIES, QUANTILES, measures_out, quantiles
from control_plane.usage.api.measures import MeasuresOut as MeasuresOut
from control_plane.usage.api.measures import TokensOut as TokensOut
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
from control_plane.usage.api.streams import csv_answer, wants_csv
from control_plane.usage.labels import METADATA, NONE, RULE
from control_plane.usage.rollups import SUMS, Measures
from control_plane.usage.selectors.names import Names, names_of
from control_plane.usage.selectors.series import (
    Interval,
    Point,
    Position,
    SeriesPage,
    SeriesQuery,
    latency_is_known,
    usage_check,
    usage_page,
    usage_points,
    usage_total,
)
from control_plane.usage.selectors.sources import GROUPINGS, IDS, UnknownGrouping
from control_plane.usage.selectors.tags import TagBound, tag_bounds
from switchyard_contract.usage import KINDS as TOKEN_KINDS

DEFAULT_RANGE = timedelta(days=30)
MOST_GROUPINGS = 4
LONGEST = {
    Interval.MINUTE: timedelta(days=7),
    Interval.HOUR: timedelta(days=400),
    Interval.DAY: timedelta(days=3660),
}
"""Ranges by narrow intervals end somewhere: nobody reads a hundred thousand points."""
POINTS = 500
MOST_POINTS = 2_000
FILTERS = (*GROUPINGS, "session", RULE)
CSV_CHUNK = 500
CSV_SUMS = (
    *("requests", "attempts", "errors", "refusals", "estimates", *TOKEN_KINDS, "web_searches"),
    *("cost_usd", "cost_nano_usd", "subscription_cost_nano_usd"),
    *("saved_cache_nano_usd", "saved_downgrade_nano_usd", "unpriced", "dearest"),
)


class PointOut(MeasuresOut):
    start = serializers.DateTimeField(allow_null=True, help_text="null for interval=total.")
    group = serializers.DictField(
        child=serializers.CharField(),
        help_text="A value per grouping; ids beside names as <grouping>_id. Empty where there is none: what was "
        "refused reached no model and no provider; requested_model tells what it asked for.",
    )


class TagBoundOut(serializers.Serializer[Any]):
    label = serializers.CharField(help_text="metadata.<key>; metadata.(other): keys beyond the bound.")  # type: ignore[assignment]  # a field, in place of the attribute
    values = serializers.IntegerField(help_text="That have sums of their own.")
    most_values = serializers.IntegerField(help_text="The others are summed as (other).")
    rows_in_other = serializers.IntegerField(help_text="Attempts that were counted as (other) so far.")
    since = serializers.DateTimeField(allow_null=True, help_text="When the first of them came.")


class UsageOut(serializers.Serializer[Any]):
    since = serializers.DateTimeField(help_text="Begin of the range.")
    until = serializers.DateTimeField(help_text="End of the range, exclusive.")
    interval = serializers.ChoiceField([interval.value for interval in Interval])
    timezone = serializers.CharField()
    group_by = serializers.ListField(child=serializers.CharField())
    series = PointOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null: this is the last one.")
    total = MeasuresOut(help_text="Of the whole range, not only of this page.")
    previous_total = MeasuresOut(allow_null=True, help_text="Of the range before, with compare=previous.")
    latency_is_known = serializers.BooleanField(
        help_text="Latencies are known by provider, model, client, protocol and region for any range, of up to five "
        "people or keys for a month, and by anything for two days."
    )
    bounds = TagBoundOut(
        many=True, help_text="Keys of metadata in this answer, with how many values have their own sums."
    )


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
            *(query(name, f"Only these; comma between alternatives. {NONE}: what has none.") for name in FILTERS),
            query("compare", "previous: the sums of the range before, as long, are told too.", enum=["previous"]),
            query("limit", f"Points of a page: 1 to {MOST_POINTS}; left out: {POINTS}."),
            query("cursor", "Of the address in `next`."),
            query("format", "csv: rows as CSV, like Accept: text/csv.", enum=["json", "csv"]),
        ],
        responses={(200, "application/json"): UsageOut, (200, "text/csv"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        wanted = read_query(request)
        try:
            if wants_csv(request):
                usage_check(wanted)
                return _csv(wanted)
            after = _position(request, wanted)
            page = usage_page(replace(wanted, most_points=_limit(request)), after=after)
            previous = _previous(request, wanted)
            total = _total(wanted, page, is_first=after is None)
        except UnknownGrouping as failure:
            raise ValidationError({"group_by": str(failure)}) from failure
        names = _names(page.points, wanted)
        bounds = [bound_out(each) for each in tag_bounds(wanted.scope.organization_id, labels=wanted.labels)]
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
                    for point in page.points
                ],
                "next": next_link(request, _written(page.next) if page.next else ""),
                "total": measures_out(total),
                "previous_total": None if previous is None else measures_out(previous),
                "latency_is_known": latency_is_known(wanted),
                "bounds": bounds,
            }
        )


def bound_out(bound: TagBound) -> dict[str, object]:
    return {
        "label": bound.label,
        "values": bound.values,
        "most_values": bound.most_values,
        "rows_in_other": bound.rows_in_other,
        "since": bound.first_at.isoformat() if bound.first_at else None,
    }


def _total(wanted: SeriesQuery, page: SeriesPage, *, is_first: bool) -> Measures:
    """Of the whole range. Points by rule are not parts of a whole: several rules are about one exchange; and where
    points tell no latencies, the whole range does."""
    if is_first and page.next is None and RULE not in wanted.group_by and latency_is_known(wanted):
        total = Measures()
        for point in page.points:
            total.merge(point.measures)
        return total
    return usage_total(wanted.scope, since=wanted.since, until=wanted.until, filters=wanted.filters)


def _previous(request: Request, wanted: SeriesQuery) -> Measures | None:
    """Sums of the range before, as long as this one; None: they were not asked for."""
    compare = request.query_params.get("compare", "")
    if compare not in ("", "previous"):
        raise ValidationError({"compare": "previous, or nothing."})
    if not compare:
        return None
    since = wanted.since - (wanted.until - wanted.since)
    return usage_total(wanted.scope, since=since, until=wanted.since, filters=wanted.filters, measures=SUMS)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(POINTS))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_POINTS:
        raise ValidationError({"limit": f"A number from 1 to {MOST_POINTS}."})
    return int(text)


def _written(position: Position) -> str:
    start = position.start.isoformat() if position.start else None
    return json.dumps([start, position.cost_nano_usd, *position.group], ensure_ascii=False)


def _position(request: Request, wanted: SeriesQuery) -> Position | None:
    """Where the page before ended: time, cost and group of its last point."""
    text = cursor_of(request)
    if not text:
        return None
    refusal = ValidationError({"cursor": "This is no cursor of ours. Begin again without one."})
    try:
        start, cost, *group = json.loads(text)
        position = Position(datetime.fromisoformat(start) if start else None, int(cost), tuple(map(str, group)))
        for name, value in zip(wanted.group_by, position.group, strict=True):
            if name in IDS and value:
                UUID(value)
    except (ValueError, TypeError) as failure:
        raise refusal from failure
    has_start = position.start is not None and position.start.tzinfo is not None
    if has_start == (wanted.interval is Interval.TOTAL) or abs(position.cost_nano_usd) >= 1 << 62 or "\x00" in text:
        raise refusal
    return position


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


def _resolved(request: Request, name: str, value: str) -> str:
    if value == NONE:
        return ""
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


def _csv(wanted: SeriesQuery) -> StreamingHttpResponse:
    groups = [column for name in wanted.group_by for column in _columns(name)]
    latencies = [f"{name}_{quantile}_ms" for name in LATENCIES for quantile in QUANTILES]
    return csv_answer("usage", ["start", *groups, *CSV_SUMS, *latencies], _csv_rows(wanted))


def _columns(name: str) -> tuple[str, ...]:
    if name == "key":
        return ("key", "key_name")
    return (name, f"{name}_id") if name in ("user", "team", "provider") else (name,)


def _csv_rows(wanted: SeriesQuery) -> Iterator[list[object]]:
    for points in _chunks(usage_points(wanted)):
        names = _names(points, wanted)
        for point in points:
            group = _group(point, wanted, names)
            sums: dict[str, object] = {name: getattr(point.measures, name) for name in SUMS}
            sums["cost_usd"] = money(point.measures.cost_nano_usd)
            yield [
                point.start.isoformat() if point.start else "",
                *(group[column] for name in wanted.group_by for column in _columns(name)),
                *(sums[name] for name in CSV_SUMS),
                *(
                    quantiles(getattr(point.measures, counts))[f"{quantile}_ms"]
                    for counts in LATENCIES.values()
                    for quantile in QUANTILES
                ),
            ]


def _chunks(points: Iterable[Point]) -> Iterator[tuple[Point, ...]]:
    """So many points at a time that their names are few questions."""
    waiting = iter(points)
    while chunk := tuple(islice(waiting, CSV_CHUNK)):
        yield chunk
