"""REST: conversation sessions; `sessions/{id}` with its sub-agents and how its cost grew."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from control_plane.organizations.roles import Permission
from control_plane.rest.caller import caller_of
from control_plane.rest.fields import HexId
from control_plane.rest.pagination import cursor_of, limit_of, next_link
from control_plane.usage.api.parameters import (
    RANGE_PARAMETERS,
    instant_of,
    key_of,
    principal_of,
    query,
    scope_of,
    team_of,
    zone_of,
)
from control_plane.usage.api.series import MeasuresOut, measures_out
from control_plane.usage.models import ConversationSession
from control_plane.usage.rollups import MEASURES, Measures
from control_plane.usage.selectors import (
    SessionSearch,
    session_by_id,
    session_children,
    session_curve,
    sessions_page,
)
from control_plane.usage.selectors.names import Names, names_of


class SessionOut(MeasuresOut):
    id = HexId()
    session = serializers.CharField(help_text="The tool's own word.")
    client = serializers.CharField()
    client_version = serializers.CharField()
    user = serializers.CharField(allow_null=True, help_text="E-mail, or name of a service account.")
    team = serializers.CharField(allow_null=True)
    key = serializers.CharField()
    parent_session = serializers.CharField()
    is_derived = serializers.BooleanField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    models = serializers.ListField(child=serializers.CharField())
    agents = serializers.ListField(child=serializers.CharField())


@extend_schema_serializer(many=False)
class SessionPageOut(serializers.Serializer[Any]):
    results = SessionOut(many=True)
    next = serializers.URLField(allow_null=True)


class CurvePointOut(serializers.Serializer[Any]):
    exchange = serializers.CharField()
    at = serializers.DateTimeField()
    model = serializers.CharField()
    cost_nano_usd = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    prompt = serializers.IntegerField()
    output = serializers.IntegerField()


class SessionDetailOut(SessionOut):
    children = SessionOut(many=True)
    curve = CurvePointOut(many=True)


class SessionViewSet(viewsets.GenericViewSet[Any]):
    """Runs of coding tools; a member sees the own ones."""

    rights = {"list": Permission.USAGE_READ, "retrieve": Permission.USAGE_READ}
    serializer_class = SessionOut
    filter_backends = ()
    pagination_class = None
    lookup_value_regex = "[^/]+"

    @extend_schema(
        parameters=[
            *RANGE_PARAMETERS,
            query("session", "The tool's own id."),
            query("user"),
            query("team"),
            query("key"),
            query("client"),
            query("model"),
            query("limit"),
            query("cursor"),
        ],
        responses=SessionPageOut,
    )
    def list(self, request: Request) -> Response:
        """Most recently seen first."""
        given = request.query_params
        zone = zone_of(request)
        search = SessionSearch(
            scope=scope_of(caller_of(request)),
            since=instant_of(request, "from", zone),
            until=instant_of(request, "to", zone),
            session_id=given.get("session", "").replace("\x00", ""),
            principal_id=principal_of(request, given["user"]) if given.get("user") else None,
            team_id=team_of(request, given["team"]) if given.get("team") else None,
            key_id=key_of(request, given["key"]) if given.get("key") else "",
            client=given.get("client", "").replace("\x00", ""),
            model=given.get("model", "").replace("\x00", ""),
        )
        page = sessions_page(search, after=_position(cursor_of(request)), limit=limit_of(request))
        names = _names(page.sessions)
        position = f"{page.next[0].isoformat()} {page.next[1].hex}" if page.next else ""
        return Response(
            {
                "results": [session_out(session, names) for session in page.sessions],
                "next": next_link(request, position),
            }
        )

    @extend_schema(responses=SessionDetailOut)
    def retrieve(self, request: Request, pk: str) -> Response:
        scope = scope_of(caller_of(request))
        try:
            session = session_by_id(scope, UUID(pk))
        except ValueError:
            session = None
        if session is None:
            raise Http404
        children = session_children(scope, session)
        names = _names([session, *children])
        return Response(
            {
                **session_out(session, names),
                "children": [session_out(child, names) for child in children],
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
                    for point in session_curve(scope, session)
                ],
            }
        )


def session_out(session: ConversationSession, names: Names) -> dict[str, Any]:
    return {
        "id": session.id.hex,
        "session": session.session_id,
        "client": session.client,
        "client_version": session.client_version,
        "user": names.principal(session.principal_id),
        "team": names.teams.get(session.team_id) if session.team_id else None,
        "key": session.key_id,
        "parent_session": session.parent_session_id,
        "is_derived": session.is_derived,
        "first_seen": session.first_seen.isoformat(),
        "last_seen": session.last_seen.isoformat(),
        "models": session.model_names,
        "agents": session.agent_ids,
        **measures_out(Measures(**{name: getattr(session, name) for name in MEASURES})),
    }


def _names(sessions: Any) -> Names:
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
