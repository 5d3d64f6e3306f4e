"""What concerns this person now: the list behind the bell in the top bar.

A source is a function from the standing to notices; a new kind of notice is a function here and a line in SOURCES. A
notice's id changes when there is something new to say, so that what was put away comes back then and not before.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from control_plane.keys.models import NoticeKind, VirtualKey
from control_plane.keys.services.notices import Due, due_notices, keys_ending
from control_plane.organizations.roles import Permission, Standing, can
from control_plane.web.books_notices import books_incomplete
from control_plane.web.budget_notices import requests_for_more, stages_reached
from control_plane.web.models import DismissedNotice
from control_plane.web.notice import Notice, Source

KEPT_FOR = timedelta(days=90)
MOST_KEYS = 200


def notices_for(standing: Standing, *, now: datetime | None = None) -> list[Notice]:
    """What there is to say and was not put away, the most pressing first."""
    now = now or timezone.now()
    found = [notice for source in SOURCES for notice in source(standing, now)]
    if not found:
        return []
    put_away = set(
        DismissedNotice.objects.filter(
            organization_id=standing.organization_id,
            user_id=standing.user_id,
            notice__in=[notice.id for notice in found],
        ).values_list("notice", flat=True)
    )
    return sorted((notice for notice in found if notice.id not in put_away), key=lambda notice: notice.at)


def notice_dismiss(standing: Standing, notice_id: str) -> None:
    """Put a notice away for this person. Twice is fine; one that says nothing to this person is not kept."""
    now = timezone.now()
    if all(notice.id != notice_id for source in SOURCES for notice in source(standing, now)):
        return
    own = DismissedNotice.objects.filter(organization_id=standing.organization_id, user_id=standing.user_id)
    own.filter(dismissed_at__lt=now - KEPT_FOR).delete()
    DismissedNotice.objects.get_or_create(
        organization_id=standing.organization_id, user_id=standing.user_id, notice=notice_id
    )


def ending_keys(standing: Standing, now: datetime) -> Iterator[Notice]:
    """Keys that end soon or are due for rotation: one's own, and those of service accounts one answers for."""
    concerned = Q(user_id=standing.user_id) | Q(service_account__team__lead_id=standing.user_id)
    if can(standing, Permission.KEYS_MANAGE):
        # Whoever runs the organization stands in where a team has no lead.
        concerned |= Q(service_account__isnull=False, service_account__team__lead__isnull=True)
    keys = keys_ending(now).filter(concerned, organization_id=standing.organization_id)
    for due in due_notices(keys[:MOST_KEYS], now):
        yield _key_notice(due, now, standing.user_id)


def _key_notice(due: Due, now: datetime, user_id: UUID) -> Notice:
    key, on_schedule = due.key, due.kind == NoticeKind.ROTATION_DUE
    is_late = on_schedule and due.at <= now
    word = "is overdue for rotation" if is_late else "is due for rotation" if on_schedule else "expires"
    return Notice(
        id=f"key:{key.id.hex}:{due.kind}:{int(due.at.timestamp())}:{due.days_before}",
        tone="stopped" if is_late or due.at - now <= timedelta(days=1) else "look",
        icon="rotate-cw" if on_schedule else "clock",
        title=f"{key.name} {word}",
        text=_whose(key, user_id),
        at=due.at,
        address=reverse("web:key", args=[key.id]),
        action="Rotate",
        action_address=reverse("web:key-rotate", args=[key.id]),
    )


def _whose(key: VirtualKey, user_id: UUID) -> str:
    whose = "your own key" if key.user_id == user_id else f"service account {key.service_account}"
    return f"{key.prefix}…, {whose}, charged to {key.team.name}"


SOURCES: tuple[Source, ...] = (ending_keys, requests_for_more, stages_reached, books_incomplete)
"""Everything that has something to say, in no order."""
