"""People as the audit names them."""

from control_plane.accounts.models import User
from control_plane.audit.services import Actor, ActorKind, Subject


def actor_of(user: User, *, source_address: str = "") -> Actor:
    """Name a signed-in person as the one who acts."""
    return Actor(ActorKind.USER, user.id.hex, user.email, source_address)


def user_subject(user: User) -> Subject:
    return Subject("user", user.id.hex, user.email)
