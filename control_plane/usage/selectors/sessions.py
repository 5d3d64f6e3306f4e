"""Conversation sessions: runs of a coding tool, newest first; their sub-agents and how their cost grew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from psycopg import sql

from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.scope import Scope, all_of


@dataclass(frozen=True, slots=True)
class SessionSearch:
    """What sessions are looked for; None or empty: anything."""

    scope: Scope
    since: datetime | None = None
    until: datetime | None = None
    session_id: str = ""
    principal_id: UUID | None = None
    team_id: UUID | None = None
    key_id: str = ""
    client: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Most recently seen first. next: hand it in as `after`; None: this is the last page."""

    sessions: tuple[ConversationSession, ...]
    next: tuple[datetime, UUID] | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one exchange of a session cost."""

    exchange_id: str
    at: datetime
    model: str
    cost_nano_usd: int
    cache_read: int
    prompt: int
    output: int


def sessions_page(search: SessionSearch, *, after: tuple[datetime, UUID] | None = None, limit: int = 50) -> SessionPage:
    sessions = _in_scope(search.scope)
    if search.since:
        sessions = sessions.filter(last_seen__gte=search.since)
    if search.until:
        sessions = sessions.filter(first_seen__lt=search.until)
    if search.principal_id:
        sessions = sessions.filter(principal_id=search.principal_id)
    if search.team_id:
        sessions = sessions.filter(team_id=search.team_id)
    for name in ("session_id", "key_id", "client"):
        if getattr(search, name):
            sessions = sessions.filter(**{name: getattr(search, name)})
    if search.model:
        sessions = sessions.filter(model_names__contains=[search.model])
    if after is not None:
        last_seen, row_id = after
        sessions = sessions.filter(Q(last_seen__lt=last_seen) | Q(last_seen=last_seen, id__gt=row_id))
    found = list(sessions.order_by("-last_seen", "id")[: limit + 1])
    shown = tuple(found[:limit])
    return SessionPage(shown, (shown[-1].last_seen, shown[-1].id) if len(found) > limit else None)


def session_by_id(scope: Scope, row_id: UUID) -> ConversationSession | None:
    return _in_scope(scope).filter(id=row_id).first()


def session_children(scope: Scope, session: ConversationSession) -> Sequence[ConversationSession]:
    """Find the sessions that name this one as their parent, on the same key."""
    return list(
        _in_scope(scope)
        .filter(key_id=session.key_id, parent_session_id=session.session_id)
        .exclude(id=session.id)
        .order_by("first_seen")[:200]
    )


def session_curve(scope: Scope, session: ConversationSession, *, most: int = 2000) -> list[CurvePoint]:
    """List what the session's exchanges cost, oldest first."""
    conditions = [
        *scope.conditions(),
        sql.SQL("key_id = {}").format(sql.Literal(session.key_id)),
        sql.SQL("session_id = {} AND session_id <> ''").format(sql.Literal(session.session_id)),
        sql.SQL("day >= {} AND day <= {}").format(
            sql.Literal((session.first_seen - timedelta(days=1)).date()),
            sql.Literal((session.last_seen + timedelta(days=1)).date()),
        ),
    ]
    statement = sql.SQL(
        "SELECT exchange_id, min(started_at), (array_agg(model ORDER BY attempt DESC))[1], sum(cost_nano_usd)::bigint,"
        " sum(cache_read)::bigint, sum(input_fresh + input_tool + cache_read + cache_write_5m + cache_write_1h"
        " + cache_write_30m + cache_write_12h + cache_write_other)::bigint, sum(output + reasoning)::bigint"
        " FROM usage_ledger WHERE {} GROUP BY exchange_id ORDER BY exchange_id LIMIT {}"
    ).format(all_of(conditions), sql.Literal(most))
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [CurvePoint(*values) for values in cursor.fetchall()]


def _in_scope(scope: Scope) -> QuerySet[ConversationSession]:
    return ConversationSession.objects.filter(scope.condition())
