"""Keep what is known of sessions in step with their rows; change an organization's settings."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from control_plane.audit.services import Actor, Subject, record_change
from control_plane.organizations.models import Organization
from control_plane.sessions.analysis.session import Analysis, Sums, analyse
from control_plane.sessions.models import (
    NAME_LENGTH,
    SessionDay,
    SessionFinding,
    SessionSettings,
    SessionSummary,
    SessionWatermark,
)
from control_plane.sessions.reading import Read, prices_of, session_read
from control_plane.sessions.selectors.settings import settings_of
from control_plane.usage.models import ConversationSession
from switchyard_contract.pricing import Price

EPOCH = datetime.fromtimestamp(0, UTC)
OVERLAP = timedelta(minutes=10)
"""A transaction may commit so long after it wrote when the session moved."""
MOST_FINDINGS = 500
"""Of one session are kept, the dearest; the sums hold all."""
MOST_REPOSITORY_KEYS = 8

# A long session is looked at less often while it runs: work stays in proportion to what is new.
_MOVED = """
SELECT session.id FROM usage_conversationsession AS session
LEFT JOIN conversations_sessionsummary AS summary ON summary.session_id = session.id
WHERE session.moved_part >= date_bin('10 minutes', %(through)s::timestamptz, '2000-01-01 00:00:00+00')
AND session.moved_at >= %(through)s AND (summary.session_id IS NULL OR (summary.moved_at < session.moved_at
    AND summary.analysed_at <= %(now)s::timestamptz - make_interval(secs => LEAST(300, summary.turns / 10.0))))
ORDER BY session.moved_at LIMIT %(most)s
"""
_OLDEST_LEFT = """
SELECT min(session.moved_at) FROM usage_conversationsession AS session
LEFT JOIN conversations_sessionsummary AS summary ON summary.session_id = session.id
WHERE session.moved_part >= date_bin('10 minutes', %(through)s::timestamptz, '2000-01-01 00:00:00+00')
AND session.moved_at >= %(through)s AND (summary.session_id IS NULL OR summary.moved_at < session.moved_at)
"""
_SUMS = tuple(part.name for part in fields(Sums))


def sessions_moved(*, now: datetime, most: int) -> list[UUID]:
    """Find sessions whose rows moved since they were looked at, those that wait longest first."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, {"through": _through(), "now": now, "most": most})
        return [row[0] for row in cursor.fetchall()]


def watermark_advance(*, now: datetime) -> None:
    """Note up to when everything has been looked at, so that the next search begins there."""
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_LEFT, {"through": _through()})
        (oldest,) = cursor.fetchone()
    through = min(oldest or now, now) - OVERLAP
    SessionWatermark.objects.filter(through__lt=through).update(through=through)


def session_analyse(session_id: UUID, *, now: datetime, prices: dict[UUID, dict[str, Price]] | None = None) -> bool:
    """Look at a session's rows and write what they say. Twice the same rows: twice the same. False: it is gone.

    prices: by organization; handed from session to session, so that each is read once.
    """
    # Read before the rows: what is booked in between is looked at again, never missed.
    session = ConversationSession.objects.filter(id=session_id).first()
    if session is None:
        return False
    settings = settings_of(session.organization_id)
    read = session_read(session, settings.repository_keys)
    known = {} if prices is None else prices.setdefault(session.organization_id, {})
    analysis = analyse(read.turns, prices_of(read.turns, session.organization_id, known))
    _write(session, read, analysis, now)
    return True


@transaction.atomic
def _write(session: ConversationSession, read: Read, analysis: Analysis, now: datetime) -> None:
    facts: dict[str, Any] = {
        "organization_id": session.organization_id,
        "principal_id": session.principal_id,
        "team_id": session.team_id,
        "client": session.client,
    }
    summary, is_new = SessionSummary.objects.select_for_update().get_or_create(
        session_id=session.id,
        defaults={
            **facts,
            "first_seen": session.first_seen,
            "last_seen": session.last_seen,
            "moved_at": EPOCH,
            "analysed_at": now,
        },
    )
    if summary.moved_at > session.moved_at:
        # Somebody looked at newer rows meanwhile.
        return
    if not read.turns and summary.turns:
        # Its rows are older than the ledger keeps: what was known of it stays.
        SessionSummary.objects.filter(session_id=session.id).update(moved_at=session.moved_at, analysed_at=now)
        return
    repository = read.repository[:NAME_LENGTH]
    findings = analysis.findings
    SessionSummary.objects.filter(session_id=session.id).update(
        **facts,
        **_columns(analysis.sums),
        repository=repository,
        first_seen=session.first_seen,
        last_seen=session.last_seen,
        agents=sum(bool(strand.agent_id) for strand in analysis.strands),
        most_context=analysis.most_context,
        cache_share_per_mille=analysis.sums.cache_share_per_mille,
        share_cause=analysis.share_cause,
        finding_kinds=sorted({finding.kind.value for finding in findings}),
        is_partial=read.is_partial,
        moved_at=session.moved_at,
        analysed_at=now,
    )
    if not is_new:
        SessionDay.objects.filter(session_id=session.id).delete()
        SessionFinding.objects.filter(session_id=session.id).delete()
    places = sorted(analysis.places.items())
    joining = {place[1:]: place for place, _ in reversed(places)}
    SessionDay.objects.bulk_create(
        SessionDay(
            **facts,
            **_columns(sums),
            session_id=session.id,
            repository=repository,
            day=day,
            model=model,
            provider_id=UUID(provider_id) if provider_id else None,
            provider_name=provider_name,
            begun=int(number == 0),
            joined=int(joining[model, provider_id, provider_name][0] == day),
        )
        for number, ((day, model, provider_id, provider_name), sums) in enumerate(places)
    )
    dearest = sorted(findings, key=lambda finding: (-finding.money_nano_usd, finding.at_ms))[:MOST_FINDINGS]
    SessionFinding.objects.bulk_create(
        SessionFinding(
            session_id=session.id,
            organization_id=session.organization_id,
            principal_id=session.principal_id,
            team_id=session.team_id,
            kind=finding.kind,
            cause=finding.cause,
            is_avoidable=finding.is_avoidable,
            agent_id=finding.agent_id,
            turn=finding.turn,
            exchange_id=finding.exchange_id,
            at=datetime.fromtimestamp(finding.at_ms / 1000, UTC),
            money_nano_usd=finding.money_nano_usd,
            lost_tokens=finding.lost_tokens,
            detail=dict(finding.detail),
        )
        for finding in sorted(dearest, key=lambda finding: (finding.at_ms, finding.turn))
    )


def session_pass_over(session_id: UUID, *, now: datetime) -> None:
    """Leave a session as it is until it moves again: it must not keep the others waiting."""
    session = ConversationSession.objects.filter(id=session_id).first()
    if session is None:
        return
    SessionSummary.objects.update_or_create(
        session_id=session.id,
        defaults={"moved_at": session.moved_at, "analysed_at": now},
        create_defaults={
            "organization_id": session.organization_id,
            "principal_id": session.principal_id,
            "team_id": session.team_id,
            "client": session.client,
            "first_seen": session.first_seen,
            "last_seen": session.last_seen,
            "moved_at": session.moved_at,
            "analysed_at": now,
        },
    )


@transaction.atomic
def session_settings_update(
    *,
    organization: Organization,
    actor: Actor,
    least_cache_share_per_mille: int | None = None,
    repository_keys: Sequence[str] | None = None,
) -> SessionSettings:
    """Change what is flagged, or under which keys repositories are named; then all sessions are looked at again.

    Raises ValidationError.
    """
    # Two admins at once: the organization's row is the lock, since the settings may have none yet.
    Organization.objects.select_for_update().get(id=organization.id)
    settings = settings_of(organization.id)
    before = _facts(settings)
    if least_cache_share_per_mille is not None:
        if not 0 <= least_cache_share_per_mille <= 1000:
            raise ValidationError({"least_cache_share_per_mille": "From 0 to 1000 (per mille)."})
        settings.least_cache_share_per_mille = least_cache_share_per_mille
    if repository_keys is not None:
        settings.repository_keys = _checked_keys(repository_keys)
    after = _facts(settings)
    if after == before:
        return settings
    settings.save()
    if after["repository_keys"] != before["repository_keys"]:
        SessionSummary.objects.filter(organization_id=organization.id).update(moved_at=EPOCH)
        SessionWatermark.objects.update(through=EPOCH)
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="session_settings.updated",
        subject=Subject("session_settings", organization.id.hex, "sessions"),
        before=before,
        after=after,
    )
    return settings


def _checked_keys(keys: Sequence[str]) -> list[str]:
    cleaned = list(dict.fromkeys(key.strip() for key in keys if key.strip()))
    if not cleaned or len(cleaned) > MOST_REPOSITORY_KEYS:
        raise ValidationError({"repository_keys": f"One to {MOST_REPOSITORY_KEYS} metadata keys."})
    if any(len(key) > 64 or "\x00" in key for key in cleaned):
        raise ValidationError({"repository_keys": "A metadata key has at most 64 characters."})
    return cleaned


def _facts(settings: SessionSettings) -> dict[str, Any]:
    return {
        "least_cache_share_per_mille": settings.least_cache_share_per_mille,
        "repository_keys": list(settings.repository_keys),
    }


def _columns(sums: Sums) -> dict[str, Any]:
    values = asdict(sums)
    return {**{name: values[name] for name in _SUMS}, "stop_reasons": dict(sums.stop_reasons)}


def _through() -> datetime:
    watermark, _ = SessionWatermark.objects.get_or_create(id=1, defaults={"through": EPOCH})
    return watermark.through
