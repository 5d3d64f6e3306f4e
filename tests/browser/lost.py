"""What is missing in the books, what was not believed, and somebody who has left and is still named in them."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from control_plane.accounts.services import actor_of, user_create
from control_plane.audit.services import Actor
from control_plane.keys.services import key_mint, key_revoke
from control_plane.organizations.models import Organization, Role, Team
from control_plane.organizations.services import INSTALLATION, membership_add
from control_plane.usage.models import KeyLastUse, MissingEvents, Orphan, PodSequence
from tests.control_plane.api.test_completeness import quarantined
from tests.control_plane.usage.events import an_exchange_id

POD = "pod-lost"
BOOT = b"boot-0000000077-"


def lost(organization: Organization) -> None:
    """A pod that went with its disk: five of its events, and one request of which only the reservation is known."""
    at = timezone.now() - timedelta(hours=3)
    PodSequence.objects.create(pod_id=POD, boot_id=BOOT, highest=40_000, first_seen_at=at, reported_at=at)
    MissingEvents.objects.create(pod_id=POD, boot_id=BOOT, first=39_801, last=39_805, opened_at=at)
    Orphan.objects.create(
        organization_id=organization.id,
        exchange_id=an_exchange_id(9_001, at),
        attempt=1,
        pod_id=POD,
        cost_nano_usd=214_000_000,
        estimated_at=at + timedelta(minutes=15),
    )
    quarantined(organization.id, 9_002)


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
