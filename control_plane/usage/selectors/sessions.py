"""One conversation session: its sub-agents and how its cost grew. Lists of them: `sessions.selectors.listing`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql

from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.scope import Scope, all_of
from control_plane.usage.selectors.standing import session_conditions


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
        *session_conditions(session.organization_id, session.session_id, session.key_id),
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
