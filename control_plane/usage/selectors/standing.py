"""How the intake itself stands, and the last use of keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Count, Min, Q, Sum
from psycopg import sql

from control_plane.usage import ulid
from control_plane.usage.models import (
    ConversationSession,
    FailedAuthenticationMinute,
    InboxBatch,
    KeyLastUse,
    QuarantinedEvent,
    UsageDay,
)
from control_plane.usage.selectors.parts import ADMITTED_AFTER, ADMITTED_UP_TO


@dataclass(frozen=True, slots=True)
class InboxStanding:
    """What waits before the ledger. Concerns the installation, not one organization."""

    waiting_batches: int
    waiting_events: int
    oldest_received_at: datetime | None
    parked_batches: int
    quarantined_events: int


def inbox_standing() -> InboxStanding:
    waits = Q(parked_reason="")
    found = InboxBatch.objects.aggregate(
        waiting=Count("id", filter=waits),
        events=Sum("event_count", filter=waits),
        oldest=Min("received_at", filter=waits),
        parked=Count("id", filter=~waits),
    )
    quarantined = QuarantinedEvent.objects.filter(settled_at=None).count()
    return InboxStanding(found["waiting"], found["events"] or 0, found["oldest"], found["parked"], quarantined)


def failed_authentications(*, since: datetime) -> list[tuple[str, str, int]]:
    """Count failed authentications by reason and source, most first. Concerns the installation."""
    rows = (
        FailedAuthenticationMinute.objects.filter(minute__gte=since)
        .values_list("reason", "source")
        .annotate(total=Sum("count"))
        .order_by("-total", "reason", "source")[:200]
    )
    return [(reason, source, total) for reason, source, total in rows]


def owner_conditions(organization_id: UUID, key_ids: Iterable[str]) -> list[sql.Composable]:
    """What else is true of the ledger's rows of keys: whose they are. It has an index of owners and none of keys.

    Empty: some of these rows are nobody's.
    """
    days = UsageDay.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    return owned_by(days.order_by().values_list("principal_id", flat=True).distinct())


def owned_by(principal_ids: Iterable[UUID | None]) -> list[sql.Composable]:
    """What is true of rows of these owners. Empty: some of them are nobody's."""
    owners = list(dict.fromkeys(principal_ids))
    if None in owners:
        return []
    if len(owners) == 1:
        return [sql.SQL("principal_id = {}").format(sql.Literal(owners[0]))]
    return [sql.SQL("principal_id = ANY({}::uuid[])").format(sql.Literal(owners))]


def session_conditions(organization_id: UUID, session_id: str, key_id: str = "") -> list[sql.Composable]:
    """What is true of the ledger's rows of a session: its name, whose its keys are, and when it was seen.

    The ledger has an index of owners and their exchanges, of which a session's are a short stretch, and none of
    sessions. Without a key: the rows of all sessions that bear this name; none where none is known, since every row
    that has a session is summed in it.
    """
    conditions: list[sql.Composable] = [sql.SQL("session_id = {} AND session_id <> ''").format(sql.Literal(session_id))]
    known = ConversationSession.objects.filter(organization_id=organization_id, session_id=session_id)
    if key_id:
        conditions.append(sql.SQL("key_id = {}").format(sql.Literal(key_id)))
        known = known.filter(key_id=key_id)
    seen = list(known.values_list("key_id", "first_seen", "last_seen"))
    if not seen:
        return [sql.SQL("FALSE")]
    since, until = min(each[1] for each in seen) - ADMITTED_UP_TO, max(each[2] for each in seen) + ADMITTED_AFTER
    conditions.append(
        sql.SQL("day >= {} AND day <= {} AND exchange_id >= {} AND exchange_id <= {}").format(
            sql.Literal(since.astimezone(UTC).date()),
            sql.Literal(until.astimezone(UTC).date()),
            sql.Literal(ulid.lowest_at(since)),
            sql.Literal(ulid.lowest_at(until)),
        )
    )
    return conditions + owner_conditions(organization_id, {each[0] for each in seen})


def key_last_uses(organization_id: UUID, key_ids: Iterable[str]) -> dict[str, KeyLastUse]:
    """Find the last use of keys of one organization, by key id; unused keys are absent."""
    uses = KeyLastUse.objects.filter(organization_id=organization_id, key_id__in=list(key_ids))
    return {use.key_id: use for use in uses}
