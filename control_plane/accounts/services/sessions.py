"""Console sessions: where a person is signed in, and how to end that.

A session is Django's row; ours beside it says whose it is, since Django's cannot be searched by person.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef

from control_plane.accounts.models import ConsoleSession, User
from control_plane.accounts.services.actors import user_subject
from control_plane.audit.services import Actor, record_change


@dataclass(frozen=True, slots=True)
class SessionOrigin:
    """From where a session was begun, for the person to know it again."""

    source_address: str = ""
    user_agent: str = ""


def session_begin(*, user: User, session_key: str, method: str, origin: SessionOrigin) -> ConsoleSession:
    """Note that a person is signed in under this key; a second sign-in on the same key replaces the note."""
    noted, _ = ConsoleSession.objects.update_or_create(
        session_key=session_key,
        defaults={
            "user": user,
            "method": method[:60],
            "source_address": origin.source_address[:64],
            "user_agent": origin.user_agent[:300],
        },
    )
    return noted


@transaction.atomic
def session_end(*, user: User, session_id: UUID, actor: Actor) -> bool:
    """End one of a person's sessions; False: they have no such session."""
    noted = ConsoleSession.objects.filter(user=user, id=session_id).first()
    if noted is None:
        return False
    _end([noted.session_key])
    record_change(
        organization_id=None,
        actor=actor,
        action="user.session_ended",
        subject=user_subject(user),
        before={"method": noted.method, "source_address": noted.source_address},
    )
    return True


@transaction.atomic
def sessions_end(*, user: User, actor: Actor, keeps: str | None = None, reason: str = "") -> int:
    """End all console sessions of a person, besides the one with the key `keeps`; says how many there were."""
    keys = list(ConsoleSession.objects.filter(user=user).exclude(session_key=keeps or "").values_list("session_key"))
    ended = _end([key for (key,) in keys])
    if ended:
        record_change(
            organization_id=None,
            actor=actor,
            action="user.sessions_ended",
            subject=user_subject(user),
            before={"sessions": ended},
            reason=reason,
        )
    return ended


def sessions_forget_ended() -> int:
    """Forget notes of sessions that are no more."""
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    removed, _ = ConsoleSession.objects.filter(~Exists(alive)).delete()
    return removed


def _end(session_keys: Collection[str]) -> int:
    ended, _ = Session.objects.filter(session_key__in=session_keys).delete()
    ConsoleSession.objects.filter(session_key__in=session_keys).delete()
    return ended
