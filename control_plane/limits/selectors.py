"""Find rate limits and session caps."""

from uuid import UUID

from django.db.models import QuerySet

from control_plane.limits.models import RateLimit, SessionCap
from control_plane.organizations.models import Organization
from control_plane.rules.models import Mode


def rate_limits_of(organization: Organization) -> QuerySet[RateLimit]:
    return RateLimit.objects.filter(organization=organization).select_related("organization").order_by("name")


def session_caps_of(organization: Organization) -> QuerySet[SessionCap]:
    return SessionCap.objects.filter(organization=organization).select_related("organization").order_by("name")


def rate_limit_by_name(organization: Organization, name: str) -> RateLimit | None:
    return rate_limits_of(organization).filter(name=name).first()


def session_cap_by_name(organization: Organization, name: str) -> SessionCap | None:
    return session_caps_of(organization).filter(name=name).first()


def rate_limits_for_pods(organization_id: UUID) -> QuerySet[RateLimit]:
    """Those that pods must know, in a stable order."""
    return RateLimit.objects.filter(organization_id=organization_id).exclude(mode=Mode.OFF).order_by("id")


def session_caps_for_pods(organization_id: UUID) -> QuerySet[SessionCap]:
    """Those that pods must know, in a stable order."""
    return SessionCap.objects.filter(organization_id=organization_id).exclude(mode=Mode.OFF).order_by("id")
