"""Change people. Deactivation lives with the keys that die with a person: `control_plane.keys.services`."""

from functools import cache
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import Theme, User
from control_plane.accounts.services.actors import user_subject
from control_plane.accounts.services.sessions import sessions_end
from control_plane.audit.services import Actor, record_change


@transaction.atomic
def user_create(*, email: str, password: str | None, actor: Actor, name: str = "", time_zone: str = "UTC") -> User:
    """Add a person. password None: one who cannot sign in with a password. Raises ValidationError."""
    user = User(email=email.strip().lower(), name=name.strip(), time_zone=time_zone)
    _check_time_zone(time_zone)
    if password is None:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
    user.full_clean()
    user.save(force_insert=True)
    record_change(
        organization_id=None,
        actor=actor,
        action="user.created",
        subject=user_subject(user),
        after={"email": user.email, "name": user.name},
    )
    return user


@transaction.atomic
def user_preferences_set(
    *, user: User, actor: Actor, name: str | None = None, time_zone: str | None = None, theme: Theme | None = None
) -> User:
    """Change how the console looks and speaks to a person. None leaves a preference as it is."""
    before = _preferences(user)
    if name is not None:
        user.name = name.strip()
    if time_zone is not None:
        _check_time_zone(time_zone)
        user.time_zone = time_zone
    if theme is not None:
        user.theme = theme
    if _preferences(user) == before:
        return user
    user.full_clean()
    user.save(update_fields=["name", "time_zone", "theme", "updated_at"])
    record_change(
        organization_id=None,
        actor=actor,
        action="user.preferences_changed",
        subject=user_subject(user),
        before=before,
        after=_preferences(user),
    )
    return user


@transaction.atomic
def user_identity_set(*, user: User, actor: Actor, email: str, name: str | None = None) -> User:
    """Change who a person is: the address that signs in, and the name (None: it stays). Raises ValidationError.

    For whoever has the say over the whole account: no person does this to themselves.
    """
    before = {"email": user.email, "name": user.name}
    user.email = email.strip().lower()
    if name is not None:
        user.name = name.strip()
    after = {"email": user.email, "name": user.name}
    if after == before:
        return user
    user.full_clean()
    user.save(update_fields=["email", "name", "updated_at"])
    record_change(
        organization_id=None,
        actor=actor,
        action="user.identity_changed",
        subject=user_subject(user),
        before=before,
        after=after,
    )
    return user


@transaction.atomic
def user_password_set(*, user: User, password: str, actor: Actor) -> User:
    """Replace a password. Sessions signed in with the old one end."""
    _check_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    record_change(organization_id=None, actor=actor, action="user.password_changed", subject=user_subject(user))
    return user


@transaction.atomic
def user_activity_set(*, user: User, is_active: bool, actor: Actor, reason: str = "") -> User:
    """Let a person in or shut them out of the console: their sessions end, so that none comes back to life later.

    Their keys are not touched: see keys.services.
    """
    user.is_active = is_active
    user.save(update_fields=["is_active", "updated_at"])
    if not is_active:
        sessions_end(user=user, actor=actor, reason=reason)
    record_change(
        organization_id=None,
        actor=actor,
        action="user.reactivated" if is_active else "user.deactivated",
        subject=user_subject(user),
        before={"is_active": not is_active},
        after={"is_active": is_active},
        reason=reason,
    )
    return user


def _preferences(user: User) -> dict[str, str]:
    return {"name": user.name, "time_zone": user.time_zone, "theme": str(user.theme)}


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as failure:
        raise ValidationError({"password": failure.messages}) from failure


@cache
def _time_zones() -> frozenset[str]:
    """Every name of a time zone. Asked once: the answer walks some 600 files, 7 ms for each person that is added."""
    return frozenset(available_timezones())


def _check_time_zone(name: str) -> None:
    if name not in _time_zones():
        raise ValidationError({"time_zone": f"{name!r} is no time zone such as Europe/Berlin."})
