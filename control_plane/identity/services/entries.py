"""Sign-ins as the audit knows them."""

from django.db import transaction

from control_plane.accounts.models import User
from control_plane.accounts.services import user_subject
from control_plane.audit.services import Actor, record_change
from control_plane.identity.models import IdentityConnection
from control_plane.organizations.models import Organization


@transaction.atomic
def sign_in_record(*, user: User, method: str, actor: Actor, connection: IdentityConnection | None = None) -> None:
    """Note that somebody signed in: in the organization's chain with single sign-on, else in the installation's."""
    record_change(
        organization_id=None if connection is None else connection.organization_id,
        actor=actor,
        action="user.signed_in",
        subject=user_subject(user),
        after={"method": method} if connection is None else {"method": method, "connection": connection.name},
    )


@transaction.atomic
def confirmation_record(*, user: User, organization: Organization, method: str, actor: Actor) -> None:
    """Note that somebody in a session proved once more who they are, before something that hands out power."""
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="session.confirmed",
        subject=user_subject(user),
        after={"method": method},
    )


@transaction.atomic
def break_glass_record(*, user: User, organization: Organization, actor: Actor) -> None:
    """Note that somebody went past enforced single sign-on: rare, and something to look at."""
    record_change(
        organization_id=organization.id,
        actor=actor,
        action="user.broke_glass",
        subject=user_subject(user),
        after={"method": "password with second factor, past enforced single sign-on"},
    )
