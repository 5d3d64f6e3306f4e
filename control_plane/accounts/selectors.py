"""Find people, and where they are signed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.sessions.models import Session
from django.utils import timezone

from control_plane.accounts.models import ConsoleSession, RecoveryCode, SecondFactor, User


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a person, as the profile shows it."""

    id: UUID
    method: str
    source_address: str
    user_agent: str
    began_at: datetime
    is_this_one: bool


def user_by_email(email: str) -> User | None:
    """Find a person by e-mail, whatever its case."""
    return User.objects.filter(email=email.strip().lower()).first()


def has_second_factor(user: User) -> bool:
    """Whether an authenticator app is set up and confirmed."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).exists()


def recovery_codes_left(user: User) -> int:
    return RecoveryCode.objects.filter(user=user, used_at__isnull=True).count()


def sessions_of(user: User, *, this_key: str | None) -> list[SessionRow]:
    """A person's sessions that still run, the present one first."""
    notes = list(ConsoleSession.objects.filter(user=user)[:200])
    alive = _running({note.session_key: note for note in notes})
    rows = [
        SessionRow(
            note.id, note.method, note.source_address, note.user_agent, note.created_at, note.session_key == this_key
        )
        for note in notes
        if note.session_key in alive
    ]
    return sorted(rows, key=lambda row: not row.is_this_one)


def _running(notes: Mapping[str, ConsoleSession]) -> set[str]:
    return set(
        Session.objects.filter(session_key__in=list(notes), expire_date__gt=timezone.now()).values_list(
            "session_key", flat=True
        )
    )
