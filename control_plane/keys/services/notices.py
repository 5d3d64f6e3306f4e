"""Tell people in time that a key is about to end: in the console at once, by e-mail where mail is set up.

What was told is a row, so nobody is told twice and a moved date is told anew. Keys that live for hours by design (those
of `switchyard key helper`, of CI runs) are not worth a word: a notice needs a life three times as long as its warning.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from control_plane.keys.models import KeyNotice, NoticeKind, VirtualKey
from control_plane.organizations.models import Membership, Role

log = structlog.get_logger()

WARNING_DAYS = (14, 7, 1, 0)
"""Days before the end at which people are told; 0: on the day a successor is due, for keys on a schedule."""
FIRST_WARNING = timedelta(days=max(WARNING_DAYS))
LIFE_PER_WARNING = 3
MAIL_IS_TRIED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """One word to say. at: when the key ends, or its successor is due."""

    key: VirtualKey
    kind: NoticeKind
    at: datetime
    days_before: int


def keys_ending(now: datetime, within: timedelta = FIRST_WARNING) -> QuerySet[VirtualKey]:
    """Live keys that end, or are due for a successor, within that time; those already replaced are let go in peace."""
    until = now + within
    ends = Q(rotation_days__isnull=True, expires_at__gt=now, expires_at__lte=until)
    is_due = Q(rotation_days__isnull=False, rotate_by__lte=until, expires_at__gt=now)
    return (
        VirtualKey.objects.filter(ends | is_due, revoked_at__isnull=True, rotated_to__isnull=True)
        .select_related("organization", "user", "service_account__team__lead", "team")
        .order_by("organization_id", "expires_at", "id")
    )


def due_notices(keys: Iterable[VirtualKey], now: datetime) -> list[Due]:
    """What there is to say of these keys now: of each the most pressing warning that applies."""
    found = []
    for key in keys:
        on_schedule = key.rotation_days is not None
        at = key.rotate_by if on_schedule else key.expires_at
        if at is None:
            continue
        left, life = at - now, at - key.created_at
        days = [
            each
            for each in WARNING_DAYS
            if left <= timedelta(days=each)
            and life >= timedelta(days=each * LIFE_PER_WARNING)
            and (each > 0 or on_schedule)
        ]
        if days and life >= timedelta(days=LIFE_PER_WARNING):
            kind = NoticeKind.ROTATION_DUE if on_schedule else NoticeKind.EXPIRES
            found.append(Due(key, kind, at, min(days)))
    return found


def notices_write(*, now: datetime | None = None) -> int:
    """Note what is due; says how many notices are new."""
    now = now or timezone.now()
    due = due_notices(keys_ending(now).iterator(chunk_size=500), now)
    admins = _admins({each.key.organization_id for each in due})
    rows = [
        KeyNotice(
            organization_id=each.key.organization_id,
            key=each.key,
            kind=each.kind,
            due_at=each.at,
            days_before=each.days_before,
            recipients=_recipients(each.key, admins),
        )
        for each in due
    ]
    before = KeyNotice.objects.count()
    KeyNotice.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return KeyNotice.objects.count() - before


def notices_mail(*, now: datetime | None = None) -> int:
    """Send what was noted and not mailed yet, one message per person and organization; says how many went out.

    A message that fails is tried again at the next run, for a day; the notice keeps why.
    """
    if not settings.EMAIL_HOST:
        return 0
    now = now or timezone.now()
    sent = 0
    for address, notices in _unsent(now).items():
        with transaction.atomic():
            # Another worker may be at it: whoever holds the rows sends.
            held = list(
                KeyNotice.objects.select_for_update(skip_locked=True, of=("self",))
                .filter(id__in=[notice.id for notice in notices])
                .exclude(mailed_to__contains=[address])
                .select_related("key__service_account", "key__user", "key__team", "organization")
                .order_by("due_at", "id")
            )
            if held:
                sent += _send(address, held, now)
    return sent


def _send(address: str, notices: list[KeyNotice], now: datetime) -> int:
    try:
        message = EmailMessage(_subject(notices), _text(notices, now), settings.DEFAULT_FROM_EMAIL, [address])
        message.connection = get_connection(timeout=10)
        message.send()
    except OSError as failure:  # smtplib's errors are OSErrors
        why = f"{type(failure).__name__}"
        log.warning("a notice could not be mailed", why=why, keys=len(notices))
        KeyNotice.objects.filter(id__in=[notice.id for notice in notices]).update(failure=why)
        return 0
    for notice in notices:
        notice.mailed_to = [*notice.mailed_to, address]
        notice.mailed_at, notice.failure = now, ""
    KeyNotice.objects.bulk_update(notices, ["mailed_to", "mailed_at", "failure"])
    return 1


def _unsent(now: datetime) -> dict[str, list[KeyNotice]]:
    by_address: dict[str, list[KeyNotice]] = defaultdict(list)
    waiting = KeyNotice.objects.filter(created_at__gt=now - MAIL_IS_TRIED_FOR).filter(
        Q(mailed_at__isnull=True) | ~Q(mailed_to=F("recipients"))
    )
    for notice in waiting.order_by("organization_id", "due_at"):
        for address in notice.recipients:
            if address not in notice.mailed_to:
                by_address[address].append(notice)
    return by_address


def _subject(notices: list[KeyNotice]) -> str:
    if len(notices) == 1:
        notice = notices[0]
        verb = "is due for rotation" if notice.kind == NoticeKind.ROTATION_DUE else "expires"
        return f"Switchyard: the key {notice.key.name} {verb} on {notice.due_at:%d %B %Y}"
    return f"Switchyard: {len(notices)} keys end soon"


def _text(notices: list[KeyNotice], now: datetime) -> str:
    lines = ["Hello,", "", "These keys of the coding-tool gateway need you:", ""]
    for notice in notices:
        key = notice.key
        owner = key.user.email if key.user is not None else f"service account {key.service_account}"
        what = f"{key.name} ({key.prefix}…), {owner}, team {key.team.name}, {notice.organization.name}"
        when = f"{notice.due_at:%d %B %Y %H:%M} UTC"
        if notice.kind == NoticeKind.ROTATION_DUE:
            state = "overdue since" if notice.due_at <= now else "due for rotation by"
            end = f"; it stops working at {key.expires_at:%d %B %Y %H:%M} UTC" if key.expires_at else ""
            lines.append(f"- {what}: {state} {when}{end}.")
        else:
            lines.append(f"- {what}: expires {when}.")
        lines.append(f"  {settings.SWITCHYARD.console_public_url}/keys/{key.id}")
    lines += ["", "Rotate a key there: the old one keeps working while you put the new one in place."]
    return "\n".join(lines)


def _recipients(key: VirtualKey, admins: dict[UUID, list[str]]) -> list[str]:
    """The person, or whoever answers for a service account: its team's lead, else those who run the organization."""
    if key.user is not None:
        return [key.user.email] if key.user.is_active else []
    lead = key.service_account.team.lead if key.service_account is not None else None
    if lead is not None and lead.is_active:
        return [lead.email]
    return admins.get(key.organization_id, [])


def _admins(organization_ids: set[UUID]) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = defaultdict(list)
    rows = Membership.objects.filter(
        organization_id__in=organization_ids, role__in=(Role.OWNER, Role.ADMIN), user__is_active=True
    ).order_by("user__email")
    for organization_id, email in rows.values_list("organization_id", "user__email"):
        found[organization_id].append(email)
    return dict(found)
