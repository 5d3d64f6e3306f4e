"""Somebody who has left, and is still named in the books."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.services import Actor
from control_plane.keys.services import key_mint, key_revoke
from control_plane.organizations.models import Organization, Role, Team
from control_plane.organizations.services import INSTALLATION, membership_add
from control_plane.usage.models import KeyLastUse
from tests.control_plane.usage.events import an_exchange_id


def somebody_left(organization: Organization, team: Team) -> UUID:
    """Their key ended with their membership; what they used stays."""
    system = Actor.system("test")
    user = user_create(email="charles@example.com", password=None, name="Charles Babbage", actor=system)
    membership = membership_add(organization=organization, user=user, role=Role.MEMBER, actor=system, by=INSTALLATION)
    actor = actor_of(user)
    key = key_mint(organization=organization, name="laptop", user=user, team=team, actor=actor, created_by=user).key
    used_at = timezone.now() - timedelta(days=12)
    KeyLastUse.objects.create(
        key_id=key.key_id,
        organization_id=organization.id,
        used_at=used_at,
        exchange_id=an_exchange_id(9_003, used_at),
        client="claude-code",
    )
    key_revoke(key=key, reason="left", actor=system)
    membership.delete()
    return user.id
