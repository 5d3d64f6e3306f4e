"""Find people."""

from control_plane.accounts.models import User


def user_by_email(email: str) -> User | None:
    """Find a person by e-mail, whatever its case."""
    return User.objects.filter(email=email.strip().lower()).first()
