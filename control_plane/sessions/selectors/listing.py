"""Lists of sessions: narrowed by who, when, what was found and what it cost."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from control_plane.sessions.analysis.findings import Cause, Kind
from control_plane.sessions.models import SessionFinding, SessionSummary
from control_plane.usage.models import ConversationSession
from control_plane.usage.selectors.scope import Scope

LEAST_TURNS = 5
LEAST_PROMPT_TOKENS = 20_000
"""Below these a session has nothing to find in a cache, so its share says nothing."""


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """What sessions are asked for; None or empty: anything."""

    scope: Scope
    since: datetime | None = None
    until: datetime | None = None
    session_id: str = ""
    principal_id: UUID | None = None
    team_id: UUID | None = None
    key_id: str = ""
    client: str = ""
    model: str = ""
    repository: str = ""
    is_flagged: bool | None = None
    """Whether the cache share is below what the organization wants."""
    least_cache_share_per_mille: int = 0
    finding: str = ""
    """A kind, or a cause."""
    least_cost_nano_usd: int | None = None
    most_cost_nano_usd: int | None = None


def is_flagged(summary: SessionSummary, least_cache_share_per_mille: int) -> bool:
    """Whether a session's cache share is too low to be overlooked."""
    return (
        summary.turns >= LEAST_TURNS
        and summary.prompt_tokens >= LEAST_PROMPT_TOKENS
        and summary.cache_share_per_mille < least_cache_share_per_mille
    )


def sessions_matching(query: SessionQuery) -> QuerySet[ConversationSession]:
    """Sessions with their summaries, in no order. One that nobody has looked at yet is there without a summary."""
    rows = ConversationSession.objects.filter(query.scope.condition()).select_related("summary")
    rows = _narrowed_session(rows, query, "")
    if query.session_id:
        rows = rows.filter(session_id=query.session_id)
    return _narrowed_summary(rows, query, "summary__")


def newest_sessions(query: SessionQuery, limit: int) -> list[ConversationSession]:
    """The sessions seen last, newest first."""
    return list(newest_first(sessions_matching(query))[:limit])


def newest_first(
    rows: QuerySet[ConversationSession], after: tuple[datetime, UUID] | None = None
) -> QuerySet[ConversationSession]:
    """Order sessions by when they were seen last; those that come after the one so named.

    By the hour first, which is all that the index knows, and which is the same order.
    """
    if after is not None:
        last_seen, row_id = after
        later = Q(last_seen__lt=last_seen) | Q(last_seen=last_seen, id__gt=row_id)
        rows = rows.filter(later, seen_hour__lte=_hour_of(last_seen))
    return rows.order_by("-seen_hour", "-last_seen", "id")


def _hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def summaries_matching(query: SessionQuery) -> QuerySet[SessionSummary]:
    """Summaries with their sessions, in no order. Sessions come behind: those of a page, and not joined to all."""
    rows = SessionSummary.objects.filter(query.scope.condition()).prefetch_related("session")
    if query.session_id:
        rows = rows.filter(session__session_id=query.session_id)
    return _narrowed_summary(_narrowed_session(rows, query, "session__"), query, "")


def _narrowed_session(rows: Any, query: SessionQuery, to_session: str) -> Any:
    if query.since:
        rows = rows.filter(last_seen__gte=query.since)
        if not to_session:
            rows = rows.filter(seen_hour__gte=_hour_of(query.since))
    if query.until:
        rows = rows.filter(first_seen__lt=query.until)
    if query.principal_id:
        rows = rows.filter(principal_id=query.principal_id)
    if query.team_id:
        rows = rows.filter(team_id=query.team_id)
    if query.client:
        rows = rows.filter(client=query.client)
    if query.key_id:
        rows = rows.filter(**{f"{to_session}key_id": query.key_id})
    if query.model:
        rows = rows.filter(**{f"{to_session}model_names__contains": [query.model]})
    if query.least_cost_nano_usd is not None:
        rows = rows.filter(**{f"{to_session}cost_nano_usd__gte": query.least_cost_nano_usd})
    if query.most_cost_nano_usd is not None:
        rows = rows.filter(**{f"{to_session}cost_nano_usd__lte": query.most_cost_nano_usd})
    return rows


def _narrowed_summary(rows: Any, query: SessionQuery, to_summary: str) -> Any:
    if query.repository:
        rows = rows.filter(**{f"{to_summary}repository": query.repository})
    if query.is_flagged is not None:
        low = Q(
            **{
                f"{to_summary}turns__gte": LEAST_TURNS,
                f"{to_summary}prompt_tokens__gte": LEAST_PROMPT_TOKENS,
                f"{to_summary}cache_share_per_mille__lt": query.least_cache_share_per_mille,
            }
        )
        rows = rows.filter(low) if query.is_flagged else rows.exclude(low)
    if query.finding in set(Kind):
        rows = rows.filter(**{f"{to_summary}finding_kinds__contains": [query.finding]})
    elif query.finding in set(Cause):
        found = SessionFinding.objects.filter(organization_id=query.scope.organization_id, cause=query.finding).values(
            "session_id"
        )
        rows = rows.filter(pk__in=found)
    return rows
