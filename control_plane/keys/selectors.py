"""Find keys and tokens; what pods must know of them, and which must be denied."""

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.keys.models import AdminToken, PodToken, VirtualKey
from control_plane.organizations.models import Organization

DEAD_KEYS_ARE_TOLD_FOR = timedelta(days=30)
"""So long pods know a dead key, to say that it is revoked or expired rather than unknown."""
TOMBSTONES_OUTLIVE_KEYS_BY = timedelta(days=30)
"""A pod may hold a key shard that is older than the newest: the denial stays longer than the key."""


def keys_of(organization: Organization) -> QuerySet[VirtualKey]:
    """All keys of an organization, newest first."""
    return (
        VirtualKey.objects.filter(organization=organization)
        .select_related("user", "service_account", "team", "created_by")
        .order_by("-created_at")
    )


def keys_of_user(organization: Organization, user: User) -> QuerySet[VirtualKey]:
    """A person's own keys in an organization, newest first."""
    return keys_of(organization).filter(user=user)


def key_by_id(organization: Organization, key_id: UUID) -> VirtualKey | None:
    return keys_of(organization).filter(id=key_id).first()


def admin_tokens_of(organization: Organization) -> QuerySet[AdminToken]:
    return AdminToken.objects.filter(organization=organization).select_related("user").order_by("-created_at")


def pod_tokens() -> QuerySet[PodToken]:
    """The fleet's join tokens that are in force."""
    return PodToken.objects.filter(revoked_at__isnull=True).order_by("-created_at")


def keys_told_to_pods(organization_id: UUID, now: datetime) -> QuerySet[VirtualKey]:
    """The keys that pods hold: all but those that have been dead for long."""
    forgotten_before = now - DEAD_KEYS_ARE_TOLD_FOR
    return (
        VirtualKey.objects.filter(organization_id=organization_id)
        .exclude(revoked_at__lt=forgotten_before)
        .exclude(expires_at__lt=forgotten_before)
        .order_by("key_id")
    )


def revoked_keys(organization_id: UUID, since: datetime) -> QuerySet[VirtualKey]:
    """The keys revoked since then, in a stable order."""
    return VirtualKey.objects.filter(organization_id=organization_id, revoked_at__gte=since).order_by("key_id")


def dead_keys_by_organization(now: datetime | None = None) -> dict[UUID, dict[str, bool]]:
    """Per organization: the key ids that must have a tombstone, and whether their running streams are cut."""
    since = (now or timezone.now()) - DEAD_KEYS_ARE_TOLD_FOR - TOMBSTONES_OUTLIVE_KEYS_BY
    dead: dict[UUID, dict[str, bool]] = defaultdict(dict)
    denied_owner = Q(user__is_active=False) | Q(service_account__is_active=False)
    rows = VirtualKey.objects.filter(Q(revoked_at__gte=since) | Q(revoked_at__isnull=True) & denied_owner)
    for organization_id, key_id, revoked_at, cuts in rows.values_list(
        "organization_id", "key_id", "revoked_at", "cut_streams"
    ):
        dead[organization_id][key_id] = cuts or revoked_at is None
    return dict(dead)
