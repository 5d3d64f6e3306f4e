"""REST: conversation sessions; `sessions/{id}` turn by turn; `sessions/avoidable` and `sessions/outcomes`."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.pagination import cursor_of, limit_of, next_link
from control_plane.rest.renderers import CsvRenderer
from control_plane.sessions.analysis.advice import advice
from control_plane.sessions.analysis.findings import Cause, Kind
from control_plane.sessions.api.shapes import AvoidableOut, OutcomesOut, SessionDetailOut, SessionOut, SessionPageOut
from control_plane.sessions.api.writing import (
    CSV_HEAD,
    cause_out,
    csv_row,
    detail_out,
    outcome_out,
    session_out,
    spend_out,
)
from control_plane.sessions.selectors.listing import SessionQuery, newest_first, sessions_matching
from control_plane.sessions.selectors.page import session_told
from control_plane.sessions.selectors.settings import settings_of
from control_plane.sessions.selectors.spend import (
    GROUPS,
    Group,
    causes_total,
    day_bounds,
    outcomes,
    spend_by,
    spend_total,
)
from control_plane.usage.api.parameters import (
    RANGE_PARAMETERS,
    instant_of,
    key_of,
    principal_of,
    query,
    range_of,
    scope_of,
    team_of,
    zone_of,
)
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.names import Names, names_of
from control_plane.usage.selectors.sessions import session_children, session_curve
from switchyard_contract.quantity import NANO_PER_USD

CSV_PAGE = 500
DEFAULT_RANGE = timedelta(days=30)
LONGEST_DAYS = 400
BY = list(GROUPS)
MOST_USD = Decimal(1_000_000_000)
FILTERS = [
    query("session", "The tool's own id."),
    query("user"),
    query("team"),
    query("key"),
    query("client"),
    query("model"),
    query("repository", "By the metadata keys that the organization set."),
    query("flagged", "true: only those below the cache share that the organization wants.", enum=["true", "false"]),
    query("finding", f"A kind ({', '.join(Kind)}), or a cause ({', '.join(Cause)})."),
    query("cost_from", "Dollars, at least."),
    query("cost_to", "Dollars, at most."),
]


class SessionViewSet(viewsets.GenericViewSet[Any]):
    """Runs of coding tools; a member sees the own ones."""

    rights = dict.fromkeys(("list", "retrieve", "avoidable", "outcomes"), Permission.USAGE_READ)
    serializer_class = SessionOut
    filter_backends = ()
    pagination_class = None
    renderer_classes = (JSONRenderer, CsvRenderer)
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[
            *RANGE_PARAMETERS,
            *FILTERS,
            query("limit"),
            query("cursor"),
            query("format", "csv: all sessions asked for as CSV, like Accept: text/csv.", enum=["json", "csv"]),
        ],
        responses={(200, "application/json"): SessionPageOut, (200, "text/csv"): str},
    )
    def list(self, request: Request) -> HttpResponseBase:
        """Most recently seen first."""
        wanted = _query(request)
        least = wanted.least_cache_share_per_mille
        after = _position(cursor_of(request))
        if request.query_params.get("format") == "csv" or getattr(request.accepted_renderer, "format", "") == "csv":
            return _csv(wanted, after)
        limit = limit_of(request)
        found = list(newest_first(sessions_matching(wanted), after)[: limit + 1])
        shown = found[:limit]
        names = _names(shown)
        position = f"{shown[-1].last_seen.isoformat()} {shown[-1].id.hex}" if len(found) > limit else ""
        return Response(
            {
                "results": [session_out(session, names, least) for session in shown],
                "next": next_link(request, position),
            }
        )

    @extend_schema(responses=SessionDetailOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Turn by turn, with findings and the tree of sub-agents."""
        scope = scope_of(caller_of(request))
        try:
            told = session_told(scope, UUID(pk))
        except ValueError:
            told = None
        if told is None:
            raise Http404
        least = settings_of(scope.organization_id).least_cache_share_per_mille
        children = session_children(scope, told.session)
        names = _names([told.session, *children])
        return Response(
            {
                **session_out(told.session, names, least),
                **detail_out(told),
                "children": [session_out(child, names, least) for child in children],
                "curve": [
                    {
                        "exchange": point.exchange_id,
                        "at": point.at.isoformat(),
                        "model": point.model,
                        "cost_nano_usd": point.cost_nano_usd,
                        "cache_read": point.cache_read,
                        "prompt": point.prompt,
                        "output": point.output,
                    }
                    for point in session_curve(scope, told.session)
                ],
            }
        )

    @extend_schema(
        operation_id="sessions_avoidable",
        parameters=[*RANGE_PARAMETERS, query("by", enum=BY), query("limit")],
        responses=AvoidableOut,
    )
    @action(detail=False)
    def avoidable(self, request: Request) -> Response:
        """What could have been saved: in all, by cause, and by developer, team or repository. Whole UTC days."""
        scope, since, until = scope_of(caller_of(request)), *_range(request)
        by = request.query_params.get("by", "user")
        if by not in GROUPS:
            raise ValidationError({"by": f"One of {', '.join(GROUPS)}."})
        groups = spend_by(scope, since, until, by, most=limit_of(request))
        ids = [UUID(group.value) for group in groups if by in ("user", "team") and group.value]
        names = names_of(scope.organization_id, principal_ids=ids, team_ids=ids)
        return Response(
            {
                **_days(since, until),
                "by": by,
                "total": spend_out(spend_total(scope, since, until)),
                "groups": [_group(group, by, names) for group in groups],
                "causes": [cause_out(total) for total in causes_total(scope, since, until)],
            }
        )

    @extend_schema(
        operation_id="sessions_outcomes",
        parameters=[*RANGE_PARAMETERS, query("interval", enum=["total", "day"])],
        responses=OutcomesOut,
    )
    @action(detail=False)
    def outcomes(self, request: Request) -> Response:
        """How turns ended per model and target, without reading a prompt. Whole UTC days."""
        scope, since, until = scope_of(caller_of(request)), *_range(request)
        interval = request.query_params.get("interval", "total")
        if interval not in ("total", "day"):
            raise ValidationError({"interval": "total or day."})
        found = outcomes(scope, since, until, by_day=interval == "day")
        return Response(
            {
                **_days(since, until),
                "results": [outcome_out(outcome) for outcome in found],
            }
        )


def _query(request: Request) -> SessionQuery:
    given = request.query_params
    zone = zone_of(request)
    scope = scope_of(caller_of(request))
    finding = given.get("finding", "")
    if finding and finding not in {*Kind, *Cause}:
        raise ValidationError({"finding": f"One of {', '.join((*Kind, *Cause))}."})
    return SessionQuery(
        scope=scope,
        since=instant_of(request, "from", zone),
        until=instant_of(request, "to", zone),
        session_id=given.get("session", "").replace("\x00", ""),
        principal_id=principal_of(request, given["user"]) if given.get("user") else None,
        team_id=team_of(request, given["team"]) if given.get("team") else None,
        key_id=key_of(request, given["key"]) if given.get("key") else "",
        client=given.get("client", "").replace("\x00", ""),
        model=given.get("model", "").replace("\x00", ""),
        repository=given.get("repository", "").replace("\x00", ""),
        is_flagged=_flag(request),
        least_cache_share_per_mille=settings_of(scope.organization_id).least_cache_share_per_mille,
        finding=finding,
        least_cost_nano_usd=_dollars(request, "cost_from"),
        most_cost_nano_usd=_dollars(request, "cost_to"),
    )


def _flag(request: Request) -> bool | None:
    text = request.query_params.get("flagged", "")
    if text not in ("", "true", "false"):
        raise ValidationError({"flagged": "true or false."})
    return None if not text else text == "true"


def _dollars(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        amount = Decimal(text)
        if not abs(amount) <= MOST_USD:
            raise InvalidOperation
    except InvalidOperation as failure:
        raise ValidationError({name: "Dollars, such as 12.50."}) from failure
    return int(amount * NANO_PER_USD)


def _range(request: Request) -> tuple[datetime, datetime]:
    since, until = range_of(request, zone_of(request), DEFAULT_RANGE)
    if until - since > timedelta(days=LONGEST_DAYS):
        raise ValidationError({"from": f"At most {LONGEST_DAYS} days."})
    return since, until


def _days(since: datetime, until: datetime) -> dict[str, str]:
    """What was really summed: whole UTC days."""
    first, last = day_bounds(since, until)
    return {"since": first.isoformat(), "until": last.isoformat()}


def _group(group: Group, by: str, names: Names) -> dict[str, Any]:
    has_id = by in ("user", "team", "session")
    name: str | None = group.value or None
    if has_id and group.value:
        found = UUID(group.value)
        name = names.principal(found) if by == "user" else names.teams.get(found) if by == "team" else group.value
    return {
        "group": name,
        "group_id": group.value if has_id and group.value else None,
        **spend_out(group.spend),
        "cause": group.cause.value if group.cause else None,
        "advice": advice(group.cause) if group.cause else None,
    }


def _names(sessions: Sequence[ConversationSession]) -> Names:
    if not sessions:
        return Names()
    return names_of(
        sessions[0].organization_id,
        principal_ids=[session.principal_id for session in sessions],
        team_ids=[session.team_id for session in sessions],
    )


def _position(cursor: str) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    at, _, row_id = cursor.partition(" ")
    try:
        return datetime.fromisoformat(at), UUID(row_id)
    except ValueError as failure:
        raise ValidationError({"cursor": "This is no cursor of ours."}) from failure


class _Line:
    """A file that hands back what is written to it, so that CSV can be streamed."""

    def write(self, text: str) -> str:
        return text


def _csv(wanted: SessionQuery, after: tuple[datetime, UUID] | None) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_csv_lines(wanted, after), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="sessions.csv"'
    return response


def _csv_lines(wanted: SessionQuery, after: tuple[datetime, UUID] | None) -> Iterator[str]:
    writer: Any = csv.writer(_Line())
    yield writer.writerow(CSV_HEAD)
    while True:
        page = list(newest_first(sessions_matching(wanted), after)[:CSV_PAGE])
        names = _names(page)
        for session in page:
            yield writer.writerow(_cells(csv_row(session, names, wanted.least_cache_share_per_mille)))
        if len(page) < CSV_PAGE:
            return
        after = (page[-1].last_seen, page[-1].id)


def _cells(values: Iterable[object]) -> list[object]:
    # A spreadsheet would run a cell that begins like a formula, and these names come from clients.
    return [
        f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
        for value in values
    ]
